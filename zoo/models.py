"""Load an agent: by name from the zoo, or from any file that a converter knows."""

from __future__ import annotations

from pathlib import Path

import torch

from atari_zoo.catalog import find
from atari_zoo.converters.convert import to_torch
from atari_zoo.converters.foreign import ForeignNetwork
from atari_zoo.converters.networks import MnihNetwork

Network = MnihNetwork | ForeignNetwork


def load(name: str | Path, device: str | torch.device = "cpu") -> Network:
    """The agent called `name`, or in the file `name`, ready to run: in eval mode, on `device`.

    name: as in `a2c/Pong/1`, or the path of an ONNX file or of any file `to_onnx` reads.

    Raises UnknownModel if there is neither a file nor a model of that name, ConversionError if
    the file cannot be read as an agent.

    >>> load("a2c/Pong/1")(torch.zeros(1, 4, 84, 84)).shape
    torch.Size([1, 6])
    """
    path = Path(name)
    return to_torch(path if path.is_file() else find(str(name)).path).to(device).eval()
