"""Displays of things in a notebook: a file each."""
