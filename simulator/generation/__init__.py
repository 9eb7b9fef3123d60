"""Data sets: shards made by independent workers, and made again from their keys."""
