"""Objectives that ask for units: of convolutions, of dense layers, of the outputs.

What a channel, a neuron and an interpolation are follows Olah et al., 2017
(https://distill.pub/2017/feature-visualization); the layer's is DeepDream's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from atari_zoo.converters.network.foreign import Network
from atari_zoo.viz.objectives.objectives import Objective, Term
from atari_zoo.viz.objectives.values import Reference

Indices = int | Sequence[int] | Int[Tensor, "samples"]


def units(layer: str, indices: Indices, rectified: bool = False) -> Objective:
    """Units of a layer, a sample for each: channels of a convolution by the mean of their map.

    rectified: what leaves the layer's ReLU; what enters it if not.

    >>> units("fc", range(512)).samples
    512
    """
    unit = _row(indices)
    term = Term(_mean_of_unit, (Reference(layer, rectified),), (unit,), axes=(2, 4))
    return Objective((term,), _names(layer, [unit], rectified=rectified))


def neuron(
    layer: str, indices: Indices, place: tuple[int, int] | None = None, rectified: bool = False
) -> Objective:
    """Channels of a convolution at one place (row, column) of the map; its centre if not given."""
    unit = _row(indices)
    references = (Reference(layer, rectified),)
    if place is None:
        names = _names(layer, [unit], "@centre", rectified)
        return Objective((Term(_at_centre, references, (unit,), axes=(4,)),), names)
    rows = (unit, *(torch.tensor([index]) for index in place))
    names = _names(layer, [unit], f"@{place[0]},{place[1]}", rectified)
    return Objective((Term(_at_place, references, rows, axes=(4,)),), names)


def peak(layer: str, indices: Indices, rectified: bool = False) -> Objective:
    """Channels of a convolution by the largest value of their map, wherever it is: what patches
    and atlases show of play."""
    unit = _row(indices)
    term = Term(_largest_of_unit, (Reference(layer, rectified),), (unit,), axes=(4,))
    return Objective((term,), _names(layer, [unit], "@max", rectified))


def whole_layer(layer: str, rectified: bool = False) -> Objective:
    """The mean square of all values of a layer: whatever it answers to (DeepDream)."""
    references = (Reference(layer, rectified),)
    return Objective((Term(_mean_square, references),), (layer + ":relu" * rectified,))


def output(actions: Indices) -> Objective:
    """The outputs of actions: logits, Q-values or scores."""
    return units("output", actions)


def value() -> Objective:
    """The state's value, of a network that has such a head."""
    term = Term(
        _mean_of_unit, (Reference("value"),), (torch.zeros(1, dtype=torch.int64),), axes=(2,)
    )
    return Objective((term,), ("value",))


def pair(layer: str, first: Indices, second: Indices) -> Objective:
    """Single values of a layer of two axes: `atoms` (action, atom), `quantiles` (action, quantile).

    `pair("atoms", 0, 0)` is the C51 logit that figure 4 of Such et al., 2019
    (https://arxiv.org/abs/1812.07069) shows of Rainbow.
    """
    rows = (_row(first), _row(second))
    term = Term(_at_pair, (Reference(layer),), rows, axes=(3,))
    return Objective((term,), _names(layer, list(rows)))


def margin(actions: Indices) -> Objective:
    """By how much the output of an action exceeds the best of the others."""
    action = _row(actions)
    term = Term(_margin, (Reference("output"),), (action,), axes=(2,))
    return Objective((term,), _names("margin", [action]))


def group(layer: str, weights: Mapping[int, float], rectified: bool = False) -> Objective:
    """The weighted sum of some units of a layer.

    Raises ValueError if there is no weight.
    """
    if not weights:
        raise ValueError(f"no unit of {layer} is given; give one at least, such as {{3: 1.0}}")
    parts = [weight * units(layer, unit, rectified) for unit, weight in weights.items()]
    return sum(parts[1:], parts[0])


def interpolation(first: Objective, second: Objective, samples: int) -> Objective:
    """From the first to the second in equal steps, a sample for each."""
    share = torch.linspace(0, 1, samples)
    return first * (1 - share) + second * share


def difference(objective: Objective, other: Network) -> Objective:
    """What raises the objective in the network that is rendered for, and lowers it in `other`."""
    return objective - objective.on(other)


def _row(indices: Indices) -> Int[Tensor, "samples"]:
    return torch.as_tensor(
        list(indices) if isinstance(indices, range) else indices, dtype=torch.int64
    ).reshape(-1)


def _names(
    layer: str, rows: list[Tensor], place: str = "", rectified: bool = False
) -> tuple[str, ...]:
    numbers = [row.tolist() for row in torch.broadcast_tensors(*rows)]
    end = place + ":relu" * rectified
    return tuple(
        f"{layer}:{','.join(map(str, index))}{end}" for index in zip(*numbers, strict=True)
    )


def _samples(values: Tensor) -> Tensor:
    return torch.arange(len(values), device=values.device)


def _mean_of_unit(values: Tensor, unit: Tensor) -> Float[Tensor, "batch"]:
    return values[_samples(values), unit].reshape(len(values), -1).mean(dim=1)


def _largest_of_unit(maps: Tensor, unit: Tensor) -> Float[Tensor, "batch"]:
    return maps[_samples(maps), unit].flatten(1).amax(dim=1)


def _at_place(maps: Tensor, unit: Tensor, row: Tensor, column: Tensor) -> Float[Tensor, "batch"]:
    return maps[_samples(maps), unit, row, column]


def _at_centre(maps: Tensor, unit: Tensor) -> Float[Tensor, "batch"]:
    return maps[_samples(maps), unit, maps.shape[2] // 2, maps.shape[3] // 2]


def _at_pair(values: Tensor, first: Tensor, second: Tensor) -> Float[Tensor, "batch"]:
    return values[_samples(values), first, second]


def _mean_square(values: Tensor) -> Float[Tensor, "batch"]:
    return values.square().flatten(1).mean(dim=1)


def _margin(outputs: Tensor, action: Tensor) -> Float[Tensor, "batch"]:
    chosen = torch.zeros_like(outputs, dtype=torch.bool)
    chosen[_samples(outputs), action] = True
    others = outputs.masked_fill(chosen, -torch.inf).amax(dim=1)
    return outputs[_samples(outputs), action] - others
