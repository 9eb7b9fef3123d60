"""Speeds as ratios to named baselines; ``make bench`` runs them, tests run them untimed."""
