"""The training of the zoo's own agents."""
