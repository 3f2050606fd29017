"""Formats: a file for each source. Whoever needs them all walks the folder."""
