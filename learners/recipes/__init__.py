"""Packaged recipes, a TOML file each; `starsmith.learners.recipe` reads them."""
