"""Filters of a first convolution, in place of images: what they answer to is what they are."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from atari_zoo.analysis.first_convolutions import first_convolution
from atari_zoo.converters.network.foreign import Network
from atari_zoo.viz.objectives.objectives import Objective, Term


def asked_filters(
    network: Network, objective: Objective
) -> dict[int, Float[Tensor, "frames rows columns"]]:
    """By their numbers, the samples that ask for one unit of the first convolution and nothing else
    of the network, with its weights."""
    first = first_convolution(network)
    if first is None:
        return {}
    name, convolution = first
    found = {}
    for sample in range(objective.samples):
        asked = [t for t in objective.terms if t.wanted and float(_at(t.weight, sample)) != 0]
        if len(asked) == 1 and _is_unit(asked[0], name):
            unit = int(_at(asked[0].rows[0], sample))
            found[sample] = convolution.weight[unit].detach().float().cpu()
    return found


def _at(row: Tensor, sample: int) -> Tensor:
    return row[sample] if len(row) > 1 else row[0]


def _is_unit(term: Term, layer: str) -> bool:
    references = term.references
    own = len(references) == 1 and references[0].layer == layer and references[0].network is None
    return own and bool(term.rows) and term.rows[0].dtype == torch.int64
