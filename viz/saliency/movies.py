"""Movies of what an agent's decisions depend on, on the game's own colours: the actor in blue and
the critic in red (Greydanus et al., 2018, https://arxiv.org/abs/1711.00138), or any method."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image, ImageDraw
from torch import Tensor

from atari_zoo.agent_states import check_states, recorded_states
from atari_zoo.converters.arguments import checked
from atari_zoo.converters.network.finite import check_finite
from atari_zoo.converters.network.foreign import Network
from atari_zoo.converters.network.stateful import held_at, state_size, state_words
from atari_zoo.players import check_play, is_own_play, player_words
from atari_zoo.recordings.arrays import not_kept
from atari_zoo.recordings.recordings import Recording
from atari_zoo.viz.attribution.baselines import BaselineLike, references
from atari_zoo.viz.attribution.cases import attributed, case_for, target_for
from atari_zoo.viz.attribution.registry import UNIT, method_named
from atari_zoo.viz.attribution.targets import DECISION, TargetLike, target_words
from atari_zoo.viz.images import FAINT, INK, MARGIN, PAPER, text, written_width
from atari_zoo.viz.movies.mp4 import check_movie, write_mp4
from atari_zoo.viz.parameterizations.frames import as_floats
from atari_zoo.viz.saliency.overlays import overlay, two_colours

_HEAD, _LINE, _ZOOM = 24, 18, 2  # pixels; the last of the game
FULL = 99.8  # percentile of the whole movie's values that gets the full colour
SaliencyMaps = dict[str, Float[np.ndarray, "steps rows columns"]]


@dataclass(frozen=True)
class Question:
    """What is asked of every decision in a movie; each as of `attribution.attribute`.

    Of greydanus the answer is the actor and, where there is one, the critic, unless the options
    ask for one of them.
    """

    method: str = "greydanus"
    target: TargetLike = DECISION
    baseline: BaselineLike = "black"
    seed: int = 0
    options: Mapping[str, Any] = field(default_factory=dict)


@checked
def saliency_movie(
    network: Network,
    recording: Recording,
    path: str | Path,
    question: Question = Question(),  # it is frozen
    env: int = 0,
    fps: int = 15,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> None:
    """Writes an mp4 of the game with what each decision depends on; one scale for all of it.

    recording: with keep=["screens", "frames"], of the network's game; all its steps are held in
        memory. If another agent played it, the title says so.
    question: the method and what it is to explain. Of greydanus the actor is blue, the critic red.
    fps: agent steps in a second of the movie. progress: called with the steps done and all.
    Raises ValueError, before the work, if screens or frames are missing, the recording is of
    another game or other actions, the file cannot be an mp4, or as `attribute` does.
    """
    check_play(network, recording)
    check_states(network, recording)
    check_finite(network)
    check_movie(path, fps)
    if recording.frames is None:
        raise not_kept("frames", "screens", "frames")
    seen = as_floats(recording.observations(env))
    if not len(seen):
        raise ValueError("the recording has no steps: there is nothing to show")
    maps, gap = _maps(network, seen, question, _states(network, recording, env), progress)
    method = method_named(question.method)
    title = [f"{network.card.name}{player_words(network, recording)}", question.method]
    if method.target:
        asked = target_for(network, method, question.target)
        title[1] += f" of {target_words(network, asked)}"
    notes = [f"({method.unit or UNIT}); one scale for the whole movie"]
    if state_size(network):
        notes.append(f"in each step's recorded state ({state_words(network)})")
    if gap is not None:
        notes.append(f"sums miss what they should be by up to {gap:.2g} (delta)")
    # what is explained is the network's own choice, which another player need not have made
    taken = "" if is_own_play(network, recording) else "it took "
    write_mp4(_pictures(recording, env, maps, title, notes, taken), path, fps)


def _maps(
    network: Network,
    seen: Tensor,
    question: Question,
    states: Tensor | None,
    progress: Callable[[int, int], None],
) -> tuple[SaliencyMaps, float | None]:
    """What is drawn, by its name: absolute values, summed over the frames; and the largest gap
    between a sum and what the method promises, of those that do.

    states: of a network that carries one, in each step; they are explained one by one.
    """
    if states is not None:
        return _one_by_one(network, seen, question, states, progress)
    options = dict(question.options)
    method = method_named(question.method, options)
    case = case_for(network, seen, method, question.target, question.baseline, question.seed)
    sides: tuple[str, ...] = ("values",)
    if method.sides is not None:
        sides = (options["side"],) if "side" in options else method.sides(network, seen[:1])
    maps, gap = {}, None
    for turn, side in enumerate(sides):

        def report(done: int, total: int, turn: int = turn) -> None:
            progress((turn * total + done) // len(sides), total)

        given = options if method.sides is None else options | {"side": side}
        found = attributed(method, case, given, report)
        maps[side] = found.values.abs().sum(dim=1).cpu().numpy()
        gap = None if found.delta is None else float(found.delta.abs().max())
    return maps, gap


def _one_by_one(
    network: Network,
    seen: Tensor,
    question: Question,
    states: Tensor,
    progress: Callable[[int, int], None],
) -> tuple[SaliencyMaps, float | None]:
    """The same, each observation in its own state."""
    compares = method_named(question.method).baselines != "none"
    compared = references(seen, question.baseline) if compares else None
    parts, gaps = [], []
    for step, state in enumerate(states):
        asked = question
        if compared is not None:
            asked = replace(question, baseline=compared[step : step + 1])
        target = question.target
        if isinstance(target, Tensor | np.ndarray | list | tuple) and len(target) == len(seen):
            asked = replace(asked, target=target[step : step + 1])  # an action for each step
        maps, gap = _maps(held_at(network, state), seen[step : step + 1], asked, None, _unheard)
        parts.append(maps)
        gaps += [] if gap is None else [gap]
        progress(step + 1, len(states))
    joined = {side: np.concatenate([part[side] for part in parts]) for side in parts[0]}
    return joined, max(gaps, default=None)


def _unheard(done: int, total: int) -> None:
    """Progress that nobody is told of."""


def _states(network: Network, recording: Recording, env: int) -> Tensor | None:
    states = recorded_states(network, recording, env)
    return None if states is None else states.to(next(network.parameters()).device)


def _pictures(
    recording: Recording,
    env: int,
    maps: SaliencyMaps,
    title: Sequence[str],
    notes: Sequence[str],
    taken: str = "",
) -> Iterator[UInt8[np.ndarray, "height width 3"]]:
    assert recording.frames is not None  # saliency_movie has looked
    scales = {side: float(np.percentile(values, FULL)) or 1.0 for side, values in maps.items()}
    names, shown = recording.action_names, recording.preprocessing
    for step in range(len(next(iter(maps.values())))):
        frame = np.asarray(recording.frames[step, env])
        if "values" in maps:
            game = overlay(frame, maps["values"][step][None], _ZOOM, scales["values"], shown)
        else:
            sides = {side: values[step] / scales[side] for side, values in maps.items()}
            game = two_colours(frame, sides.get("actor"), sides.get("critic"), _ZOOM, shown)
        score, action = recording.scores[step, env], names[recording.actions[step, env]]
        status = f"step {step}    score {score:g}    {taken}{action}"
        yield _labelled(game, title, status, _legend(scales, notes))


def _legend(scales: dict[str, float], notes: Sequence[str]) -> list[str]:
    words = {"actor": "blue: how far the outputs move", "critic": "red: how far the value moves"}
    lines = [
        f"{words.get(side, 'violet to yellow: absolute values')}, full colour at {scale:.3g}"
        for side, scale in scales.items()
    ]
    return [*lines, *notes]


def _labelled(
    game: UInt8[np.ndarray, "height width 3"],
    title: Sequence[str],
    status: str,
    legend: list[str],
) -> UInt8[np.ndarray, "taller wider 3"]:
    head = _HEAD + _LINE * (len(title) - 1)
    height = game.shape[0] + head + 30 + _LINE * len(legend)
    width = max(game.shape[1], *(written_width(line, 13) for line in title))
    width = max(width, *(written_width(line, 12) for line in legend))
    # 4:2:0 video halves the colour's size, so both sides are even
    size = [-(-(side + 2 * MARGIN) // 2) * 2 for side in (width, height)]
    image = Image.new("RGB", (size[0], size[1]), PAPER)
    draw = ImageDraw.Draw(image)
    for line, words in enumerate(title):
        text(draw, (MARGIN, MARGIN - 4 + _LINE * line), words, FAINT, 13)
    image.paste(Image.fromarray(game), (MARGIN, MARGIN + head - 4))
    below = MARGIN + head + game.shape[0] + 4
    text(draw, (MARGIN, below), status, INK, 14)
    for line, words in enumerate(legend):
        text(draw, (MARGIN, below + 26 + _LINE * line), words, FAINT, 12)
    return np.asarray(image)
