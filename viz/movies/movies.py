"""Activation movies: a game and what its agent computes.

After those of the original zoo (Such et al., 2019, https://arxiv.org/abs/1812.07069).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8

from atari_zoo.agent_states import check_states
from atari_zoo.converters.arguments import checked
from atari_zoo.converters.network.finite import check_finite
from atari_zoo.converters.network.foreign import Network
from atari_zoo.players import check_play, player_words
from atari_zoo.recordings.arrays import not_kept
from atari_zoo.recordings.recordings import Recording
from atari_zoo.viz.attribution.targets import rates_actions
from atari_zoo.viz.movies.bars import LOGIT
from atari_zoo.viz.movies.clips import Clip
from atari_zoo.viz.movies.layer_values import ValueBlock, value_blocks
from atari_zoo.viz.movies.mp4 import check_movie, counted, write_mp4
from atari_zoo.viz.movies.panels import ZOOM, MovieMoment, Panel, PanelFacts
from atari_zoo.viz.movies.played import played_steps, step_words
from atari_zoo.viz.movies.ranges import Range, channel_range, differences_range
from atari_zoo.viz.movies.shown_layers import shown_layers

Picture = UInt8[np.ndarray, "height width 3"]


@checked
def activation_movie(
    network: Network,
    recording: Recording,
    path: str | Path,
    clip: Clip = Clip(),
    layers: Sequence[str] | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> None:
    """Writes an mp4 of the game beside the layers that `shown_layers` names, and the output.

    Each channel of a map and each unit of the dense layer has one scale for the whole movie, so
    that brightness can be compared between frames. What never changes is grey. The bars of the
    outputs show how far each lies from their mean, on one scale: what all share, as the value of
    the state in Q-values, decides nothing. The steps are gone through twice, a few at a time, so
    that a long movie takes no more memory than a short one.

    recording: with keep=["screens", "frames"], of the network's game. If another agent played it,
        the title says so; the outputs are then the network's own.
    clip: the steps, the speed and the size of the game. layers: by name, to be shown in large,
        without the observation.
    progress: called with the steps written and those there are.

    Raises ValueError, before the work, if something is missing in the recording, it is of another
    game or other actions, there is no such layer or step, or the file cannot be an mp4.
    """
    check_movie(path, clip.rate(recording))
    _check(network, recording, clip, layers)
    total = len(clip.steps(recording))
    pictures = _pictures(network, recording, clip, layers)
    write_mp4(counted(pictures, lambda done: progress(done, total)), path, clip.rate(recording))


def output_noun(network: Network) -> str:
    """What one of its outputs is: of Q-networks and of those that sample, the field's word."""
    if rates_actions(network):
        return "Q-value"
    return LOGIT if network.card.action_rule == "sample" else "output"


def _pictures(
    network: Network,
    recording: Recording,
    clip: Clip,
    layers: Sequence[str] | None,
) -> Iterator[Picture]:
    names = shown_layers(network).names if layers is None else list(dict.fromkeys(layers))
    steps = clip.steps(recording)
    ranges, bars, shapes = _measured(network, recording, clip.env, steps, names)
    assert recording.frames is not None  # _check has looked
    panel = Panel(
        PanelFacts(
            f"{network.card.name}{player_words(network, recording)}",
            recording.action_names,
            output_noun(network),
            recording.frames.shape[2:4],
            () if layers is not None else shapes[""],
            {name: shapes[name] for name in names},
            ranges,
            bars,
            large=layers is not None,
            zoom=clip.scale or ZOOM,
        )
    )
    for moment in _moments(network, recording, clip.env, steps, names):
        yield panel.picture(moment)


def _moments(
    network: Network, recording: Recording, env: int, steps: range, names: Sequence[str]
) -> Iterator[MovieMoment]:
    played = played_steps(recording, env, steps)
    for block in value_blocks(network, recording, env, steps, names):
        for index in range(len(block.steps)):
            step = next(played)
            yield MovieMoment(
                frame=step.frame,
                observation=block.observations[index].numpy(),
                layers={name: values[index] for name, values in block.layers.items()},
                output=block.outputs[index],
                action=step.action,
                value=None if block.values is None else float(block.values[index]),
                status=step_words(step, recording.action_names),
            )


def _measured(
    network: Network, recording: Recording, env: int, steps: range, names: Sequence[str]
) -> tuple[dict[str, Range], Range, dict[str, tuple[int, ...]]]:
    """Each channel's smallest and largest value over all steps; how far outputs lie apart; and the
    layers' shapes, with the observation's under no name."""
    ranges: dict[str, Range] = {}
    outputs: list[Float[np.ndarray, "steps actions"]] = []
    block: ValueBlock | None = None
    for block in value_blocks(network, recording, env, steps, names):
        for name, values in block.layers.items():
            found = channel_range(values)
            ranges[name] = ranges[name].joined(found) if name in ranges else found
        outputs.append(block.outputs)
    assert block is not None  # a clip has at least one step
    shapes = block.shapes | {"": tuple(block.observations.shape[1:])}
    return ranges, differences_range(np.concatenate(outputs)), shapes


def check_layers(network: Network, layers: Sequence[str]) -> None:
    """Raises ValueError if none is named, or one that is not there; with those that are."""
    if not layers:
        raise ValueError("no layers to show; name some, such as 'conv3'")
    for name in layers:
        if name not in network.layers:
            known = ", ".join(network.layers)
            raise ValueError(f"{network.card.name} has no layer '{name}'; it has {known}")


def _check(
    network: Network, recording: Recording, clip: Clip, layers: Sequence[str] | None
) -> None:
    steps = clip.steps(recording)
    if recording.frames is None:
        raise not_kept("frames", "screens", "frames")
    check_play(network, recording)
    check_states(network, recording)
    check_finite(network)
    if layers is not None:
        check_layers(network, layers)
    # what cannot be seen again is known before hours of work; so is a layer without a picture
    next(value_blocks(network, recording, clip.env, steps[:1], layers or ()))
