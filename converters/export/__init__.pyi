from .graph import network_to_onnx as network_to_onnx
