"""Embedding: what is laid out, and by which method."""
