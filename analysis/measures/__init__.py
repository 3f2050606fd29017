"""Measures: numbers in, numbers out; they know no agents."""
