"""Fetching a grid's files over HTTP, resumable and checked."""
