"""Residual networks of flax, from the parameters alone: layers within layers.

{"ConvSequence_0": {"Conv_0": ..., "ResidualBlock_0": {"Conv_0": ..., "Conv_1": ...}, ...}, ...,
"Dense_0": ...}, as cleanrl/qdagger_dqn_atari_jax_impalacnn.py and cleanba have them.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import count, takewhile
from typing import Any

from atari_zoo.converters.errors import ConversionError
from atari_zoo.converters.formats.linen import (
    DENSE,
    Layers,
    affine_layer,
    by_name,
    described_layers,
)
from atari_zoo.converters.weights.trunks import BlockLayers


def is_residual(params: Any) -> bool:
    """Whether the parameters are those of CleanRL's and cleanba's residual networks, by a name."""
    return any(str(name).startswith("ConvSequence_") for name in by_name(params))


def residual_layers(params: Any) -> Layers:
    """The layers of such a network: {"ConvSequence_0": {"Conv_0": ..., "ResidualBlock_0": ...}}.

    Raises ConversionError, with the layers, if they are others.
    """
    params = by_name(params)
    described = described_layers(params)
    sequences = _counted("ConvSequence", params)
    dense = _counted("Dense", params)
    if len(sequences) + len(dense) != len(params) or not 1 <= len(dense) <= DENSE:
        raise ConversionError(
            "parts of a residual network ('ConvSequence_0') and dense layers were expected; it "
            f"has {described}"
        )
    return Layers(
        [],
        [affine_layer(name, params[name]) for name in dense],
        "Dense",
        False,
        described,
        [_block(name, params[name]) for name in sequences],
    )


def _block(name: str, parts: Any) -> BlockLayers:
    parts = parts if isinstance(parts, Mapping) else {}
    blocks = _counted("ResidualBlock", parts)
    if len(blocks) + 1 != len(parts) or "Conv_0" not in parts:
        raise ConversionError(f"'{name}': a convolution and residual blocks were expected")
    residuals = []
    for block in blocks:
        convs = parts[block] if isinstance(parts[block], Mapping) else {}
        if set(convs) != {"Conv_0", "Conv_1"}:
            raise ConversionError(f"'{name}/{block}': two convolutions were expected")
        first, second = (
            affine_layer(conv, convs[conv])._replace(name=f"{name}/{block}/{conv}")
            for conv in ("Conv_0", "Conv_1")
        )
        residuals.append((first, second))
    conv = affine_layer("Conv_0", parts["Conv_0"])
    return BlockLayers(conv._replace(name=f"{name}/Conv_0"), residuals)


def _counted(kind: str, params: Mapping[Any, Any]) -> list[str]:
    """The layers `kind_0`, `kind_1` ..., as many as are there."""
    names = (f"{kind}_{number}" for number in count())
    return list(takewhile(params.__contains__, names))
