"""What a dataset is: schema, shards, banks, splits, keyed random numbers and the noise view."""
