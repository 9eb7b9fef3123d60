"""What other libraries expect of us: scikit-learn, sbi, loggers, and networks of one's own."""
