"""On-policy learning: actor-critics."""
