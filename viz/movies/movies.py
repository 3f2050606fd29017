"""Activation movies: a game and what its agent computes.

After those of the original zoo (Such et al., 2019, https://arxiv.org/abs/1812.07069).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from atari_zoo.agent_states import check_states, recorded_states
from atari_zoo.converters.arguments import checked
from atari_zoo.converters.network.finite import check_finite
from atari_zoo.converters.network.foreign import Network
from atari_zoo.layers import activations
from atari_zoo.players import check_play, is_own_play, player_words
from atari_zoo.recordings.arrays import not_kept
from atari_zoo.recordings.recordings import Recording, check_environment
from atari_zoo.viz.movies.mp4 import check_movie, write_mp4
from atari_zoo.viz.movies.panels import MovieMoment, Panel, Range
from atari_zoo.viz.movies.shown_layers import shown_layers

FULL = 99.0  # percentile of the outputs' differences that gets a whole bar
BATCH = 128  # observations at a time: bounds the memory, about 15 MB of activations


class Seen(NamedTuple):
    """What an agent saw, and the states that it was in; None of one that carries none."""

    observations: Tensor
    states: Tensor | None

    def batches(self) -> Iterator[Seen]:
        """Some at a time."""
        for start in range(0, len(self.observations), BATCH):
            some = slice(start, start + BATCH)
            states = None if self.states is None else self.states[some]
            yield Seen(self.observations[some], states)


@checked
def activation_movie(
    network: Network,
    recording: Recording,
    path: str | Path,
    env: int = 0,
    fps: int = 30,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> None:
    """Writes an mp4 of the game beside the layers that `shown_layers` names, and the output.

    Each channel of a map and each unit of the dense layer has one scale for the whole recording, so
    that brightness can be compared between frames. What never changes is grey. The bars of the
    outputs show how far each lies from their mean, on one scale: what all share, as the value of
    the state in Q-values, decides nothing.

    recording: with keep=["screens", "frames", "outputs"], of the network's game. If another agent
        played it, the title says so; the outputs are then the network's own.
    env: which of its environments.
    fps: agent steps in a second of the movie; the game itself runs at 15 with a frame skip of 4.
    progress: called with the steps written and those there are.

    Raises ValueError, before the work, if something is missing in the recording, it is of another
    game or other actions, or the file cannot be an mp4.
    """
    _check(network, recording, env)
    check_movie(path, fps)
    write_mp4(_pictures(network, recording, env, progress), path, fps)


def _pictures(
    network: Network,
    recording: Recording,
    env: int,
    progress: Callable[[int, int], None],
) -> Iterator[UInt8[np.ndarray, "height width 3"]]:
    assert recording.frames is not None and recording.outputs is not None  # _check has seen them
    observations = recording.observations(env)
    scores = recording.scores[:, env]
    if is_own_play(network, recording):
        outputs = np.asarray(recording.outputs[:, env])
    else:
        outputs = activations(network, observations, ["output"], batch=BATCH)["output"].numpy()
    names = shown_layers(network).names
    wanted = [*names, "value"] if "value" in network.layers else names
    seen = Seen(observations, recorded_states(network, recording, env, layers=wanted))
    ranges, shapes = _ranges(network, seen, names)
    ranges["output"] = differences_range(outputs)
    panel = Panel(
        f"{network.card.name}{player_words(network, recording)}",
        recording.action_names,
        recording.frames.shape[2:4],
        observations.shape[1:],
        shapes,
        ranges,
    )
    total = len(observations)
    for step, layers, value in _steps(network, seen, names):
        value_words = "" if value is None else f"    value {value:z.2f}"
        yield panel.picture(
            MovieMoment(
                frame=recording.frames[step, env],
                observation=observations[step].numpy(),
                layers=layers,
                output=outputs[step],
                action=int(recording.actions[step, env]),
                status=f"step {step}    score {scores[step]:g}{value_words}",
            )
        )
        progress(step + 1, total)


def _steps(
    network: Network, seen: Seen, names: Sequence[str]
) -> Iterator[tuple[int, dict[str, np.ndarray], float | None]]:
    """Step by step: its number, the layers' values, the state's value where there is one."""
    wanted = [*names, "value"] if "value" in network.layers else list(names)
    step = 0
    for some in seen.batches():
        values = _values(network, some, wanted)
        states = values.pop("value", None)
        # C51's dueling value is a distribution, not a number: leave it out
        single = states is not None and states[0].numel() == 1
        for index in range(len(some.observations)):
            layers = {name: values[name][index].numpy() for name in names}
            yield step, layers, float(states[index]) if single and states is not None else None
            step += 1


def _ranges(
    network: Network, seen: Seen, names: Sequence[str]
) -> tuple[dict[str, Range], dict[str, tuple[int, ...]]]:
    """Each channel's smallest and largest value over all observations, and the layers' shapes."""
    low: dict[str, Tensor] = {}
    high: dict[str, Tensor] = {}
    shapes: dict[str, tuple[int, ...]] = {}
    for some in seen.batches():
        for name, values in _values(network, some, names).items():
            shapes[name] = tuple(values.shape[1:])
            channels = values.transpose(0, 1).flatten(1)  # (channels, steps and places)
            least, most = channels.amin(1), channels.amax(1)
            low[name] = torch.minimum(low.get(name, least), least)
            high[name] = torch.maximum(high.get(name, most), most)
    return {name: Range(low[name].numpy(), high[name].numpy()) for name in names}, shapes


def _values(network: Network, some: Seen, names: Sequence[str]) -> dict[str, Tensor]:
    values = activations(network, some.observations, names, batch=BATCH, state=some.states)
    if "fc" in values and values["fc"].ndim == 3:  # IQN: (steps, samples, units)
        values["fc"] = values["fc"].mean(dim=1)
    return values


def differences_range(outputs: Float[np.ndarray, "steps actions"]) -> Range:
    """From the least to the most that an output lies from the mean of its step's, but for the
    farthest few, which would make all other bars equally short."""
    apart = outputs - outputs.mean(axis=1, keepdims=True)
    low, high = np.percentile(apart, [100 - FULL, FULL])
    return Range(np.asarray(low), np.asarray(high))


def _check(network: Network, recording: Recording, env: int) -> None:
    kept = {name: getattr(recording, name) for name in ("screens", "frames", "outputs")}
    missing = [name for name, values in kept.items() if values is None]
    if missing:
        raise not_kept(" and no ".join(missing), "screens", "frames", "outputs")
    check_environment(recording, env)
    check_play(network, recording)
    check_states(network, recording)
    check_finite(network)
    if not len(recording.starts):
        raise ValueError("the recording has no steps: there is nothing to show")
