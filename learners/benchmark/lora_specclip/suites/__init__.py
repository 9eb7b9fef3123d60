"""Suites of the LoRA note, one file each."""
