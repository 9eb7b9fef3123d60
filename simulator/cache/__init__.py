"""Grids and banks kept in the user's cache: made once, listed, removed."""
