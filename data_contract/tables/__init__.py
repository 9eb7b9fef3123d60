"""Tables of the user's: columns of numbers, FITS tables, populations of stars."""
