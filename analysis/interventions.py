"""Interventions on units, and what they cost: the score, the actions, the value, beside control
units that are as active.

A unit that correlates with the submarine need not be used; one whose silence changes the actions is
(Morcos et al., 2018, https://arxiv.org/abs/1803.06959). Any unit's silence changes something: what
counts is by how much more than that of a random unit of the same layer and activity.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas
from jaxtyping import Float

from atari_zoo.analysis.dictionaries.layer_changes import no_effect_words
from atari_zoo.analysis.measures.policy_changes import difference_interval
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
from atari_zoo.converters.network.foreign import Network
from atari_zoo.emulator.kept import environments_kept
from atari_zoo.intervals import interval
from atari_zoo.interventions import OF_PLAY, Intervention, intervening
from atari_zoo.layers import activations
from atari_zoo.play.rollouts import rollout
from atari_zoo.seeds import generator_seed
from atari_zoo.units.numbering import layer_shape, unit_name
from atari_zoo.units.texts import chosen_units

ASKED = 64  # states that tell whether a layer matters to the choice
NEAR = 5  # units of the nearest activity, among which controls are drawn
COLUMNS = "agent units role of measure value low high n".split()
UNCERTAINTY = (
    "low, high: 95% bootstrap, whole episodes resampled, those of the intact agent too where a "
    "change is measured; of fewer than 4 episodes their ends; missing where there is one alone, or "
    "what is measured is not there (kl, js of agents that do "
    "not sample from a policy; value of policies without a critic). "
    "Controls are units of the same layer, drawn among the {near} nearest in mean activity"
)


class UnitCondition(NamedTuple):
    """What is done. role: "intact", "ablated" or "control"; of: the ablated units that a control
    stands beside. units: in words."""

    units: str
    role: str
    of: str
    interventions: tuple[Intervention, ...] = ()


@checked
@analysis(
    "interventions",
    source="https://arxiv.org/abs/1803.06959",
    verb="ablate",
    example="--units conv3:26",
)
def intervention_effects(
    agents: Sequence[Subject],
    *,
    units: Sequence[str] = (),
    kind: str = "zero",
    amount: float | None = None,
    moment: int | None = None,
    together: bool = False,
    controls: int = 1,
    episodes: int = 10,
    states: int = 1000,
    seed: int = 0,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Result:
    """What changes when units are silenced, or held, scaled or pushed.

    units: such as conv3:26, fc:1,5 or output:FIRE; a layer alone is all its units.
    kind: zero, mean, resample, patch, scale or steer; values of mean, resample and patch are those
        of the agent's own play. amount: factor of scale, or what steer adds, in the layer's units.
    moment: of the play, whose values patch takes. together: all units at once, instead of each.
    controls: random units of the same layer and similar activity, beside each.
    episodes: whole ones that each plays; 0 for none. states: moments of the agent's play on which
        the changed network is asked too. seed: of play, draws and resampling.
    The table has a row for each agent, each of its units and each measure: agent, units, role
    (intact, ablated, control), of (what a control stands beside), measure (score, score_change,
    agreement, js, kl, lead, value), value, low, high, n (episodes, or states).
    Raises ValueError if a unit is not there, with the size of its layer, or none is named.
    """
    if not units:
        raise ValueError("no units to change; name some, such as 'conv3:26' (--units)")
    if controls < 0 or episodes < 0:
        raise ValueError(f"controls is {controls}, episodes is {episodes}; expected at least 0")
    plans = [
        _conditions(subject, units, kind, amount, moment, together, controls, seed)
        for subject in agents
    ]
    total, done, rows = sum(map(len, plans)), 0, list[dict[str, Any]]()
    said = [UNCERTAINTY.format(near=NEAR)]
    for subject, conditions in zip(agents, plans, strict=True):
        said += _without_effect(subject, units)
        with environments_kept():
            for found in _measured(subject, conditions, episodes, states, seed):
                rows += found
                done += 1
                progress(done, total)
    return Result(pandas.DataFrame(rows)[COLUMNS], ". ".join(said))


def _without_effect(subject: Subject, texts: Sequence[str]) -> list[str]:
    """What is to be said of the layers that decide no action."""
    states = states_of(subject, ASKED)
    layers = chosen_units(texts, subject.network)
    each = [
        no_effect_words(subject.network, n, states.observations, states.carried) for n in layers
    ]
    return [words for words in each if words]


def _conditions(
    subject: Subject,
    texts: Sequence[str],
    kind: str,
    amount: float | None,
    moment: int | None,
    together: bool,
    controls: int,
    seed: int,
) -> list[UnitCondition]:
    """The intact agent, and each change with its controls."""
    network = subject.network
    chosen = chosen_units(texts, network)  # what is not there is refused before minutes of play
    play = subject.recording if kind in OF_PLAY else None
    if moment is not None and not 0 <= moment < len(subject.episodes):
        raise ValueError(
            f"no moment {moment} in the play of {subject.name}; expected 0 to "
            f"{len(subject.episodes) - 1}"
        )

    def changed(names: Sequence[str]) -> tuple[Intervention, ...]:
        return tuple(
            Intervention(name, kind, play=play, moment=moment, amount=amount, seed=seed)
            for name in names
        )

    single = [(layer, unit) for layer, numbers in chosen.items() for unit in numbers]
    sets = [single] if together else [[one] for one in single]
    drawn = _Controls(subject, chosen, seed) if controls else None
    found = [UnitCondition("none", "intact", "")]
    for some in sets:
        names = [unit_name(layer, unit, network) for layer, unit in some]
        words = " ".join(texts) if together else names[0]
        found.append(UnitCondition(words, "ablated", "", changed(names)))
        for others in drawn.beside(some, controls) if drawn else ():
            found.append(UnitCondition(" ".join(others), "control", words, changed(others)))
    return found


class _Controls:
    """Units of the same layers that are about as active, and are not among the chosen."""

    def __init__(self, subject: Subject, chosen: dict[str, list[int]], seed: int) -> None:
        self.network, self.chosen = subject.network, chosen
        self.random = np.random.default_rng(generator_seed(seed))
        states = states_of(subject, 300)
        self.means = {layer: mean_activities(self.network, layer, states) for layer in chosen}

    def beside(self, units: Sequence[tuple[str, int]], sets: int) -> Iterator[list[str]]:
        """So many sets, one unit for each in every set, none twice; fewer if a layer has not as
        many."""
        taken = {layer: set(numbers) for layer, numbers in self.chosen.items()}
        for _ in range(sets):
            names = []
            for layer, unit in units:
                means = self.means[layer]
                order = np.argsort(np.abs(means - means[unit]), kind="stable").tolist()
                free = [other for other in order if other not in taken[layer]]
                if not free:
                    return
                other = int(self.random.choice(free[:NEAR]))
                taken[layer].add(other)
                names.append(unit_name(layer, other, self.network))
            yield names


def mean_activities(network: Network, layer: str, states: States) -> Float[np.ndarray, "units"]:
    """The mean of each unit of a layer over states, and over the places of its map."""
    values = activations(network, states.observations, layer, state=states.carried)[layer].float()
    if values.ndim == 4:
        return values.mean(dim=(0, 2, 3)).numpy()
    # several values for a unit stand before it, those of several axes are units of their own
    return values.reshape(-1, int(np.prod(layer_shape(layer, network)))).mean(dim=0).numpy()


def _measured(
    subject: Subject, conditions: Sequence[UnitCondition], episodes: int, most: int, seed: int
) -> Iterator[list[dict[str, Any]]]:
    """The rows of one condition after the other; the intact one comes first."""
    network, states = subject.network, states_of(subject, most)
    intact = network_responses(network, states)
    own = _returns(network, episodes, seed)
    for condition in conditions:
        facts = {"agent": subject.name, "units": condition.units, "role": condition.role}
        facts["of"] = condition.of
        if condition.role == "intact":
            yield [facts | row for row in _score_rows(own, None, seed)]
            continue
        with intervening(network, *condition.interventions):
            changed = network_responses(network, states)
            returns = _returns(network, episodes, seed)
        rows = _score_rows(returns, own, seed)
        rows += difference_rows(intact, changed, states, samples_its_policy(network), seed)
        yield [facts | row for row in rows]


def _returns(network: Network, episodes: int, seed: int) -> Float[np.ndarray, "episodes"]:
    if not episodes:
        return np.zeros(0)
    return np.asarray(rollout(network, episodes=episodes, seed=seed).returns, float)


def _score_rows(
    returns: Float[np.ndarray, "episodes"], intact: np.ndarray | None, seed: int
) -> list[dict[str, Any]]:
    """Nothing where nothing was played."""
    if not len(returns):
        return []
    rows = [measured_row("score", returns.mean(), interval(returns.tolist(), seed), len(returns))]
    if intact is not None:
        change = returns.mean() - intact.mean()
        ends = difference_interval(returns, intact, seed)
        rows.append(measured_row("score_change", change, ends, len(returns)))
    return rows
