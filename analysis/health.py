"""Health of networks: dormant units, effective rank and drift of the weights, over checkpoints."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pandas

from atari_zoo.analysis.beginnings import TrainingStart, another_start, run_of, training_start
from atari_zoo.analysis.measures.drawn_episodes import membership, resampled_copies
from atari_zoo.analysis.registry import analysis
from atari_zoo.analysis.results import Result
from atari_zoo.analysis.shared_states import SharedStates, carried_words, shared_states
from atari_zoo.analysis.subjects import Subject
from atari_zoo.analysis.unit_health import (
    LookedAt,
    Row,
    dormancy_rows,
    drift_rows,
    look_at,
    rank_rows,
    still_dormant_rows,
)
from atari_zoo.catalog.catalog import INITIAL
from atari_zoo.converters.arguments import checked
from atari_zoo.converters.network.finite import check_finite
from atari_zoo.intervals import CONFIDENCE
from atari_zoo.living_units import rectified

STATES = 2048  # as Kumar et al. took for the rank
RESAMPLES = 100
OWN, SHARED = "own", "shared"


@checked
@analysis("health", source="https://arxiv.org/abs/2302.12902")
def network_health(
    agents: Sequence[Subject],
    *,
    states: int = STATES,
    seed: int = 0,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Result:
    """How much of each network is in use: dormant units, effective rank, drift of the weights.

    states: moments of play that are looked at, at most. seed: of their draw, of the resampling and
        of untrained networks.
    Each agent is shown its own play ("own"), and, where there are several of a game, an equal share
    of all agents' ("shared"). The table has a row for each agent, states, layer and measure:
    agent, run, frames (trained for), states, layer ("all": together), measure, threshold, value,
    low, high, control, n (units, or weights), moments, episodes. Measures: "dormant", the share of
    units whose mean magnitude is at most threshold of their layer's mean, a map being one unit;
    "always_on", the share above 0 at every place of every moment; "srank", "entropy_rank" and
    "participation_ratio" of dense layers' features; "drift", |w - w0| / |w0| from the weights that
    training began with, missing where those are not known; and "still_dormant", the share of the
    units dormant at the run's checkpoint before that still are, on shared states.
    control: the untrained network's, of its own seed where that is known; of "drift" from one
    untrained network to another; of "still_dormant" the share that is dormant now.
    Raises ValueError if a network diverged, or has no layer with a ReLU.
    """
    if states < 1:
        raise ValueError(f"states is {states}; expected at least 1")
    for agent in agents:
        check_finite(agent.network)
        if not rectified(agent.network):
            raise ValueError(f"{agent.name} has no layer with a ReLU, whose units could be dormant")
    rows: list[Row] = []
    begun = [training_start(agent, agents, seed) for agent in agents]
    shared = _shared(agents, states, seed)
    order = sorted(range(len(agents)), key=lambda i: (*_run(agents[i]), _frames(agents[i])))
    before: dict[tuple[str, str], tuple[LookedAt, float]] = {}
    for done, place in enumerate(order):
        agent, start = agents[place], begun[place]
        own = shared_states([agent], states, seed)
        looked = None
        for kind, shown in ((OWN, own), (SHARED, shared.get(agent.recording.game))):
            if shown is not None:
                looked, found = _of_states(agent, start, shown, seed)
                rows += [_facts(agent, kind, shown) | row for row in found]
        rows += [_facts(agent) | row for row in _drift(agent, start, seed)]
        if agent.recording.game in shared and looked is not None:
            # of what comes after what, where frames tell
            earlier, then = before.get(_run(agent), (None, float("nan")))
            if earlier is not None and then < _frames(agent):
                again = still_dormant_rows(earlier, looked)
                facts = _facts(agent, SHARED, shared[agent.recording.game])
                rows += [facts | row for row in again]
            before[_run(agent)] = looked, _frames(agent)
        progress(done + 1, len(order))
    return Result(pandas.DataFrame(rows), _uncertainty(agents, begun))


def _of_states(
    agent: Subject, start: TrainingStart, shown: SharedStates, seed: int
) -> tuple[LookedAt, list[Row]]:
    members = membership(shown.episodes)
    episodes = members.shape[1]
    copies = resampled_copies(episodes, RESAMPLES if episodes > 1 else 1, seed)
    looked = look_at(agent.network, shown.observations, members)
    blank = look_at(start.network, shown.observations, members) if start.network else None
    rows = [
        *dormancy_rows(looked, blank, copies),
        *rank_rows(looked, blank, members, copies),
    ]
    return looked, rows


def _drift(agent: Subject, start: TrainingStart, seed: int) -> Iterator[Row]:
    known = start.network if start.own else None
    yield from drift_rows(agent.network, known, another_start(agent, seed) if known else None)


def _shared(agents: Sequence[Subject], states: int, seed: int) -> dict[str, SharedStates]:
    """Of every game that several of the agents play."""
    games: dict[str, list[Subject]] = {}
    for agent in agents:
        games.setdefault(agent.recording.game, []).append(agent)
    return {
        game: shared_states(those, states, seed) for game, those in games.items() if len(those) > 1
    }


def _run(agent: Subject) -> tuple[str, str]:
    return agent.recording.game, run_of(agent)


def _frames(agent: Subject) -> float:
    """What it was trained for; missing where nothing tells, and 0 is told by its tag alone."""
    frames = agent.card.frames
    return float(frames) if frames or agent.card.tag == INITIAL else float("nan")


def _facts(agent: Subject, kind: str = "", shown: SharedStates | None = None) -> dict[str, Any]:
    return {
        "agent": agent.name,
        "run": run_of(agent),
        "frames": _frames(agent),
        "states": kind,
        "moments": len(shown.episodes) if shown else 0,
        "episodes": len(np.unique(shown.episodes)) if shown else 0,
    }


def _uncertainty(agents: Sequence[Subject], begun: Sequence[TrainingStart]) -> str:
    words = [
        f"low, high: {CONFIDENCE:.0%} bootstrap, whole episodes resampled, {RESAMPLES} times, "
        "about the value; too narrow of fewer than 4 episodes, missing of one, and of drift and "
        "still_dormant"
    ]
    pairs = list(zip(agents, begun, strict=True))
    if strangers := [agent.name for agent, start in pairs if not start.own]:
        words.append(
            f"drift: missing of {', '.join(strangers)}, whose first weights are not known; their "
            "control is an untrained network of another seed"
        )
    if none := [agent.name for agent, start in pairs if start.network is None]:
        words.append(
            f"control: missing of {', '.join(none)}, which torch does not know to initialise"
        )
    words += carried_words(agents)
    words.append(
        "states: own, each agent's play, in which dormancy depends on what it meets; shared, an "
        "equal share of all agents' of a game, the same for all"
    )
    return "; ".join(words)
