"""Tuning: which of the game's variables each unit answers to, and where it answers."""
