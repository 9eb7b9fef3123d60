"""Fisher information and the bounds it gives."""
