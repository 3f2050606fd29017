"""Edits of the memory, against the counterfactuals one by one."""

from __future__ import annotations

import pytest
import torch

import atari_zoo as zoo
from atari_zoo.analysis.ram_edits import edit_of, ram_edit_effects
from atari_zoo.analysis.subjects import Subject

OXYGEN = 102


@pytest.fixture(scope="module")
def agent() -> Subject:
    network = zoo.load("dqn/Seaquest/1")
    played = zoo.rollout(network, steps=90, envs=2, seed=4, keep=["screens"])
    return Subject(played, network)


def test_effects_are_those_of_the_counterfactuals(agent: Subject) -> None:
    found = ram_edit_effects([agent], edits=["102=4"], units=["fc:3"], states=12).table
    nothing = found[found["edit"] == "none"].set_index("measure")["value"]
    assert nothing["agreement"] == 1 and nothing["lead"] == nothing["value"] == 0
    assert nothing["held"] == 12 and nothing["fc:3"] == 0
    edited = found[found["edit"] == "102=4"].set_index("measure")
    held = int(edited["value"]["held"])
    assert 8 <= held == edited["n"]["value"]
    fates = edited["value"][["held", "slipped", "over", "illegal"]]
    assert fates.sum() == 12
    if held < 12:
        return
    starts = agent.recording.starts
    since, fitting = [0, 0], []
    for step in range(len(starts)):
        for env in range(2):
            since[env] = 0 if starts[step, env] else since[env] + 1
            if since[env] >= 4:
                fitting.append((step, env))
    changes, units = [], []
    for number in range(12):
        step, env = fitting[number // 2 * 30 + number % 2]  # each 15th step, both environments
        other = zoo.counterfactual(agent.recording, step, {OXYGEN: 4}, env)
        seen = agent.recording.observations(env)[step : step + 1]
        with torch.no_grad():
            changes.append(float(agent.network(other).max() - agent.network(seen).max()))
        fc = [zoo.activations(agent.network, some, "fc")["fc"][0, 3] for some in (other, seen)]
        units.append(float(fc[0] - fc[1]))
    assert edited["value"]["value"] == pytest.approx(sum(changes) / 12, abs=1e-4)
    assert edited["value"]["fc:3"] == pytest.approx(sum(units) / 12, abs=1e-4)


def test_edits_are_named_as_the_variables_are() -> None:
    ram = torch.zeros(128, dtype=torch.uint8).numpy()
    variable = next(v for v in zoo.variables("Seaquest") if v.address == OXYGEN)
    value = float(variable.values(ram + 16))
    assert edit_of(f"{variable.name}={value:g},59=3", "Seaquest")(ram) == {OXYGEN: 16, 59: 3}


@pytest.mark.parametrize(
    ("edits", "said"),
    [
        ([], "no edits; name some"),
        (["air=3"], "'air=3' is no edit; expected NAME=VALUE; Seaquest has "),
        (["102"], "'102' is no edit"),
        (["102=x"], "'102=x' is no edit: 'x' is no number"),
        (["200=3"], "expected 0 to 255 at an address of 0 to 127"),
    ],
)
def test_bad_words_are_told(agent: Subject, edits: list[str], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        ram_edit_effects([agent], edits=edits, states=2)
