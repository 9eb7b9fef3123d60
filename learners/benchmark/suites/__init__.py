"""Packaged suites, a TOML file each; `starsmith.learners.benchmark.suite` reads them."""
