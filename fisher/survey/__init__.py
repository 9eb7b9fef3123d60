"""Exposure times for a precision."""
