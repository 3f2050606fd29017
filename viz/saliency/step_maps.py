"""Saliency maps of every step of a clip: computed once, some steps at a time, and kept on the
disk, so that the length of a movie takes no memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from atari_zoo.agent_states import recorded_states
from atari_zoo.converters.network.foreign import Network
from atari_zoo.converters.network.stateful import held_at
from atari_zoo.recordings.recordings import Recording
from atari_zoo.viz.attribution.baselines import BaselineLike
from atari_zoo.viz.attribution.cases import attributed, case_for
from atari_zoo.viz.attribution.registry import method_named
from atari_zoo.viz.attribution.targets import DECISION, TargetLike
from atari_zoo.viz.movies.played import blocks
from atari_zoo.viz.parameterizations.frames import as_floats

BLOCK = 64  # steps at a time
MEAN_OF, REFERENCES = 256, 16  # observations that stand for all, of the baselines made of many
COMPARED = 512  # steps whose values stand for all, in a scale
FULL = 99.8  # percentile of the whole movie's values that gets the full colour
VALUES = "values"  # the one side of a method that has no sides


@dataclass(frozen=True)
class Question:
    """What is asked of every decision in a movie; each as of `attribution.attribute`.

    Of greydanus the answer is the actor and, where there is one, the critic, unless the options
    ask for one of them. The baseline "mean" is of 256 steps of the clip, "observations" are 16.
    target, baseline: of a step each, if there are as many as steps.
    control: whether the same is asked of a network that learnt nothing.
    """

    method: str = "greydanus"
    target: TargetLike = DECISION
    baseline: BaselineLike = "black"
    seed: int = 0
    options: Mapping[str, Any] = field(default_factory=dict)
    control: bool = True


@dataclass(frozen=True)
class StepMaps:
    """sides: by name, absolute values summed over the frames. scales: of each, the value that gets
    the full colour in all of the movie. gap: the largest by which a sum misses what the method
    promises; None of one that promises nothing."""

    sides: Mapping[str, Float[np.ndarray, "steps rows columns"]]
    scales: Mapping[str, float]
    gap: float | None

    def strengths(self, index: int) -> dict[str, Float[np.ndarray, "rows columns"]]:
        """Each side's map of one step, where 1 is the full colour."""
        return {
            side: np.asarray(maps[index]) / self.scales[side] for side, maps in self.sides.items()
        }


def step_maps(
    network: Network,
    recording: Recording,
    env: int,
    steps: range,
    question: Question,
    folder: Path,
    progress: Callable[[int], None] = lambda done: None,
) -> StepMaps:
    """What each decision depends on; of a network that carries a state, in the recorded one.

    folder: where the maps are kept. progress: called with the steps done.
    Raises ValueError as `attribute` does.
    """
    files: dict[str, np.memmap[Any, Any]] = {}
    gaps: list[float] = []
    compared = _baseline(recording, env, steps, question)
    for some in blocks(steps, BLOCK):
        seen = as_floats(recording.observations(env, slice(some.start, some.stop)))
        states = recorded_states(network, recording, env, slice(some.start, some.stop))
        begin = some.start - steps.start
        asked = _at(replace(question, baseline=compared), begin, len(some), len(steps))
        maps, gap = _in_states(network, seen, asked, states)
        for side, values in maps.items():
            if side not in files:
                shape = (len(steps), *values.shape[1:])
                files[side] = np.lib.format.open_memmap(
                    folder / f"{side}.npy", mode="w+", dtype=np.float32, shape=shape
                )
            files[side][begin : begin + len(some)] = values
        gaps += [] if gap is None else [gap]
        progress(begin + len(some))
    scales = {side: full_colour(maps) for side, maps in files.items()}
    return StepMaps(files, scales, max(gaps, default=None))


def full_colour(maps: Float[np.ndarray, "steps rows columns"]) -> float:
    """The value that gets the full colour: a percentile of all, of long movies of 512 steps; the
    largest where that is 0, and 1 where all are."""
    some = np.asarray(maps[:: -(-len(maps) // COMPARED)])
    return float(np.percentile(some, FULL)) or float(some.max()) or 1.0


def maps_of(
    network: Network, seen: Float[Tensor, "steps frames rows columns"], question: Question
) -> tuple[dict[str, Float[np.ndarray, "steps rows columns"]], float | None]:
    """The maps of some observations, by sides, and the largest gap.

    Raises ValueError as `attribute` does.
    """
    options = dict(question.options)
    method = method_named(question.method, options)
    device = next(network.parameters()).device
    case = case_for(
        network, seen.to(device), method, question.target, question.baseline, question.seed
    )
    sides: tuple[str, ...] = (VALUES,)
    if method.sides is not None:
        sides = (options["side"],) if "side" in options else method.sides(network, seen[:1])
    maps, gap = {}, None
    for side in sides:
        given = options if method.sides is None else options | {"side": side}
        found = attributed(method, case, given)
        maps[side] = found.values.abs().sum(dim=1).cpu().numpy()
        gap = None if found.delta is None else float(found.delta.abs().max())
    return maps, gap


def _in_states(
    network: Network, seen: Tensor, question: Question, states: Tensor | None
) -> tuple[dict[str, np.ndarray], float | None]:
    """The same; each observation in its own state, where the network carries one."""
    if states is None:
        return maps_of(network, seen, question)
    states = states.to(next(network.parameters()).device)
    parts, gaps = [], []
    for index, state in enumerate(states):
        asked = _at(question, index, 1, len(seen))
        maps, gap = maps_of(held_at(network, state), seen[index : index + 1], asked)
        parts.append(maps)
        gaps += [] if gap is None else [gap]
    joined = {side: np.concatenate([part[side] for part in parts]) for side in parts[0]}
    return joined, max(gaps, default=None)


def _at(question: Question, begin: int, count: int, total: int) -> Question:
    """What is asked of `count` steps from `begin` on, where there is an answer for each."""
    span = slice(begin, begin + count)
    target, baseline = question.target, question.baseline
    if isinstance(target, Tensor | np.ndarray | list | tuple) and len(target) == total:
        target = target[span]
    if isinstance(baseline, Tensor | np.ndarray) and baseline.ndim > 3:
        if len(baseline) == total:
            baseline = baseline[span]
        elif len(baseline) == 1:
            baseline = as_floats(torch.as_tensor(baseline)).expand(count, *baseline.shape[1:])
    return replace(question, target=target, baseline=baseline)


def _baseline(recording: Recording, env: int, steps: range, question: Question) -> BaselineLike:
    """Of those made of many observations the numbers, since some steps alone do not tell them."""
    if question.baseline not in ("mean", "observations") or not isinstance(question.baseline, str):
        return question.baseline
    if method_named(question.method).baselines == "none":
        return question.baseline  # is refused in words of its own
    most = MEAN_OF if question.baseline == "mean" else REFERENCES
    apart = -(-len(steps) // most)
    seen = as_floats(recording.observations(env, slice(steps.start, steps.stop, apart)))
    return seen.mean(dim=0) if question.baseline == "mean" else seen[None]
