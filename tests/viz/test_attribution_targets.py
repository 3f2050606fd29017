"""The numbers that are explained: each by its formula, of every head; others refused by name."""

from __future__ import annotations

import architectures
import numpy as np
import pytest
import torch
from torch.testing import assert_close

from atari_zoo.converters.cards import ModelCard
from atari_zoo.viz.attribution.attribution import attribute
from atari_zoo.viz.attribution.baselines import BASELINES, references
from atari_zoo.viz.attribution.target_registry import TARGETS
from atari_zoo.viz.attribution.targets import resolved_target, target_score, target_words

NAMES = ("NOOP", "FIRE", "RIGHT", "LEFT", "RIGHTFIRE", "LEFTFIRE")  # Pong's


def seen(count=3):
    return architectures.observations(count).float() / 255


def values(network, observations):
    with torch.no_grad():
        return architectures.layer_values(network, observations)


# target -> its formula, of the layers' values `v` at observations where `best` are chosen
FORMULAS = {
    "chosen": lambda v, best, row: v["output"][row, best[row, 0]],
    "action:4": lambda v, best, row: v["output"][row, 4],
    "3": lambda v, best, row: v["output"][row, 3],
    "LEFT": lambda v, best, row: v["output"][row, 3],
    "fire": lambda v, best, row: v["output"][row, 1],
    "margin": lambda v, best, row: v["output"][row, best[row, 0]] - v["output"][row, best[row, 1]],
    "margin:FIRE": lambda v, best, row: (
        v["output"][row, 1] - v["output"][row, best[row, 0] if best[row, 0] != 1 else best[row, 1]]
    ),
    "entropy": lambda v, best, row: torch.distributions.Categorical(
        logits=v["output"][row]
    ).entropy(),
    "max": lambda v, best, row: max(v["output"][row]),
}
POLICIES = ("policy", "actor-critic")  # all other heads give values of actions
DECISIONS = {
    (head, f"decision{end}"): FORMULAS[
        {True: "fire" if end else "chosen", False: f"margin{end}"}[head in POLICIES]
    ]
    for head in architectures.HEADS
    for end in ("", ":FIRE")
}
OF_HEADS = DECISIONS | {
    ("actor-critic", "value"): lambda v, best, row: v["value"][row, 0],
    ("dueling", "value"): lambda v, best, row: v["value"][row, 0],
    ("dueling streams", "value"): lambda v, best, row: v["value"][row, 0],
    ("dueling", "advantage"): lambda v, best, row: (
        v["advantage"][row, best[row, 0]] - sum(v["advantage"][row]) / 6
    ),
    # what the output adds to the value
    ("dueling streams", "advantage:LEFT"): lambda v, best, row: (
        v["output"][row, 3] - v["value"][row, 0]
    ),
    ("categorical", "atom:chosen:50"): lambda v, best, row: v["atoms"][row, best[row, 0], 50],
    ("categorical streams", "atom:2:7"): lambda v, best, row: v["atoms"][row, 2, 7],
    ("quantile", "quantile:FIRE:24"): lambda v, best, row: v["quantiles"][row, 1, 24],
    ("implicit quantile", "quantile:0:3"): lambda v, best, row: v["quantiles"][row, 0, 3],
}
CASES = {(head, of): f for head in architectures.HEADS for of, f in FORMULAS.items()} | OF_HEADS


@pytest.mark.parametrize("head, target", CASES)
def test_is_its_formula(head, target):
    network, observations = architectures.network(head), seen()
    best = network(observations).argsort(dim=1, descending=True)
    found = target_score(network, observations, target)
    for at in (observations, observations.flip(2) / 2):  # the actions stay those of the first
        of = values(network, at)
        expected = torch.stack(
            [torch.as_tensor(CASES[head, target](of, best, r)) for r in range(3)]
        )
        with torch.no_grad():
            assert_close(found(at, *found.arguments), expected, atol=1e-5, rtol=1e-5)


def test_each_observation_may_have_its_own_action():
    network, observations = architectures.network("q"), seen()
    found = target_score(network, observations, torch.tensor([5, 0, 2]))
    expected = network(observations)[range(3), [5, 0, 2]]
    assert_close(found(observations, *found.arguments), expected)


@pytest.mark.parametrize("given", [np.array([5, 0, 2], np.uint8), [5, 0, 2]])
def test_actions_may_be_a_recordings(given):
    network, observations = architectures.network("q"), seen()
    found = target_score(network, observations, given)
    assert_close(found(observations, *found.arguments), network(observations)[range(3), [5, 0, 2]])


def test_what_all_actions_share_explains_no_decision():
    """A dueling value that reads one pixel alone: it is in every Q, and in no decision."""
    network = architectures.network("dueling")
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
        for name, row, column in (("conv1", 1, 1), ("conv2", 0, 0), ("conv3", 0, 0)):
            network.layers[name].conv.weight[0, -1 if name == "conv1" else 0, row, column] = 1
        network.layers["fc"].linear.weight[0, 0] = 1
        network.head.value.weight[0, 0] = 1
    observations = torch.rand(1, 4, 84, 84)
    assert attribute(network, observations, target="chosen").values.abs().sum() > 0.01
    assert attribute(network, observations).values.abs().sum() == 0


def test_words_for_captions():
    network = architectures.network("dueling")
    network.card = ModelCard("apex", "Pong")
    outputs = torch.tensor([0.0, 5.0, 4.0, 1.0, 1.0, 1.0])
    words = {
        "decision": "the output of FIRE less RIGHT's, the best other",
        "margin:NOOP": "the output of NOOP less FIRE's, the best other",
        "LEFT": "the output of LEFT",
        "2": "the output of RIGHT",
        "chosen": "the output of FIRE",
        "advantage": "the advantage of FIRE over the mean of all actions",
        "atom:chosen:50": "the logit of atom 50 of FIRE",
        "value": "the value of the state",
    }
    assert {of: target_words(network, of, outputs) for of in words} == words
    always = "the output of the chosen action less that of the best other"
    assert target_words(network, "decision") == always
    assert resolved_target(network, "decision") == "margin"


@pytest.mark.parametrize(
    ("head", "target", "message"),
    [
        (
            "q",
            "valeu",
            r"no target or action 'valeu'; there are decision\[:ACTION\], chosen, action:",
        ),
        ("q", "6", "action is 6; expected 0 to 5"),
        ("q", "-1", "action is -1; expected 0 to 5"),
        ("q", "value", "no layer 'value', so no value: this network has conv1, conv2, conv3, fc"),
        ("actor-critic", "advantage", "no layer 'advantage', so no advantage"),
        ("q", "atom:FIRE:3", "no layer 'atoms', so no atom"),
        ("categorical", "quantile:FIRE:3", "no layer 'quantiles', so no quantile"),
        ("categorical", "atom:FIRE:51", "atom is 51; expected 0 to 50"),
        ("categorical", "atom:FIRE:x", "atom is x; expected 0 to 50"),
        ("categorical", "atom:FIRE", "target is 'atom:FIRE'; it is written atom:ACTION:NUMBER"),
        ("categorical dueling", "value", "layer 'value' is 1x51: a distribution, no value"),
        ("categorical dueling", "advantage", "layer 'advantage' is 6x51: a distribution"),
        ("q", "entropy:3", "target is 'entropy:3'; it is written entropy"),
        ("q", "margin:JUMP", "no target or action 'JUMP'"),
        ("q", torch.tensor([0, 9, 1]), "action is 9; expected 0 to 5"),
        ("q", torch.tensor([0, 1]), "actions for 3 observations"),
        ("q", torch.tensor([0.0, 1.0, 2.0]), "actions are torch.float32; expected whole numbers"),
    ],
)
def test_refuses_what_the_network_lacks(head, target, message):
    with pytest.raises(ValueError, match=message):
        target_score(architectures.network(head), seen(), target)


def test_names_of_actions_may_come_from_the_card():
    network = architectures.network("q", actions=3)
    network.card = ModelCard(action_meanings=("LEFT", "STAY", "RIGHT"))
    found = target_score(network, seen(), "STAY")
    assert_close(found(seen(), *found.arguments), network(seen())[:, 1])


@pytest.mark.parametrize("form", [known.form for known in TARGETS.values()])
def test_every_target_has_an_attribution(form):
    """Gradients reach the pixels from each of them, of a network that has it."""
    name = form.partition("[")[0].partition(":")[0]
    heads = {"advantage": "dueling", "atom": "categorical", "quantile": "quantile"}
    network = architectures.network(heads.get(name, "actor-critic"))
    wanted = form.partition("[")[0].replace("ACTION", "FIRE").replace("NUMBER", "3")
    found = attribute(network, seen(1), "gradient", wanted).values
    assert found.abs().max() > 0


def test_baselines_by_hand():
    observations = seen()
    frames = observations.unbind(dim=1)
    expected = {
        "black": torch.zeros_like(observations),
        "mean": torch.stack([sum(observations) / 3] * 3),
        "previous": torch.stack([frames[0], frames[0], frames[1], frames[2]], dim=1),
        "still": torch.stack([frames[3]] * 4, dim=1),
    }
    for name, by_hand in expected.items():
        assert_close(references(observations, name), by_hand[:, None], msg=name)
    several = references(observations, "observations")
    assert several.shape == (3, 3, 4, 84, 84)
    assert torch.equal(several[2], observations)
    assert set(BASELINES) == {*expected, "blurred", "observations"}  # blurred: with SciPy's


@pytest.mark.parametrize("shape", [(4, 84, 84), (3, 4, 84, 84), (3, 2, 4, 84, 84)])
def test_baselines_of_ones_own(shape):
    given = torch.rand(shape)
    found = references(seen(), given)
    assert found.shape == ((3, 2, 4, 84, 84) if len(shape) == 5 else (3, 1, 4, 84, 84))
    assert torch.equal(
        found[1, 0], given if len(shape) == 3 else given[1].reshape(-1, 4, 84, 84)[0]
    )
