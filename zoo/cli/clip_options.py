"""Options of verbs that show play: which steps of whose, how fast, how large."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

if TYPE_CHECKING:
    from atari_zoo.converters.network.foreign import Network
    from atari_zoo.recordings.recordings import Recording
    from atari_zoo.viz.movies.clips import Clip

USUAL = 300  # steps, 20 seconds of most games, where no end is given

Agent = Annotated[
    str,
    typer.Argument(
        help="A name, such as a2c/Pong/1, the path of a model's file, or of recorded play. Who has "
        "no play plays 2,500 steps, recorded once and kept."
    ),
]
First = Annotated[int, typer.Option("--from", help="The first step that is shown.", min=0)]
Stop = Annotated[
    int | None, typer.Option("--to", help="The step before which it ends.", show_default="300 on")
]
Episode = Annotated[
    int | None, typer.Option("--episode", help="Instead, a whole episode, from 0.", min=0)
]
Speed = Annotated[float, typer.Option(help="1 is the game's own; 0.25, 4 ...")]
Scale = Annotated[
    int | None, typer.Option(help="Pixels for each of the game's, a whole number.", min=1)
]
OthersPlay = Annotated[
    Path | None, typer.Option("--recording", help="Recorded play to show instead of its own.")
]


class Filmed(NamedTuple):
    """An agent and its play; each is loaded, or played, when it is first called for."""

    network: Callable[[], Network]
    recording: Callable[[], Recording]


def filmed(agent: str, recording: Path | None, clip: Clip, seed: int, device: str) -> Filmed:
    """The agent, and the play of the recording; if not given its own.

    Raises ValueError for a pattern of names, play of another game or other actions, and as `load`
    and `open_recording` do.
    """
    import atari_zoo as zoo
    from atari_zoo.analysis.subjects import as_subjects
    from atari_zoo.catalog.patterns import is_pattern
    from atari_zoo.play.standard import STEPS, standard_play
    from atari_zoo.players import check_play

    there = Path(agent).exists()
    if is_pattern(agent) and not there:
        raise ValueError(f"'{agent}' stands for several agents; give one, or see `atari-zoo grid`")
    if there:
        (subject,) = as_subjects(agent)
        if "recording" in vars(subject):  # the path was of play, whose agent need not be known
            if recording is not None:
                raise ValueError(f"{agent}: is recorded play; --recording {recording} is too much")
            return Filmed(lambda: subject.network, lambda: subject.recording)
    load = cache(lambda: zoo.load(agent, device))
    if recording is not None:
        played = zoo.open_recording(recording)
        check_play(load(), played)
        return Filmed(load, lambda: played)
    needed = clip.first + USUAL if clip.stop is None else clip.stop
    steps = needed if needed > STEPS else None
    whose = load() if there or steps is not None or seed or device != "cpu" else agent
    return Filmed(load, cache(lambda: standard_play(whose, steps, seed)))


def within(clip: Clip, recording: Recording, usual: int | None = USUAL) -> Clip:
    """The clip; where it has no end, so many steps of the recording, or all that there are."""
    end = len(recording.starts)
    if usual is None or clip.stop is not None or clip.episode is not None or clip.first >= end:
        return clip
    return replace(clip, stop=min(clip.first + usual, end))
