"""Memories in a state dict: torch's LSTM, GRU and RNN, and their cells, by their parts' names.

`weight_ih_l0` reads what stands below, `weight_hh_l0` the hidden state; of cells without `_l0`.
Their rows are the gates', four of an LSTM, three of a GRU.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import Tensor

from atari_zoo.converters.errors import ConversionError
from atari_zoo.converters.network.finite import finite_tensor
from atari_zoo.converters.network.memories import GATES, RecurrentLayers

PART = re.compile(r"(?P<memory>.*)\.(weight|bias)_(ih|hh)(_l(?P<layer>\d+))?")
OTHERS = ("_reverse", "weight_hr")  # torch's other options
LAYERS = 16  # at most
PLAIN_ASSUMED = "a tanh in its plain recurrent layers: weights do not tell"


def memories_in(weights: Mapping[str, Tensor]) -> tuple[str, ...]:
    """The names of the memories in a state dict, such as "lstm"; of a bare one ""."""
    found = (PART.fullmatch(name) for name in weights)
    return tuple(dict.fromkeys(match["memory"] for match in found if match))


def parts_of_memory(weights: Mapping[str, Tensor], name: str) -> set[str]:
    """The tensors of that memory."""
    found = {each: PART.fullmatch(each) for each in weights}
    return {each for each, match in found.items() if match and match["memory"] == name}


def memory_named(weights: Mapping[str, Tensor], name: str, prefix: str = "") -> RecurrentLayers:
    """The memory with its weights. prefix: of its states' names.

    Raises ConversionError if a part is missing, or of another size.
    """
    other = next((n for n in weights if n.startswith(f"{name}.") and n.endswith(OTHERS)), None)
    other = other or next((n for n in weights if f"{name}." in n and "weight_hr" in n), None)
    if other is not None:
        raise ConversionError(f"'{other}': a memory in two directions, or with projections")
    parts = {part: PART.fullmatch(part) for part in parts_of_memory(weights, name)}
    layers = {int(match["layer"] or 0) for match in parts.values() if match}
    if layers != set(range(len(layers))) or not 0 < len(layers) <= LAYERS:
        raise ConversionError(f"the layers of '{name}' are {sorted(layers)[:LAYERS]}")
    cell = f"{name}.weight_ih" in weights

    def part(kind: str, layer: int) -> Tensor | None:
        place = f"{name}.{kind}" if cell else f"{name}.{kind}_l{layer}"
        return weights.get(place)

    units, inputs = _sizes(part("weight_ih", 0), part("weight_hh", 0), name)
    rows = len(_there(part("weight_hh", 0), name))
    kind = GATES.get(rows // units)
    if kind is None or rows % units:
        raise ConversionError(f"'{name}' has {rows} rows for {units} units: no LSTM, GRU or RNN")
    memory = RecurrentLayers(kind, inputs, units, len(layers), prefix)
    with torch.no_grad():
        for layer in sorted(layers):
            for each in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
                target, given = memory.rnn.get_parameter(f"{each}_l{layer}"), part(each, layer)
                if given is None and each.startswith("bias"):
                    target.zero_()
                    continue
                given = _there(given, name)
                if given.shape != target.shape:
                    raise ConversionError(
                        f"'{name}' has a part {tuple(given.shape)}; {tuple(target.shape)} was "
                        "expected"
                    )
                target.copy_(finite_tensor(given, name))
    return memory


def _there(part: Tensor | None, name: str) -> Tensor:
    if part is None:
        raise ConversionError(f"the memory '{name}' lacks weight_ih or weight_hh of a layer")
    return part


def _sizes(inner: Tensor | None, recurrent: Tensor | None, name: str) -> tuple[int, int]:
    """Units and inputs."""
    inner, recurrent = _there(inner, name), _there(recurrent, name)
    for part in (inner, recurrent):
        if part.ndim != 2 or not part.numel() or not part.is_floating_point():
            raise ConversionError(f"'{name}' has a part {tuple(part.shape)}, which is no table")
    if len(inner) != len(recurrent):  # before a module is made: no file holds its product
        raise ConversionError(
            f"the parts of '{name}' have {len(inner)} and {len(recurrent)} rows: not of one memory"
        )
    return recurrent.shape[1], inner.shape[1]
