"""Movies of what an agent's decisions depend on, on the game's own colours: the actor in cyan and
the critic in pink (Greydanus et al., 2018, https://arxiv.org/abs/1711.00138, have blue and red), or
any method; beside them the same of a network that learnt nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw

from atari_zoo.agent_states import check_states
from atari_zoo.analysis.responses import untrained_control
from atari_zoo.converters.arguments import checked
from atari_zoo.converters.network.finite import check_finite
from atari_zoo.converters.network.foreign import Network
from atari_zoo.converters.network.stateful import state_size, state_words
from atari_zoo.players import check_play, is_own_play, player_words
from atari_zoo.recordings.arrays import not_kept
from atari_zoo.recordings.recordings import Recording
from atari_zoo.viz.attribution.cases import target_for
from atari_zoo.viz.attribution.registry import UNIT, method_named
from atari_zoo.viz.attribution.targets import target_words
from atari_zoo.viz.images import FAINT, MARGIN, fitting, text
from atari_zoo.viz.movies.boards import SMALL, Board, put
from atari_zoo.viz.movies.clips import Clip
from atari_zoo.viz.movies.movies import output_noun
from atari_zoo.viz.movies.mp4 import check_movie, counted, write_mp4
from atari_zoo.viz.movies.panels import LEAST, ZOOM
from atari_zoo.viz.movies.played import played_steps, step_words
from atari_zoo.viz.saliency.overlays import two_colours
from atari_zoo.viz.saliency.step_maps import VALUES, Question, StepMaps, step_maps

LABEL = 24  # pixels of a line above a game
WEAK = 0.1  # of the full colour: where all is below, the movie says that it shows nothing


class Side(NamedTuple):
    """A game that is drawn: the line above it, and its maps."""

    words: str
    maps: StepMaps


@checked
def saliency_movie(
    network: Network,
    recording: Recording,
    path: str | Path,
    question: Question = Question(),
    clip: Clip = Clip(),
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> None:
    """Writes an mp4 of the game with what each decision depends on; one scale for all of it.

    Where no value of a step reaches a tenth of the scale, the line above says so. The untrained
    control has a scale of its own: what it shows is what any network of the kind would. Maps are
    kept on the disk while the movie is made, so that its length takes no memory.

    recording: with keep=["screens", "frames"], of the network's game. If another agent played it,
        the title says so.
    question: the method and what it is to explain. Of greydanus the actor is cyan, the critic pink.
    clip: the steps, the speed and the size. progress: called with the steps done and all.
    Raises ValueError, before the work, if screens or frames are missing, the recording is of
    another game or other actions, the file cannot be an mp4, or as `attribute` does.
    """
    check_movie(path, clip.rate(recording))
    steps = clip.steps(recording)
    check_play(network, recording)
    check_states(network, recording)
    check_finite(network)
    if recording.frames is None:
        raise not_kept("frames", "screens", "frames")
    control, why = untrained_control(network, question.seed) if question.control else (None, "")
    asked = [network] if control is None else [network, control]
    total = (len(asked) + 1) * len(steps)
    with TemporaryDirectory() as folder:
        sides = []
        for number, each in enumerate(asked):
            place = Path(folder) / str(number)
            place.mkdir()
            maps = step_maps(
                each, recording, clip.env, steps, question, place,
                partial(_later, progress, number * len(steps), total),
            )  # fmt: skip
            name = network.card.name if number == 0 else "before training, in a scale of its own"
            sides.append(Side(name, maps))
        board = _board(network, recording, clip, question, sides, why)
        pictures = _pictures(network, recording, clip, board, sides)
        done = (len(asked)) * len(steps)
        shown = counted(pictures, lambda more: progress(done + more, total))
        write_mp4(shown, path, clip.rate(recording))


def _later(progress: Callable[[int, int], None], before: int, total: int, done: int) -> None:
    progress(before + done, total)


def _board(
    network: Network,
    recording: Recording,
    clip: Clip,
    question: Question,
    sides: Sequence[Side],
    why: str,
) -> Board:
    assert recording.frames is not None  # saliency_movie has looked
    high, wide = (side * (clip.scale or ZOOM) for side in recording.frames.shape[2:4])
    method = method_named(question.method)
    title = f"{network.card.name}{player_words(network, recording)}: {question.method}"
    if method.target:
        explained = target_for(network, method, question.target)
        title += f" of {target_words(network, explained)}"
    notes = [
        *_legend(output_noun(network), sides),
        f"values: {method.unit or UNIT}; one scale for the whole movie",
    ]
    if state_size(network):
        notes.append(f"in each step's recorded state ({state_words(network)})")
    gaps = [side.maps.gap for side in sides[:1] if side.maps.gap is not None]
    notes += [f"sums miss what they should be by up to {gap:.2g} (delta)" for gap in gaps]
    notes += filter(None, [why])
    column = max(LEAST, wide)
    width = len(sides) * (column + 2 * MARGIN) - 2 * MARGIN
    board = Board(title, max(width, 2 * LEAST), LABEL + high, notes)
    image = Image.fromarray(board.ground)
    draw = ImageDraw.Draw(image)
    for number, side in enumerate(sides):
        left = board.left + number * (column + 2 * MARGIN)
        text(draw, (left, board.top), fitting(side.words, column, SMALL), FAINT, SMALL)
    board.ground = np.array(image)
    return board


def _pictures(
    network: Network, recording: Recording, clip: Clip, board: Board, sides: Sequence[Side]
) -> Iterator[UInt8[np.ndarray, "height width 3"]]:
    # what is explained is the network's own choice, which another player need not have made
    taken = "" if is_own_play(network, recording) else "it took "
    scale, seen = clip.scale or ZOOM, recording.preprocessing
    steps = clip.steps(recording)
    for index, played in enumerate(played_steps(recording, clip.env, steps)):
        shown = [side.maps.strengths(index) for side in sides]
        words = step_words(played, recording.action_names, taken)
        if max(float(values.max()) for values in shown[0].values()) < WEAK:
            words += f"    (nothing reaches {WEAK:.0%} of the scale)"
        canvas = board.picture(words)
        for number, strengths in enumerate(shown):
            actor, critic = strengths.get("actor", strengths.get(VALUES)), strengths.get("critic")
            game = two_colours(played.frame, actor, critic, scale, seen)
            column = max(LEAST, game.shape[1]) + 2 * MARGIN
            put(canvas, game, board.left + number * column, board.top + LABEL)
        yield canvas


def _legend(noun: str, sides: Sequence[Side]) -> list[str]:
    """What the colours are, with the value that gets the full one."""
    words = {
        "actor": f"cyan: how far the {noun}s move",
        "critic": "pink: how far the value of the state moves",
    }
    lines = []
    for side in sides[0].maps.scales:
        said = words.get(side, "cyan: absolute values, summed over the frames")
        full = f"{sides[0].maps.scales[side]:.3g}"
        if len(sides) > 1:
            full += f" (before training {sides[1].maps.scales[side]:.3g})"
        lines.append(f"{said}, full colour at {full}")
    return lines
