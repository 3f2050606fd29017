"""Steps of a recording, as a movie shows them one by one: a few are in memory at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8

from atari_zoo.recordings.arrays import not_kept
from atari_zoo.recordings.recordings import Recording

BLOCK = 32  # steps that are read at once: about 3 MB of screens
SHOWN_FOR = 15  # steps, about a second, for which it is said that an episode has ended


class PlayedStep(NamedTuple):
    """score: before the step; action: its number; None where they were not recorded.
    ended: what the last episode scored, if it ended a moment ago."""

    step: int
    frame: UInt8[np.ndarray, "height width 3"]
    score: float | None
    action: int | None
    ended: float | None


def played_steps(recording: Recording, env: int, steps: range) -> Iterator[PlayedStep]:
    """Each of the steps with its screen.

    Raises ValueError, at the first, if no screens were recorded.
    """
    frames = recording.frames
    if frames is None:
        raise not_kept("frames", "frames")
    scores = recording.scores[:, env] if _scored(recording) else None
    actions = recording.actions[:, env] if len(recording.actions) else None
    ends = np.flatnonzero(recording.over[:, env])
    for block in blocks(steps):
        screens = np.asarray(frames[block.start : block.stop, env])
        for step, frame in zip(block, screens, strict=True):
            yield PlayedStep(
                step,
                frame,
                None if scores is None else float(scores[step]),
                None if actions is None else int(actions[step]),
                _ended(recording, env, ends, step) if scores is not None else None,
            )


def blocks(steps: range, size: int = BLOCK) -> Iterator[range]:
    """Parts of the steps, one after the other."""
    yield from (steps[start : start + size] for start in range(0, len(steps), size))


def step_words(played: PlayedStep, names: Sequence[str], taken: str = "") -> str:
    """A step's number, its score, and the action, by the actions' names.

    taken: what stands before the action.

    >>> step_words(played, ("NOOP", "FIRE"))
    'step 12    score 40    FIRE'
    """
    words = [f"step {played.step}"]
    if played.score is not None:
        words.append(f"score {played.score:g}")
    if played.action is not None:
        words.append(f"{taken}{names[played.action]}")
    if played.ended is not None:
        words.append(f"(game over: {played.ended:g})")
    return "    ".join(words)


def _scored(recording: Recording) -> bool:
    return "scores" in recording.arrays or bool(len(recording.rewards))


def _ended(recording: Recording, env: int, ends: np.ndarray, step: int) -> float | None:
    """The score of the episode that ended at the step, or up to a second before."""
    place = int(np.searchsorted(ends, step, side="right")) - 1
    if place < 0 or step - ends[place] >= SHOWN_FOR:
        return None
    last = int(ends[place])
    gained = recording.rewards[last, env] if len(recording.rewards) else 0.0
    return float(recording.scores[last, env] + gained)
