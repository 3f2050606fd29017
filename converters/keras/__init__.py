"""Keras models: their layers, translated one by one into ONNX."""
