"""Networks from a state dict whose names are known: trunk by trunk, with any head."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from atari_zoo.converters.network.agent_networks import AgentNetwork
from atari_zoo.converters.network.heads import Head
from atari_zoo.converters.weights.affine_layers import AffineLayer
from atari_zoo.converters.weights.assembling import assembled, assembled_residual
from atari_zoo.converters.weights.namings import LayerNames
from atari_zoo.converters.weights.trunks import BlockLayers


def named_network(weights: Mapping[str, Tensor], naming: LayerNames, head: Head) -> AgentNetwork:
    """The network of the naming's trunk and a head.

    Raises ConversionError where its layers do not fit together.
    """
    dense = [AffineLayer.of(weights, layer) for layer in naming.dense]
    if naming.blocks:
        return assembled_residual(_blocks(weights, naming), dense, head)
    convolutions = [AffineLayer.of(weights, layer) for layer in naming.convolutions]
    return assembled(convolutions, dense, head)


def _blocks(weights: Mapping[str, Tensor], naming: LayerNames) -> list[BlockLayers]:
    """The layers of a residual network's parts."""
    return [
        BlockLayers(
            AffineLayer.of(weights, block.conv),
            [
                (AffineLayer.of(weights, first), AffineLayer.of(weights, second))
                for first, second in block.residuals
            ],
        )
        for block in naming.blocks
    ]
