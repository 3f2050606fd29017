"""Plain torch weights: state dicts in .safetensors, .pt and .pth files.

A state dict has names and shapes but no architecture. Known names are matched first; else the
layers are told by their order and shapes, and what could be read in two ways is refused.
"""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from atari_zoo.converters.assembling import Affine, actor_critic_head, assembled, policy_head
from atari_zoo.converters.errors import ConversionError
from atari_zoo.converters.heads import Head
from atari_zoo.converters.networks import MnihNetwork
from atari_zoo.converters.registry import Probe, Source, reader


@dataclass(frozen=True)
class Naming:
    """What a library calls the layers: prefixes before `.weight` and `.bias`."""

    library: str
    convolutions: tuple[str, str, str]
    fc: str
    output: str
    value: str | None = None


NAMINGS = (
    Naming(
        "pytorch-a2c-ppo-acktr-gail",
        ("base.main.0", "base.main.2", "base.main.4"),
        "base.main.7",
        "dist.linear",
        "base.critic_linear",
    ),
    Naming(
        "Stable-Baselines3 (A2C, PPO)",
        ("features_extractor.cnn.0", "features_extractor.cnn.2", "features_extractor.cnn.4"),
        "features_extractor.linear.0",
        "action_net",
        "value_net",
    ),
    Naming(
        "Stable-Baselines3 (DQN)",
        (
            "q_net.features_extractor.cnn.0",
            "q_net.features_extractor.cnn.2",
            "q_net.features_extractor.cnn.4",
        ),
        "q_net.features_extractor.linear.0",
        "q_net.q_net.0",
    ),
    Naming(
        "CleanRL (PPO)",
        ("network.0", "network.2", "network.4"),
        "network.7",
        "actor",
        "critic",
    ),
    Naming("CleanRL (DQN)", ("network.0", "network.2", "network.4"), "network.7", "network.9"),
)


def _is_safetensors(probe: Probe) -> bool:
    start = probe.start
    return len(start) > 8 and int.from_bytes(start[:8], "little") < 1 << 26 and start[8:9] == b"{"


@reader(
    "safetensors",
    "safetensors state dict",
    "state dicts by name, or by order and shape",
    _is_safetensors,
)
def read_safetensors(path: Path) -> Source:
    """A `.safetensors` file of a policy's weights."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return Source(network_from_state_dict(load_file(path)))
    except (SafetensorError, ValueError, OSError) as error:
        raise ConversionError(
            f"{path}: {_reason(error, 'not a whole safetensors file')}"
        ) from error


@reader(
    "torch",
    "torch state dict",
    "state dicts by name, or by order and shape",
    lambda probe: probe.start.startswith(b"PK\x03\x04") or probe.start[:1] == b"\x80",
)
def read_torch(path: Path) -> Source:
    """A `.pt` or `.pth` file, read with weights only: nothing in it is run."""
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ConversionError(f"{path}: {_forbidden(error)}") from error
    except (RuntimeError, EOFError, OSError, zipfile.BadZipFile, ValueError, KeyError) as error:
        raise ConversionError(f"{path}: not a torch file, or cut short") from error
    try:
        return Source(network_from_state_dict(state_dict_in(content)))
    except ConversionError as error:
        raise ConversionError(f"{path}: {error}") from error


def state_dict_in(content: Any) -> dict[str, Tensor]:
    """The one state dict in what a checkpoint holds, however deep.

    Raises ConversionError if there is none, or more than one that may be meant.
    """
    found = dict(_state_dicts(content, ""))
    if len(found) > 1:
        places = ", ".join(f"'{place}'" for place in found)
        raise ConversionError(f"it holds several state dicts ({places}); save the policy's alone")
    if not found:
        raise ConversionError(f"no state dict in it, but {type(content).__name__}")
    return next(iter(found.values()))


def network_from_state_dict(weights: Mapping[str, Tensor]) -> MnihNetwork:
    """The network with these weights.

    Raises ConversionError if they are another architecture's, or could be read in two ways.
    """
    # torch.compile and DataParallel put their own prefixes before every name
    weights = {
        name.removeprefix("_orig_mod.").removeprefix("module."): tensor
        for name, tensor in weights.items()
    }
    naming = _known_naming(weights) or _naming_by_shape(weights)
    convolutions = [Affine.of(weights, layer) for layer in naming.convolutions]
    output = Affine.of(weights, naming.output)
    if naming.value is None:
        head: Head = policy_head(output)
    else:
        head = actor_critic_head(output, Affine.of(weights, naming.value))
    return assembled(convolutions, Affine.of(weights, naming.fc), head)


def _known_naming(weights: Mapping[str, Tensor]) -> Naming | None:
    for naming in NAMINGS:
        layers = (*naming.convolutions, naming.fc, naming.output, naming.value)
        if all(f"{layer}.weight" in weights for layer in layers if layer):
            return naming
    return None


def _naming_by_shape(weights: Mapping[str, Tensor]) -> Naming:
    """Layers told by their order and their shapes."""
    layers = [name.removesuffix(".weight") for name in weights if name.endswith(".weight")]
    convs = [x for x in layers if weights[f"{x}.weight"].ndim == 4]
    dense = [x for x in layers if weights[f"{x}.weight"].ndim == 2]
    other = [x for x in layers if x not in convs and x not in dense]
    found = f"{len(convs)} convolutions and {len(dense)} dense layers"
    if len(convs) != 3 or other:
        more = f" and {len(other)} others ('{other[0]}')" if other else ""
        raise ConversionError(f"three convolutions were expected; it has {found}{more}")
    sizes = {x: tuple(weights[f"{x}.weight"].shape) for x in dense}
    last = len(weights[f"{convs[-1]}.weight"])
    first = [x for x in dense if sizes[x][1] in (last * 49, last * 121)]
    if len(first) != 1:
        raise ConversionError(f"one dense layer on the convolutions was expected; it has {found}")
    heads = [x for x in dense if x != first[0]]
    values = [x for x in heads if sizes[x][0] == 1]
    outputs = [x for x in heads if sizes[x][0] > 1]
    if len(outputs) != 1 or len(values) > 1:
        names = ", ".join(f"'{x}' {sizes[x]}" for x in heads) or "none"
        raise ConversionError(
            f"one output layer, or one and a value, was expected after '{first[0]}'; found {names}"
        )
    return Naming("", (convs[0], convs[1], convs[2]), first[0], outputs[0], *values)


def _state_dicts(content: Any, place: str) -> Iterator[tuple[str, dict[str, Tensor]]]:
    if not isinstance(content, Mapping):
        return
    if content and all(isinstance(v, Tensor) for v in content.values()):
        if any(v.ndim == 4 for v in content.values()):
            yield place or "/", dict(content)
        return
    for key, value in content.items():
        yield from _state_dicts(value, f"{place}/{key}")


def _forbidden(error: Exception) -> str:
    text = str(error)
    if "GLOBAL " in text:
        name = text.split("GLOBAL ", 1)[1].split()[0].rstrip(".")
        return f"it would run code when read ('{name}'); save its state_dict() instead"
    return "not a file of tensors alone; save its state_dict() instead"


def _reason(error: Exception, otherwise: str) -> str:
    return str(error) if isinstance(error, ConversionError) else otherwise
