"""The console's memory: which byte holds what."""
