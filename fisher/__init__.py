"""The ceiling: how good any estimator of a stellar label could be."""
