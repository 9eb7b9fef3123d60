"""Tables of stars: whose labels, which splits, which cuts, which two are one star."""
