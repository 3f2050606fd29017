"""Agents of an explorer: those that are asked for, with their play, and the ablated ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from atari_zoo.agent_states import check_states
from atari_zoo.analysis.subjects import Subject, as_subjects
from atari_zoo.converters.network.finite import check_finite
from atari_zoo.interventions import intervened
from atari_zoo.recordings.beginnings import beginning
from atari_zoo.recordings.recordings import check_environment
from atari_zoo.viz.explorer.screens import check_frames
from atari_zoo.viz.explorer.settings import ExplorerSettings, ShownAgent

CONTROLS = 5  # other units of the layer that are ablated in turn


def shown_agents(
    models: Sequence[Subject], ablate: Sequence[str], settings: ExplorerSettings
) -> list[ShownAgent]:
    """The agents, and after them the first one with these units silenced, asked about its play.

    Raises ValueError for agents of different games, play without colour frames, and units that are
    not there.
    """
    subjects = as_subjects(models)
    _check_games(subjects)
    found = [_shown(number, one, settings) for number, one in enumerate(subjects)]
    for one in found:
        check_frames(one)
        check_states(one.network, one.recording)
        check_finite(one.network)
    if ablate:
        found.append(_ablated(found[0], ablate, len(found)))
    return found


def _shown(number: int, subject: Subject, settings: ExplorerSettings) -> ShownAgent:
    recording, name = subject.recording, subject.name
    check_environment(recording, settings.env)
    if 0 < settings.steps < len(recording.starts):
        recording = beginning(recording, settings.steps)
        subject = Subject(recording, subject.network)
        subject.name = name
    folder = f"agent{number}"
    return ShownAgent(
        subject.name, subject, subject.network, recording, settings.env, folder, folder
    )


def _ablated(intact: ShownAgent, units: Sequence[str], number: int) -> ShownAgent:
    network = intervened(intact.network, *units)
    check_states(network, intact.recording)
    words = " ".join(units)
    name = f"{intact.name} without {words}"
    return replace(
        intact, name=name, network=network, folder=f"agent{number}", ablated=words, kept={}
    )


def _check_games(subjects: Sequence[Subject]) -> None:
    games: dict[str, str] = {}
    for one in subjects:
        games.setdefault(one.recording.game, one.name)
    if len(games) > 1:
        (game, first), (other, second) = list(games.items())[:2]
        raise ValueError(
            f"{first} plays {game} and {second} plays {other}: an explorer is of one game, whose "
            "agents share a console's memory; make one for each game"
        )


def changed_choices(intact: ShownAgent, other: ShownAgent) -> float:
    """The share of the play's steps at which their best actions differ."""
    first, second = (one.values("output").argmax(axis=1) for one in (intact, other))
    return float(np.mean(first != second))
