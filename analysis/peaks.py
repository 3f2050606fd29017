"""Peaks: how strongly, and where, each unit of a layer answers to each observation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import pandas
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from atari_zoo.agent_states import recorded_states
from atari_zoo.analysis.registry import analysis
from atari_zoo.analysis.results import Result
from atari_zoo.converters.arguments import checked
from atari_zoo.converters.network.finite import check_finite
from atari_zoo.converters.network.foreign import Network, observation_shape
from atari_zoo.converters.network.hooks import recorded
from atari_zoo.intervals import CONFIDENCE, FEW, bootstrap_band
from atari_zoo.observations import ObservationsLike, observations_for
from atari_zoo.players import check_play
from atari_zoo.recordings.recordings import Recording


class Peaks(NamedTuple):
    """values: the largest of each unit's map; a unit without a map has its one value.
    rows, columns: where on the map that is, 0 without one; the first of several equal places.
    above: the share of the map's places that are above 0."""

    values: Float[Tensor, "observations units"]
    rows: Int[Tensor, "observations units"]
    columns: Int[Tensor, "observations units"]
    above: Float[Tensor, "observations units"]


@checked
@analysis("peaks", source="https://arxiv.org/abs/1812.07069")
def unit_peaks(
    network: Network,
    recording: Recording,
    *,
    layer: str = "conv3",
    units: Sequence[int] | None = None,
    before_relu: bool = True,
    seed: int = 0,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Result:
    """How strongly each unit of a layer answers to what an agent saw, and to what most.

    layer: its name. units: some of them, by their numbers; all if not given.
    before_relu: of a layer that has a ReLU, what enters it. seed: of the resampling.
    The table has a row for each unit: unit, dead, mean (over the episodes, of each one's mean),
    low, high, largest, and where that was: step, env, row, column. The arrays hold the peak of
    every unit at every observation, (steps, envs, units): values, rows, columns, above.
    Raises ValueError if the layer or a unit is not there, or the recording is empty, of another
        game or of other actions.
    """
    found = recorded_peaks(network, recording, layer, units, before_relu, progress=progress)
    steps, envs = recording.starts.shape
    values = found.values.reshape(steps, envs, -1)
    silent = dead_units(network, layer, found.values) if before_relu else _same(found.values)
    means = _episode_means(values.numpy(), recording.starts)
    low, high = bootstrap_band(means, seed)
    first = found.values.argmax(dim=0)
    column = torch.arange(len(first))
    table = pandas.DataFrame(
        {
            "unit": list(range(len(first))) if units is None else list(units),
            "dead": silent.numpy(),
            "mean": means.mean(axis=0),
            "low": low,
            "high": high,
            "largest": found.values[first, column].numpy(),
            "step": (first // envs).numpy(),
            "env": (first % envs).numpy(),
            "row": found.rows[first, column].numpy(),
            "column": found.columns[first, column].numpy(),
        }
    )
    uncertainty = (
        f"low, high: {CONFIDENCE:.0%} bootstrap of the mean, whole episodes resampled; of fewer "
        f"than {FEW} episodes their lowest and highest; missing where there is one alone"
    )
    shape = (steps, envs, len(first))
    arrays = {name: part.reshape(shape).numpy() for name, part in found._asdict().items()}
    return Result(table, uncertainty, arrays)


def peaks(
    network: Network,
    observations: ObservationsLike,
    layer: str,
    before_relu: bool = True,
    batch: int = 256,
    state: Tensor | None = None,
) -> Peaks:
    """The peak of every unit of `layer` at each observation, on the CPU.

    observations: (observations, 4, 84, 84), or one, uint8 or float in 0..1.
    before_relu: of a layer that has a ReLU, what enters it: silent units then differ too.
    state: of a network that carries one, as `atari_zoo.activations` has it.
    Units are the channels of a convolution, else the layer's values one by one: of `atoms`, unit
    (action, atom) is action * atoms + atom.
    Raises ValueError if the layer is not there; the message lists those that are. Also for
        observations of another shape or range.

    >>> peaks(net, observations, "conv3").values.shape
    torch.Size([32, 64])
    """
    device = next(network.parameters()).device
    parts = []
    seen = observations_for(network, observations)
    with torch.inference_mode(), recorded(network, [layer], before_relu) as values:
        for start in range(0, len(seen), batch):
            some = seen[start : start + batch].to(device)
            if state is None:
                network(some)
            else:
                network(some, state[start : start + len(some)].to(device))
            parts.append(_of_maps(values[layer].float().cpu()))
    return Peaks(*(torch.cat(pieces) for pieces in zip(*parts, strict=True)))


def recorded_peaks(
    network: Network,
    recording: Recording,
    layer: str,
    units: Sequence[int] | None = None,
    before_relu: bool = True,
    batch: int = 256,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Peaks:
    """The peaks of some units (all if not given) at every observation of a recording.

    Observations are read `batch` steps at a time. They are numbered step * environments + env.
    progress: called with the observations done and those there are.
    Raises ValueError if the layer or a unit is not there, the recording is empty, of another game
        or of other actions, or the network diverged.
    """
    check_play(network, recording)
    check_finite(network)
    steps, envs = recording.starts.shape
    if not steps * envs:
        raise ValueError("the recording has no steps: there is nothing to see")
    if units is not None:
        check_units(network, layer, units)
    chosen = slice(None) if units is None else list(units)
    parts = []
    for begin in range(0, steps, batch):
        span = slice(begin, min(begin + batch, steps))
        found = [
            peaks(
                network,
                recording.observations(env, span),
                layer,
                before_relu,
                batch,
                recorded_states(network, recording, env, span, [layer]),
            )
            for env in range(envs)
        ]
        parts.append(
            [torch.stack(kind, 1).flatten(0, 1)[:, chosen] for kind in zip(*found, strict=True)]
        )
        progress(span.stop * envs, steps * envs)
    return Peaks(*(torch.cat(pieces) for pieces in zip(*parts, strict=True)))


def unit_count(network: Network, layer: str) -> int:
    """How many units a layer has, as `peaks` numbers them.

    Raises ValueError if the layer is not there; the message lists those that are.
    """
    device = next(network.parameters()).device
    black = torch.zeros(1, *observation_shape(network), dtype=torch.uint8, device=device)
    return peaks(network, black, layer).values.shape[1]


def check_units(network: Network, layer: str, units: Sequence[int]) -> None:
    """Raises ValueError if the layer is not there, or has not one of these units."""
    count = unit_count(network, layer)
    for unit in units:
        if not 0 <= unit < count:
            raise ValueError(f"{layer} has no unit {unit}; its units are 0 to {count - 1}")


def dead_units(
    network: Network, layer: str, values: Float[Tensor, "observations units"]
) -> Bool[Tensor, "units"]:
    """Which units never say anything: they are the same at all observations, or never pass their
    ReLU.

    values: the peaks of what enters the ReLU, where the layer has one.
    """
    same = _same(values)
    if not isinstance(list(network.layers[layer].modules())[-1], nn.ReLU):
        return same
    return same | (values.amax(0) <= 0)


def _same(values: Float[Tensor, "observations units"]) -> Bool[Tensor, "units"]:
    return values.amin(0) == values.amax(0)


def _episode_means(
    values: Float[np.ndarray, "steps envs units"], starts: Bool[np.ndarray, "steps envs"]
) -> Float[np.ndarray, "episodes units"]:
    """The mean of each episode, or of its part that was recorded."""
    means = []
    for env in range(starts.shape[1]):
        begins = [step for step in np.flatnonzero(starts[:, env]) if step]
        means += [part.mean(axis=0) for part in np.split(values[:, env], begins)]
    return np.stack(means).astype(float)


def _of_maps(values: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    maps = values if values.ndim == 4 else values.flatten(1)[..., None, None]
    most, place = maps.flatten(2).max(dim=2)
    width = maps.shape[3]
    above = (maps > 0).flatten(2).float().mean(dim=2).half()
    # recordings are long, and maps small: places in two bytes
    return most, (place // width).short(), (place % width).short(), above
