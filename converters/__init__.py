"""Any agent's file becomes ONNX, and ONNX becomes one readable torch module.

source file --to_onnx--> ONNX --to_torch--> AgentNetwork
"""

import lazy_loader

# found when first asked for: cards and errors are read without waiting for torch
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
