"""How the zoo's own agents come to be."""
