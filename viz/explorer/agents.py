"""Agents of an explorer: those that are asked for, with their play, and the ablated ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from atari_zoo.agent_states import check_states
from atari_zoo.analysis.subjects import Subject
from atari_zoo.converters.network.finite import check_finite
from atari_zoo.interventions import intervened
from atari_zoo.recordings.beginnings import beginning
from atari_zoo.recordings.recordings import check_environment
from atari_zoo.units.texts import parse_units
from atari_zoo.viz.attribution.registry import method_named
from atari_zoo.viz.explorer.layers import layers_to_show
from atari_zoo.viz.explorer.screens import check_frames
from atari_zoo.viz.explorer.settings import ExplorerSettings, ShownAgent


def shown_agents(
    subjects: Sequence[Subject], ablate: Sequence[str], settings: ExplorerSettings
) -> list[ShownAgent]:
    """The agents, and after them the first one with these units silenced, asked about its play.

    They are played only once it is known that their networks have what is asked for.
    Raises ValueError for agents of different games, play without colour frames, and layers, methods
    or units that are not there.
    """
    _check_games(subjects)
    for method in settings.methods:
        method_named(method)
    for one in subjects:
        layers_to_show(one.network, settings.layers)
        check_finite(one.network)
    for units in ablate:
        parse_units(units, subjects[0].network)
    found = [_shown(number, one, settings) for number, one in enumerate(subjects)]
    for agent in found:
        check_frames(agent)
        check_states(agent.network, agent.recording)
    if ablate:
        found.append(_ablated(found[0], ablate, len(found)))
    return found


def _shown(number: int, subject: Subject, settings: ExplorerSettings) -> ShownAgent:
    if settings.steps and "recording" not in vars(subject):  # it is still to be played
        subject.steps = settings.steps
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
        games.setdefault(one.game, one.name)
    if len(games) > 1:
        (game, first), (other, second) = list(games.items())[:2]
        raise ValueError(
            f"{first} plays {game} and {second} plays {other}: an explorer is of one game, whose "
            "agents share a console's memory; make one for each game"
        )
