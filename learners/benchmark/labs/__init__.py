"""Suites of the laboratory, a TOML file each; `starsmith.learners.benchmark.lab` reads them."""
