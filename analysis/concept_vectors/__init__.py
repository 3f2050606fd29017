"""Concept vectors: directions among a layer's units that tell moments of one kind from others."""
