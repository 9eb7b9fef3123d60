"""Looking after data sets: what is there, whether it is whole, leaks, and repair."""
