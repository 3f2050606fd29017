"""Edits of the console's memory, and what agents do about them: less oxygen, another place of the
enemy, all else equal.

The recorded game is played again; before a moment the console is cloned, bytes are set while the
frames of the stack are made, and the agent is asked about what it then sees, beside what it saw.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from math import isfinite, nan
from typing import Any

import numpy as np
import pandas
import torch
from torch import Tensor

from atari_zoo.analysis.measures.policy_changes import episode_interval
from atari_zoo.analysis.measures.thinning import thinned
from atari_zoo.analysis.registry import analysis
from atari_zoo.analysis.responses import (
    States,
    difference_rows,
    measured_row,
    network_responses,
    samples_its_policy,
    states_of,
)
from atari_zoo.analysis.results import Result
from atari_zoo.analysis.subjects import Subject
from atari_zoo.converters.arguments import checked
from atari_zoo.layers import activations
from atari_zoo.play.counterfactuals import FATES, EditedStates, edited_states
from atari_zoo.ram.variables import BYTES, Variable, variables
from atari_zoo.recordings.recordings import Recording
from atari_zoo.units.numbering import layer_shape, unit_name
from atari_zoo.units.texts import chosen_units

COLUMNS = "agent edit measure value low high n".split()
UNCERTAINTY = (
    "low, high: 95% bootstrap, whole episodes resampled; of fewer than 4 episodes their ends; "
    "missing where there is one alone, or what is measured is not there (kl, js of agents "
    "that do not sample from a policy; value of policies without a critic). n: states whose bytes "
    "held. held, slipped (the game wrote over the bytes), over (the game ended), illegal (the "
    "processor met an illegal instruction): how many states each became, of those that were tried. "
    "Control: edit 'none', the same states replayed with nothing set, changes nothing"
)
Edit = Callable[[np.ndarray], Mapping[int, int]]


@checked
@analysis(
    "ram_edits", source="https://arxiv.org/abs/1912.05743", verb="edit-ram", example="--edits 102=4"
)
def ram_edit_effects(
    agents: Sequence[Subject],
    *,
    edits: Sequence[str],
    units: Sequence[str] = (),
    states: int = 100,
    slack: int = 2,
    seed: int = 0,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Result:
    """What agents do otherwise where bytes of the console's memory are other ones.

    edits: bytes by address or by the variable's name, several with commas, as in 102=4 or
        player_x=30,player_y=60; a variable's number is in its own units.
    units: whose values are measured too, such as conv3:26 or fc:1,5; a map's is its mean.
    states: moments of each agent's play that are tried, at most. slack: how far a byte may be from
        what was set, once the frames are made. seed: of the resampling.
    The table has a row for each agent, edit and measure: agent, edit, measure (agreement, js, kl,
    lead, value, a unit's name for the change of its value; held, slipped, over, illegal), value,
    low, high, n.
    Raises ValueError if there is no such variable or unit, or the play does not repeat.
    """
    if not edits:
        raise ValueError("no edits; name some, such as '102=4' (--edits)")
    rows, done, total = list[dict[str, Any]](), 0, len(agents) * (len(edits) + 1)
    for subject in agents:
        chosen = chosen_units(units, subject.network)
        ways: dict[str, Edit] = {"none": lambda ram: {}}
        ways |= {text: edit_of(text, subject.recording.game) for text in edits}
        moments = _moments(subject, states)
        for name, edit in ways.items():
            facts = {"agent": subject.name, "edit": name}
            for row in _measured(subject, moments, edit, slack, chosen, seed):
                rows.append(facts | row)
            done += 1
            progress(done, total)
    return Result(pandas.DataFrame(rows)[COLUMNS], UNCERTAINTY)


def edit_of(text: str, game: str) -> Edit:
    """What sets the bytes that a text names.

    >>> edit_of("102=4,59=3", "Seaquest")(ram)
    {102: 4, 59: 3}
    """
    known = {variable.name: variable for variable in variables(game)}
    settings = []
    for part in text.split(","):
        name, equals, number = (word.strip() for word in part.partition("="))
        if not equals or not (name.isdigit() or name in known):
            there = ", ".join(known) or "none: give an address, 0 to 127"
            raise ValueError(f"'{part}' is no edit; expected NAME=VALUE; {game} has {there}")
        settings.append(_setting(part, int(name) if name.isdigit() else known[name], number))

    def edit(ram: np.ndarray) -> dict[int, int]:
        found = {}
        for what, value in settings:
            if isinstance(what, int):
                found[what] = int(value)
            else:
                found[what.address] = what.byte(value, int(ram[what.address]))
        return found

    edit(np.zeros(128, np.uint8))  # refuses what no byte holds
    return edit


def _setting(part: str, what: int | Variable, number: str) -> tuple[int | Variable, float]:
    """Raises ValueError for what is no number, or no byte at an address."""
    try:
        value = float(number)
    except ValueError:
        value = nan
    if not isfinite(value):
        raise ValueError(f"'{part}' is no edit: '{number}' is no number")
    if isinstance(what, int) and not (value.is_integer() and 0 <= value < 256 and what < BYTES):
        raise ValueError(f"'{part}' is no edit: expected 0 to 255 at an address of 0 to 127")
    return what, value


def _moments(subject: Subject, most: int) -> States:
    """Those far enough from their episode's beginning, those of every so manieth step."""
    recording, every = subject.recording, states_of(subject, len(subject.episodes))
    since = np.zeros(recording.starts.shape, int)
    for step in range(1, len(since)):
        since[step] = np.where(recording.starts[step], 0, since[step - 1] + 1)
    fitting = np.flatnonzero(since.reshape(-1)[every.moments] >= recording.preprocessing.stack)
    if not len(fitting):
        raise ValueError(f"the play of {subject.name} is too short: no moment has a whole stack")
    steps = every.moments[fitting] // recording.starts.shape[1]
    return _some(every, fitting[thinned(steps, most)])


def _some(states: States, rows: np.ndarray) -> States:
    carried = None if states.carried is None else states.carried[rows]
    return States(states.observations[rows], carried, states.episodes[rows], states.moments[rows])


def _measured(
    subject: Subject,
    moments: States,
    edit: Edit,
    slack: int,
    chosen: Mapping[str, Sequence[int]],
    seed: int,
) -> Iterator[dict[str, Any]]:
    recording, rows, seen = subject.recording, list[int](), list[Tensor]()
    envs, fates = recording.starts.shape[1], list[str]()
    for env in range(envs):
        own = np.flatnonzero(moments.moments % envs == env)
        if len(own):
            found = _edited(recording, moments.moments[own] // envs, edit, env, slack)
            fates += found.fates
            rows += own[[fate == "held" for fate in found.fates]].tolist()
            seen.append(found.observations)
    for fate in FATES:
        yield measured_row(fate, fates.count(fate), (np.nan, np.nan), len(fates))
    if not rows:
        return
    before = _some(moments, np.array(rows))
    after = before._replace(observations=torch.cat(seen))
    network = subject.network
    pair = network_responses(network, before), network_responses(network, after)
    yield from difference_rows(*pair, before, samples_its_policy(network), seed)
    for layer, numbers in chosen.items():
        change = _unit_values(subject, layer, after) - _unit_values(subject, layer, before)
        for unit in numbers:
            values = change[:, unit].astype(float)
            ends = episode_interval(values, before.episodes, seed)
            name = unit_name(layer, unit, network)
            yield measured_row(name, values.mean(), ends, len(values))


def _edited(
    recording: Recording, steps: np.ndarray, edit: Edit, env: int, slack: int
) -> EditedStates:
    return edited_states(recording, steps.tolist(), edit, env, slack)


def _unit_values(subject: Subject, layer: str, states: States) -> np.ndarray:
    """(states, units): a map's mean."""
    network = subject.network
    values = activations(network, states.observations, layer, state=states.carried)[layer].float()
    if values.ndim == 4:
        return values.mean(dim=(2, 3)).numpy()
    count = int(np.prod(layer_shape(layer, network)))
    return values.reshape(len(values), -1, count).mean(dim=1).numpy()
