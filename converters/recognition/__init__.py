"""Recognition: a graph in ONNX becomes the one network."""
