"""Movies of an agent with some units put out of action, beside itself intact, from one start.

Causal evidence of what units are for in play itself, as Morcos et al. (2018,
https://arxiv.org/abs/1803.06959) ablate them in classification.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8

from atari_zoo.converters.arguments import checked
from atari_zoo.converters.network.finite import check_finite
from atari_zoo.converters.network.foreign import Network
from atari_zoo.interventions import Intervention, intervening
from atari_zoo.play.plans import Plan
from atari_zoo.play.rollouts import rollout
from atari_zoo.recordings.recordings import Recording
from atari_zoo.viz.images import CHOSEN, INK, LINE, MARGIN, Colour, enlarge
from atari_zoo.viz.movies.bars import LOGIT, Bars
from atari_zoo.viz.movies.boards import Board, put, write
from atari_zoo.viz.movies.clips import Clip
from atari_zoo.viz.movies.movies import output_noun
from atari_zoo.viz.movies.mp4 import check_movie, counted, write_mp4
from atari_zoo.viz.movies.panels import LEAST, ZOOM
from atari_zoo.viz.movies.played import PlayedStep, blocks, played_steps, step_words
from atari_zoo.viz.movies.ranges import Range, differences_range

USUAL = 300  # steps that both play if the clip has no end
FRAME, LABEL, GAP = 4, 24, 8  # pixels: around a game, of a line above it, between
SAME = "the same so far"


class Twins(NamedTuple):
    """The same agent's play from one start, intact and changed; parting: the first step at which
    they act differently, None if they never do."""

    intact: Recording
    changed: Recording
    parting: int | None


@checked
def ablation_movie(
    network: Network,
    units: Sequence[str | Intervention],
    path: str | Path,
    clip: Clip = Clip(),
    seed: int = 0,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> int | None:
    """Plays the agent twice, intact and with units silenced, and writes an mp4 of both.

    Both begin with the same game, and draw the same random numbers. From the step at which they
    first act differently the changed one is framed, and the line above says which step it was.
    The play is kept on the disk while the movie is made, so that its length takes no memory.

    units: as in "conv3:26"; or any `Intervention`.
    clip: its steps are played from the game's beginning on, and shown from `first`; 300 of them if
        there is no end.
    progress: called with the steps that are played and shown, and those there are.
    Returns the step at which they part, None if they never do.
    Raises ValueError, before the work, for a unit that is not there, an episode, or a file that
    cannot be.
    """
    check_movie(path)
    check_finite(network)
    if not units:
        raise ValueError("no units to silence; name some, such as 'conv3:26'")
    if clip.episode is not None or clip.env:
        raise ValueError("both play anew from one start: give steps, no episode and no env")
    stop = clip.first + USUAL if clip.stop is None else clip.stop
    total = 3 * stop - clip.first
    with TemporaryDirectory() as folder:
        twins = play_twins(
            network, units, stop, seed, Path(folder), lambda done, _: progress(done, total)
        )
        pictures = _pictures(network, twins, range(clip.first, stop), clip.scale or ZOOM)
        shown = counted(pictures, lambda done: progress(2 * stop + done, total))
        write_mp4(shown, path, clip.rate(twins.intact))
    return twins.parting


def play_twins(
    network: Network,
    units: Sequence[str | Intervention],
    steps: int,
    seed: int,
    folder: Path,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Twins:
    """Plays both for so many steps, and records screens and outputs in the folder."""
    plan = Plan(steps=steps, envs=1, seed=seed, keep=["frames", "outputs"])
    with intervening(network, *units):  # first: a unit that is not there is refused at once
        changed = rollout(network, plan, path=folder / "changed.zarr", progress=progress)
    intact = rollout(
        network,
        plan,
        path=folder / "intact.zarr",
        progress=lambda done, total: progress(steps + done, total),
    )
    assert isinstance(intact, Recording) and isinstance(changed, Recording)
    apart = np.flatnonzero(intact.actions[:, 0] != changed.actions[:, 0])
    return Twins(intact, changed, int(apart[0]) if len(apart) else None)


def _pictures(
    network: Network, twins: Twins, steps: range, scale: int
) -> Iterator[UInt8[np.ndarray, "height width 3"]]:
    pair = twins.intact, twins.changed
    assert twins.intact.frames is not None and twins.intact.outputs is not None  # they were kept
    high, wide = (side * scale for side in twins.intact.frames.shape[2:4])
    column = max(LEAST, wide) + 2 * FRAME
    noun = output_noun(network)
    bars = Bars(twins.intact.action_names, _scale(pair, steps), column, noun == LOGIT)
    low, most = float(bars.scale.low), float(bars.scale.high)
    notes = [
        f"bars: each action's {noun} less the mean of all, {low:z.2g} to {most:z.2g} in both; the "
        "action taken is lit",
        f"one start, seed {twins.intact.seed}, and the same random numbers; {_parting(twins)}",
    ]
    title = f"{twins.intact.card.name}, intact and with {_change(twins)}"
    tall = LABEL + high + 2 * FRAME + GAP + bars.height
    board = Board(title, 2 * column + 2 * MARGIN, tall, notes)
    played = zip(*(_with_outputs(each, steps) for each in pair), strict=True)
    for both in played:
        step = both[0][0].step
        apart = twins.parting is not None and step >= twins.parting
        words = f"step {step}    {_since(twins) if apart else SAME}"
        canvas = board.picture(words)
        for side, (now, output) in enumerate(both):
            left = board.left + side * (column + 2 * MARGIN)
            name = "changed" if side else "intact"
            line = f"{name}:  {step_words(now, bars.actions).partition('    ')[2]}"
            frame = CHOSEN if apart and side else LINE
            write(canvas, left, board.top, line, column, CHOSEN if apart and side else INK)
            top = board.top + LABEL
            put(canvas, _framed(enlarge(now.frame, scale), frame), left, top)
            bars.draw(canvas, left, top + high + 2 * FRAME + GAP, output, now.action)
        yield canvas


def _with_outputs(recording: Recording, steps: range) -> Iterator[tuple[PlayedStep, np.ndarray]]:
    assert recording.outputs is not None  # they were kept
    played = played_steps(recording, 0, steps)
    for block in blocks(steps):
        for output in np.asarray(recording.outputs[block.start : block.stop, 0]):
            yield next(played), output


def _scale(pair: Sequence[Recording], steps: range) -> Range:
    outputs = [np.asarray(each.outputs[steps.start : steps.stop, 0]) for each in pair]  # type: ignore[index]
    return differences_range(np.concatenate(outputs))


def _framed(picture: np.ndarray, colour: Colour) -> UInt8[np.ndarray, "taller wider 3"]:
    framed = np.empty((picture.shape[0] + 2 * FRAME, picture.shape[1] + 2 * FRAME, 3), np.uint8)
    framed[:] = colour
    put(framed, picture, FRAME, FRAME)
    return framed


def _change(twins: Twins) -> str:
    """What was done, as the changed one's tag has it."""
    before, after = twins.intact.card.tag, twins.changed.card.tag
    return after.removeprefix(before).removeprefix("+")


def _parting(twins: Twins) -> str:
    if twins.parting is None:
        return f"the same to the end of {len(twins.intact.starts)} steps"
    return f"they part at step {twins.parting}"


def _since(twins: Twins) -> str:
    names, step = twins.intact.action_names, twins.parting
    first, second = (names[each.actions[step, 0]] for each in twins[:2])
    return f"apart since step {step}: {first} when intact, {second} when changed"
