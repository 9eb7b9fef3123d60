"""From a grid node to an observed spectrum."""
