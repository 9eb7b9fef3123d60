"""Suites of embeddings, one file each."""
