"""Whether the derivatives and the statistics can be trusted."""
