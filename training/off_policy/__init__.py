"""Off-policy learning: values, from a replay."""
