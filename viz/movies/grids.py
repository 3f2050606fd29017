"""Grids: many agents' play of one game at the same time, algorithms across and runs down.

As the grids of videos of the original zoo (Such et al., 2019, https://arxiv.org/abs/1812.07069,
figure S9).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw

from atari_zoo.analysis.subjects import Subject
from atari_zoo.converters.algorithms import ALGORITHMS
from atari_zoo.converters.arguments import checked
from atari_zoo.recordings.arrays import not_kept
from atari_zoo.recordings.recordings import Recording
from atari_zoo.viz.images import (
    CHOSEN,
    FAINT,
    INK,
    LINE,
    Colour,
    enlarge,
    fitting,
    text,
    written_width,
)
from atari_zoo.viz.movies.boards import SMALL, TITLE, Board, put, write
from atari_zoo.viz.movies.clips import Clip
from atari_zoo.viz.movies.mp4 import check_movie, counted, write_mp4
from atari_zoo.viz.movies.played import PlayedStep, played_steps
from atari_zoo.viz.plots import title_of

WIDEST, TALLEST = 1600, 1000  # pixels that the games may have together, if no scale is given
FRAME, GAP = 3, 10  # pixels: around a game, and between two
HEADS, LINES = 28, 24  # pixels: above the columns, and below each game
DIM = 0.4  # of a game that is over


@dataclass(frozen=True)
class Cell:
    """A recording's place in the grid, and the steps of it that are shown."""

    recording: Recording
    row: int
    column: int
    steps: range


@checked
def grid_movie(
    agents: Sequence[Subject],
    path: str | Path,
    clip: Clip = Clip(),
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> None:
    """Writes an mp4 of many agents' play of one game, algorithms across and runs down.

    Where an episode ends, its game is framed and its score stands below it for a second; a play
    that is over before the others stays as it was, darkened.

    agents: names, patterns, networks, recordings; who has no play has its standard play.
    clip: the same steps of each; or, of each its own episode of that number.
    progress: called with the steps written and those there are.
    Raises ValueError, before the work, for agents of different games, a play without screens or
    without the steps, or a file that cannot be an mp4.
    """
    check_movie(path)
    check_games(agents)
    for agent in agents:  # none is played before all are known to be of one game
        if agent.recording.frames is None:
            raise ValueError(f"{agent.name}: {not_kept('frames', 'frames')}")
    if clip.episode is None:  # what none reaches is refused; who ends early is shown until then
        clip.steps(max((agent.recording for agent in agents), key=lambda play: len(play.starts)))
    heads, sides, cells = _arranged(agents, clip)
    total = max(len(cell.steps) for cell in cells)
    pictures = _pictures(heads, sides, cells, clip)
    rate = clip.rate(cells[0].recording)
    write_mp4(counted(pictures, lambda done: progress(done, total)), path, rate)


def check_games(agents: Sequence[Subject]) -> None:
    """Raises ValueError, with who plays what, unless all play one game."""
    games: dict[str, str] = {}
    for agent in agents:
        games.setdefault(agent.game, agent.name)
    if len(games) > 1:
        words = ", ".join(f"{name} plays {game}" for game, name in games.items())
        raise ValueError(f"a grid shows one game, but {words}: give agents of one")


def _arranged(agents: Sequence[Subject], clip: Clip) -> tuple[list[str], list[str], list[Cell]]:
    """Words above the columns and beside the rows, and what is where; the runs of one algorithm
    alone stand side by side."""
    known = list(ALGORITHMS)
    algorithms = sorted(
        {agent.card.algorithm for agent in agents},
        key=lambda name: (known.index(name) if name in known else len(known), name),
    )
    runs = sorted({_run(agent) for agent in agents}, key=_natural)
    columns, rows = [title_of(name) for name in algorithms], [f"run {run}" for run in runs]
    cells = []
    for agent in agents:
        place = runs.index(_run(agent)), algorithms.index(agent.card.algorithm)
        row, column = reversed(place) if len(algorithms) == 1 else place
        cells.append(Cell(agent.recording, row, column, _steps(agent, clip)))
    return (rows, columns, cells) if len(algorithms) == 1 else (columns, rows, cells)


def _run(agent: Subject) -> str:
    """What tells it from others of its algorithm: run, checkpoint, collection, number."""
    collection, colon, _ = agent.name.partition("/")[0].rpartition(":")
    return f"{collection}{colon}{agent.name.rpartition('/')[2]}"


def _natural(run: str) -> list[tuple[int, str]]:
    """As people put numbers in order: 2 before 10."""
    return [(int(part or -1), "") if part.isdigit() else (-1, part) for part in _parts(run)]


def _parts(run: str) -> list[str]:
    return [part for part in re.split(r"(\d+)", run) if part]


def _steps(agent: Subject, clip: Clip) -> range:
    """Those of the clip, as far as its recording goes."""
    count = len(agent.recording.starts)
    if clip.episode is None and clip.stop is not None and clip.first < count < clip.stop:
        clip = replace(clip, stop=None)
    return clip.steps(agent.recording)


def _pictures(
    heads: Sequence[str], sides: Sequence[str], cells: Sequence[Cell], clip: Clip
) -> Iterator[UInt8[np.ndarray, "height width 3"]]:
    sizes = [
        cell.recording.frames.shape[2:4] for cell in cells if cell.recording.frames is not None
    ]
    screen = max(size[0] for size in sizes), max(size[1] for size in sizes)
    scale = clip.scale or _fitting((len(sides), len(heads)), screen)
    high, wide = (side * scale + 2 * FRAME for side in screen)
    beside = max(written_width(words, SMALL) for words in sides) + GAP
    size = beside + len(heads) * (wide + GAP), HEADS + len(sides) * (high + LINES + GAP)
    board = Board(_title(cells), *size, _notes(cells, clip))
    _label(board, heads, sides, (beside, wide, high))
    playing = [played_steps(cell.recording, clip.env, cell.steps) for cell in cells]
    last: list[PlayedStep | None] = [None] * len(cells)
    of_episode = " of its episode" if clip.episode is not None else ""
    begun = 0 if clip.episode is not None else clip.first
    for number, now in enumerate(zip_longest(*playing)):
        canvas = board.picture(f"step {begun + number}{of_episode}")
        for place, (cell, step) in enumerate(zip(cells, now, strict=True)):
            left = board.left + beside + cell.column * (wide + GAP)
            top = board.top + HEADS + cell.row * (high + LINES + GAP)
            last[place] = step or last[place]
            shown = last[place]
            assert shown is not None  # every clip has at least one step
            _draw(canvas, (left, top), shown, scale, over=step is None)
        yield canvas


def _draw(
    canvas: np.ndarray, place: tuple[int, int], played: PlayedStep, scale: int, over: bool
) -> None:
    """over: whether its play has ended before that of others."""
    game = enlarge(played.frame, scale)
    height, width = (side + 2 * FRAME for side in game.shape[:2])
    lit: Colour = CHOSEN if played.ended is not None or over else LINE
    canvas[place[1] : place[1] + height, place[0] : place[0] + width] = lit
    dimmed = (game * DIM).astype(np.uint8) if over else game
    put(canvas, dimmed, place[0] + FRAME, place[1] + FRAME)
    words = "" if played.score is None else f"score {played.score:g}"
    if played.ended is not None:
        words = f"game over: {played.ended:g}"
    elif over:
        words = f"ends here: {played.score:g}" if played.score is not None else "ends here"
    ink = CHOSEN if lit == CHOSEN else INK
    write(canvas, place[0], place[1] + height + 3, words, width, ink, SMALL)


def _label(
    board: Board, heads: Sequence[str], sides: Sequence[str], sizes: tuple[int, int, int]
) -> None:
    """sizes: pixels beside the games, and of a game's width and height."""
    beside, wide, high = sizes
    image = Image.fromarray(board.ground)
    draw = ImageDraw.Draw(image)
    for column, words in enumerate(heads):
        left = board.left + beside + column * (wide + GAP)
        text(draw, (left, board.top), fitting(words, wide, TITLE), INK, TITLE)
    for row, words in enumerate(sides):
        top = board.top + HEADS + row * (high + LINES + GAP)
        text(draw, (board.left, top + high / 2), words, FAINT, SMALL, anchor="lm")
    board.ground = np.array(image)


def _fitting(places: tuple[int, int], screen: tuple[int, int]) -> int:
    """Pixels for each of the game's, so that the whole fits where people look."""
    rows, columns = places
    return max(1, min(WIDEST // (columns * screen[1]), TALLEST // (rows * screen[0]), 4))


def _title(cells: Sequence[Cell]) -> str:
    game, count = cells[0].recording.game, len(cells)
    return f"{game}: {count} agent{'s' * (count > 1)}"


def _notes(cells: Sequence[Cell], clip: Clip) -> list[str]:
    seeds = sorted({cell.recording.seed for cell in cells})
    words = f"seed {', '.join(map(str, seeds))}; framed: an episode has just ended, with its score"
    notes = [f"{words}; dark: the play ends before that of others"]
    if len({clip.rate(cell.recording) for cell in cells}) > 1:
        notes.append("their steps last for different numbers of the game's frames")
    return notes
