"""Files of surveys, one reader each, and what all readers ask of a file."""
