"""Dictionaries of features: a layer's activations as sums of few directions, and their controls."""
