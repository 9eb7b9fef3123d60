"""The real test: networks brought to stars of MILES and STELIB, judged by nested folds."""
