"""Moments of several agents' play in one table, each with where in its recording it is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas
from jaxtyping import Bool, Int

from atari_zoo.analysis.subjects import Subject
from atari_zoo.recordings.recordings import Recording


def moments_table(subjects: Sequence[Subject], every: int) -> pandas.DataFrame:
    """A row for each moment that is looked at: every so many steps of each environment.

    play: the number of the subject among those given; agent: its name; step, env, episode: where
    in its recording; score: the episode's before the step, NaN where rewards were not
    recorded.
    """
    if every < 1:
        raise ValueError(f"every is {every}; expected 1 for all steps, 2 for every second, ...")
    parts = [_moments(number, one, every) for number, one in enumerate(subjects)]
    return pandas.concat(parts, ignore_index=True)


def _moments(number: int, subject: Subject, every: int) -> pandas.DataFrame:
    steps, envs = subject.recording.starts.shape
    step, env = (part.ravel() for part in np.indices((steps, envs)))
    recording = subject.recording
    told = "scores" in recording.arrays or len(recording.rewards)
    scores = np.asarray(recording.scores, float).reshape(-1) if told else np.nan
    columns = {"step": step, "env": env, "episode": subject.episodes, "score": scores}
    table = pandas.DataFrame(columns)[step % every == 0]
    table.insert(0, "agent", subject.name)
    table.insert(0, "play", number)
    return table


def units_of(table: pandas.DataFrame) -> Int[np.ndarray, "moments"]:
    """A number for each episode of each play."""
    return table.groupby(["play", "episode"], sort=True).ngroup().to_numpy()


def counted_ends(recording: Recording) -> Bool[np.ndarray, "steps envs"]:
    """Where what the agent counts ends: its games, or its lives where it was trained so."""
    ends = np.array(recording.over, bool)
    if recording.card.preprocessing.life_loss_ends and len(recording.lives):
        lives = np.asarray(recording.lives)
        ends[1:] |= lives[1:] < lives[:-1]
    return ends
