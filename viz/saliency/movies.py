"""Movies of what an agent's decisions depend on, on the game's own colours: the actor in blue and
the critic in red (Greydanus et al., 2018, https://arxiv.org/abs/1711.00138), or any method."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image, ImageDraw
from torch import Tensor

from atari_zoo.converters.network.foreign import Network
from atari_zoo.games import game as find_game
from atari_zoo.recordings.recordings import Recording
from atari_zoo.viz.attribution.baselines import BaselineLike
from atari_zoo.viz.attribution.cases import attributed, case_for
from atari_zoo.viz.attribution.registry import method_named
from atari_zoo.viz.attribution.targets import TargetLike
from atari_zoo.viz.images import FAINT, INK, MARGIN, PAPER, text
from atari_zoo.viz.movies.mp4 import write_mp4
from atari_zoo.viz.parameterizations.frames import as_floats
from atari_zoo.viz.saliency.overlays import overlay, two_colours

_HEAD, _LINE, _ZOOM = 24, 18, 2  # pixels; the last of the game
FULL = 99.8  # percentile of the whole movie's values that gets the full colour
SaliencyMaps = dict[str, Float[np.ndarray, "steps 84 84"]]


@dataclass(frozen=True)
class Question:
    """What is asked of every decision in a movie; each as of `attribution.attribute`.

    Of greydanus the answer is the actor and, where there is one, the critic, unless the options
    ask for one of them.
    """

    method: str = "greydanus"
    target: TargetLike = "chosen"
    baseline: BaselineLike = "black"
    seed: int = 0
    options: Mapping[str, Any] = field(default_factory=dict)


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

    recording: with keep=["screens", "frames"], of this network; all its steps are held in memory.
    question: the method and what it is to explain. Of greydanus the actor is blue, the critic red.
    fps: agent steps in a second of the movie. progress: called with the steps done and all.
    Raises ValueError if screens or frames are missing, or as `attribute` does.
    """
    if recording.frames is None:
        raise ValueError("no frames in this recording: record with keep=['screens', 'frames']")
    if fps < 1:
        raise ValueError(f"fps is {fps}; it must be at least 1")
    seen = as_floats(recording.observations(env))
    maps = _maps(network, seen, question, progress)
    title = f"{network.card.name}   {question.method}"
    if method_named(question.method).target:
        title += f"({question.target})"
    write_mp4(_pictures(recording, env, maps, title), path, fps)


def _maps(
    network: Network,
    seen: Tensor,
    question: Question,
    progress: Callable[[int, int], None],
) -> SaliencyMaps:
    """What is drawn, by its name: absolute values, summed over the frames."""
    options = dict(question.options)
    method = method_named(question.method, options)
    case = case_for(network, seen, method, question.target, question.baseline, question.seed)
    sides: tuple[str, ...] = ("values",)
    if method.sides is not None:
        sides = (options["side"],) if "side" in options else method.sides(network, seen[:1])
    maps = {}
    for turn, side in enumerate(sides):

        def report(done: int, total: int, turn: int = turn) -> None:
            progress((turn * total + done) // len(sides), total)

        given = options if method.sides is None else options | {"side": side}
        maps[side] = attributed(method, case, given, report).values.abs().sum(dim=1).cpu().numpy()
    return maps


def _pictures(
    recording: Recording, env: int, maps: SaliencyMaps, title: str
) -> Iterator[UInt8[np.ndarray, "height width 3"]]:
    assert recording.frames is not None  # saliency_movie has looked
    scales = {side: float(np.percentile(values, FULL)) or 1.0 for side, values in maps.items()}
    names = find_game(recording.game).actions
    for step in range(len(next(iter(maps.values())))):
        frame = np.asarray(recording.frames[step, env])
        if "values" in maps:
            game = overlay(frame, maps["values"][step][None], _ZOOM, scales["values"])
        else:
            sides = {side: values[step] / scales[side] for side, values in maps.items()}
            game = two_colours(frame, sides.get("actor"), sides.get("critic"), _ZOOM)
        score, action = recording.scores[step, env], names[recording.actions[step, env]]
        status = f"step {step}    score {score:g}    {action}"
        yield _labelled(game, title, status, _legend(scales))


def _legend(scales: dict[str, float]) -> list[str]:
    words = {"actor": "blue: the actor's outputs", "critic": "red: the critic's value"}
    lines = [
        f"{words.get(side, 'violet to yellow: absolute values')}, full colour at {scale:.3g}"
        for side, scale in scales.items()
    ]
    return [*lines, "one scale for the whole movie"]


def _labelled(
    game: UInt8[np.ndarray, "height width 3"], title: str, status: str, legend: list[str]
) -> UInt8[np.ndarray, "taller wider 3"]:
    height, width = game.shape[0] + _HEAD + 30 + _LINE * len(legend), game.shape[1]
    # 4:2:0 video halves the colour's size, so both sides are even
    size = [-(-(side + 2 * MARGIN) // 2) * 2 for side in (width, height)]
    image = Image.new("RGB", (size[0], size[1]), PAPER)
    draw = ImageDraw.Draw(image)
    text(draw, (MARGIN, MARGIN - 4), title, FAINT, 13)
    image.paste(Image.fromarray(game), (MARGIN, MARGIN + _HEAD - 4))
    below = MARGIN + _HEAD + game.shape[0] + 4
    text(draw, (MARGIN, below), status, INK, 14)
    for line, words in enumerate(legend):
        text(draw, (MARGIN, below + 26 + _LINE * line), words, FAINT, 12)
    return np.asarray(image)
