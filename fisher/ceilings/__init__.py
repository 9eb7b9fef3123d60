"""Tables of ceilings, and predictions compared with them."""
