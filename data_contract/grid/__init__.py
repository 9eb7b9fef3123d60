"""Files of the contract that hold stellar grids and their interpolation errors."""
