"""The explorer: agents' play, activations, decisions and units on one page that opens from disk."""
