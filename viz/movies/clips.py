"""Clips: which part of a recording a movie shows, how fast, and how large."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from atari_zoo.converters.arguments import check_kinds
from atari_zoo.recordings.recordings import Recording, check_environment

FRAMES_A_SECOND = 60  # of the console
LARGEST = 16  # pixels for each of the game's


@dataclass(frozen=True)
class Clip:
    """What of a recording is shown: a picture for each step.

    env: which of its environments. first, stop: the steps, from 0; `stop` is the first that is not
        shown; to the end if not given.
    episode: instead of those, all of that one of the environment, from 0.
    speed: 1 is as fast as the game runs, 15 steps a second with a frame skip of 4.
    scale: pixels, in each direction, for each of the game's; what suits the movie if not given.

    Raises ValueError if one of them is out of range, or an episode and steps are asked for.

    >>> Clip(first=200, stop=500, speed=0.5)
    """

    env: int = 0
    first: int = 0
    stop: int | None = None
    episode: int | None = None
    speed: float = 1.0
    scale: int | None = None

    def __post_init__(self) -> None:
        check_kinds(self)
        if not (math.isfinite(self.speed) and 0.01 <= self.speed <= 60):
            raise ValueError(f"speed is {self.speed}; expected 0.01 to 60, where 1 is the game's")
        if self.scale is not None and not 1 <= self.scale <= LARGEST:
            raise ValueError(f"scale is {self.scale}; expected 1 to {LARGEST}")
        if self.first < 0 or (self.stop is not None and self.stop <= self.first):
            raise ValueError(
                f"steps {self.first} to {self.stop}; expected a first one from 0 on, and an end "
                "after it"
            )
        if self.episode is not None and (self.first or self.stop is not None):
            raise ValueError("an episode and steps are two ways to say what is shown: give one")
        if self.episode is not None and self.episode < 0:
            raise ValueError(f"episode is {self.episode}; expected 0 for the first, 1, ...")

    def steps(self, recording: Recording) -> range:
        """The steps of the recording that are shown.

        Raises ValueError if it has none, or not those, with what there is.
        """
        count = len(recording.starts)
        if not count:
            raise ValueError("the recording has no steps: there is nothing to show")
        check_environment(recording, self.env)
        if self.episode is not None:
            return self._episode(recording)
        stop = count if self.stop is None else self.stop
        if self.first >= count or stop > count:
            raise ValueError(
                f"steps {self.first} to {stop} are asked for, but the recording of "
                f"{recording.card.name} has 0 to {count}"
            )
        return range(self.first, stop)

    def _episode(self, recording: Recording) -> range:
        assert self.episode is not None  # steps has looked
        ends = np.flatnonzero(recording.over[:, self.env]) + 1
        begins = [0, *(int(end) for end in ends if end < len(recording.starts))]
        if self.episode >= len(begins):
            raise ValueError(
                f"no episode {self.episode} in environment {self.env}: the recording of "
                f"{recording.card.name} has 0 to {len(begins) - 1}"
            )
        later = [*begins[1:], len(recording.starts)]
        return range(begins[self.episode], later[self.episode])

    def rate(self, recording: Recording) -> Fraction:
        """Steps in a second of the movie."""
        seen = recording.preprocessing
        held = Fraction(seen.frame_skip)
        if 0 < seen.frame_skip_least < seen.frame_skip:
            held = Fraction(seen.frame_skip + seen.frame_skip_least, 2)
        speed = Fraction(self.speed).limit_denominator(1000)
        return (FRAMES_A_SECOND / held * speed).limit_denominator(1000)
