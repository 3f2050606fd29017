"""Units of networks: their numbers, and the texts that name them."""
