"""Scores of labels against the truth, and those that choose while a model is fitted."""
