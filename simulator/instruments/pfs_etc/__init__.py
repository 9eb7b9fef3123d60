"""The official PFS calculator: its files read, written and compared with."""
