"""How files are written: whole or not at all, one writer at a time."""
