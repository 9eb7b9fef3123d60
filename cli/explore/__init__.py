"""The page that answers while a slider moves: its data, its file, and the server behind it."""
