"""Probes: what a layer tells of the game's variables, and how much of that is the layer's merit."""
