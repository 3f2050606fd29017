"""Evolution: populations of networks."""
