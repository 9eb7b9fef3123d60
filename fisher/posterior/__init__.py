"""The posterior mean: the best any estimator can do."""
