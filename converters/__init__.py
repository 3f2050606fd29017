"""Any agent's file becomes ONNX, and ONNX becomes one readable torch module.

source file --to_onnx--> ONNX --to_torch--> MnihNetwork
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from atari_zoo.converters.cards import ModelCard as ModelCard
    from atari_zoo.converters.cards import Preprocessing as Preprocessing
    from atari_zoo.converters.convert import to_onnx as to_onnx
    from atari_zoo.converters.convert import to_torch as to_torch
    from atari_zoo.converters.errors import ConversionError as ConversionError
    from atari_zoo.converters.interchange import save_onnx as save_onnx
    from atari_zoo.converters.networks import MnihNetwork as MnihNetwork
    from atari_zoo.converters.verification import verify as verify

# found when first asked for: cards and errors are read without waiting for torch
_WHERE = {
    "ConversionError": "errors",
    "MnihNetwork": "networks",
    "ModelCard": "cards",
    "Preprocessing": "cards",
    "save_onnx": "interchange",
    "to_onnx": "convert",
    "to_torch": "convert",
    "verify": "verification",
}
__all__ = list(_WHERE)


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'atari_zoo.converters' has no attribute '{name}'")
    return getattr(import_module(f"atari_zoo.converters.{_WHERE[name]}"), name)
