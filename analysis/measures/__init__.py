"""Measures: numpy in, numbers out; they know of no agents."""
