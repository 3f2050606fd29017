"""Files of recurrent agents, against the libraries' own modules, step by step and across resets."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from recurrent_agents import AtariNet, BabyA3C, CleanRL, DeepNet, Kostrikov, recurrent_network
from torch import Tensor, nn
from torch_zoo_files import Screens, lively, nature

from atari_zoo.converters import ConversionError, to_onnx, to_torch, verify
from atari_zoo.converters.cards import ModelCard
from atari_zoo.converters.convert import read
from atari_zoo.converters.network.heads import (
    ActorCriticHead,
    CategoricalHead,
    DuelingHead,
    PolicyHead,
    QHead,
)
from atari_zoo.converters.network.hooks import recorded
from atari_zoo.converters.network.recurrent import RecurrentNetwork
from atari_zoo.converters.saving import save_as
from atari_zoo.models import convert

STEPS, ENVS = 12, 3
# float32 sums of 3136 terms in another order, through a memory of twelve steps
CLOSE = {"atol": 2e-5, "rtol": 1e-4}


class Step(NamedTuple):
    """What agents are shown: observations, where an episode begins, and what was done before."""

    seen: Tensor
    begun: Tensor
    actions: Tensor
    rewards: Tensor


def play(shape: tuple[int, ...] = (4, 84, 84)) -> Iterator[Step]:
    """Noise; each environment's episodes begin at other steps; rewards beyond -1..1."""
    drawn = torch.Generator().manual_seed(5)
    for number in range(STEPS):
        seen = torch.randint(0, 256, (ENVS, *shape), dtype=torch.uint8, generator=drawn)
        begun = torch.tensor([number == 0, number in (0, 4), number in (0, 7, 8)])
        actions = torch.randint(0, 6, (ENVS,), generator=drawn)
        yield Step(seen, begun, actions, torch.randn(ENVS, generator=drawn) * 3)


def ours(network: RecurrentNetwork) -> tuple[Tensor, Tensor]:
    """Outputs and values of that play, (steps, envs, ...)."""
    outputs, values = [], []
    state = network.initial_state(ENVS)
    with torch.no_grad(), recorded(network, ["value"]) as layers:
        for step in play(network.shape):
            state = network.begun(state, step.begun)
            found, state = network.step(step.seen, state)
            state = network.told(state, step.actions, step.rewards)
            outputs.append(found)
            values.append(layers["value"])
    return torch.stack(outputs), torch.stack(values)


def theirs(module: Any, shape: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """The same of a library's module."""
    outputs, values, states = [], [], module.zeros(ENVS)
    reward, action = torch.zeros(ENVS), torch.zeros(ENVS, dtype=torch.long)
    told = isinstance(module, AtariNet | DeepNet)
    with torch.no_grad():
        for step in play(shape):
            more = (reward, action) if told else ()
            found, value, states = module.step(step.seen, states, step.begun, *more)
            reward, action = step.rewards, step.actions
            outputs.append(found)
            values.append(value)
    return torch.stack(outputs), torch.stack(values)


LIBRARIES: dict[str, tuple[Any, int, dict[str, Any]]] = {
    "CleanRL": (CleanRL, 1, {"algorithm": "ppo", "action_rule": "sample"}),
    "torchbeast": (AtariNet, 4, {"algorithm": "impala", "action_rule": "sample"}),
    "torchbeast, no LSTM": (lambda: AtariNet(use_lstm=False), 4, {"algorithm": "impala"}),
    "torchbeast's ResNet": (DeepNet, 4, {"algorithm": "impala", "action_rule": "sample"}),
    "pytorch-a2c-ppo-acktr": (Kostrikov, 4, {}),
    "baby-a3c": (BabyA3C, 1, {"action_rule": "sample"}),
    "baby-a3c with a GRU": (lambda: BabyA3C("GRUCell"), 1, {"action_rule": "sample"}),
}


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_state_dict_plays_as_its_library_does(library: str, tmp_path: Path) -> None:
    make, frames, card = LIBRARIES[library]
    module, path = make(), tmp_path / "agent.pt"
    torch.save({"model_state_dict": module.state_dict(), "flags": {}}, path)
    side = 80 if "baby" in library else 84
    expected = theirs(module, (frames, side, side))
    source = read(path)
    assert {key: source.card.get(key) for key in card} == card
    assert source.card["preprocessing"].stack == frames and not source.assumptions
    for network in (source.model, to_torch(path)):  # from the weights, and through ONNX
        assert isinstance(network, RecurrentNetwork)
        for found, wanted in zip(ours(network), expected, strict=True):
            torch.testing.assert_close(found, wanted, **CLOSE)


def test_its_last_action_has_as_many_places_as_there_are_actions(tmp_path: Path) -> None:
    torch.save(AtariNet(actions=4).state_dict(), tmp_path / "agent.pt")
    network = to_torch(tmp_path / "agent.pt")
    assert isinstance(network, RecurrentNetwork)
    assert [part.shape for part in network.states[2:]] == [(1,), (4,)]


SB3: dict[str, dict[str, Any]] = {
    "own memory for the critic": {},
    "shared memory": {"shared_lstm": True, "enable_critic_lstm": False},
    "no memory for the critic": {"enable_critic_lstm": False},
    "two layers": {"n_lstm_layers": 2, "lstm_hidden_size": 32},
    "own extractors": {"share_features_extractor": False},
}


@pytest.mark.parametrize("case", SB3)
def test_recurrent_ppo_gives_the_policys_own_outputs(case: str, tmp_path: Path) -> None:
    from sb3_contrib import RecurrentPPO
    from sb3_contrib.common.recurrent.type_aliases import RNNStates

    torch.manual_seed(0)
    settings = {"lstm_hidden_size": 48} | SB3[case]
    model = RecurrentPPO("CnnLstmPolicy", Screens(), device="cpu", policy_kwargs=settings)
    policy = lively(model.policy)
    model.num_timesteps = 1000
    model.save(tmp_path / "ppo_lstm-PongNoFrameskip-v4.zip")
    source = read(tmp_path / "ppo_lstm-PongNoFrameskip-v4.zip")
    assert source.card["game"] == "Pong" and source.card["frames"] == 4000
    assert source.card["algorithm"] == "ppo" and source.card["action_rule"] == "sample"
    network = to_torch(tmp_path / "ppo_lstm-PongNoFrameskip-v4.zip")
    assert isinstance(network, RecurrentNetwork)
    apart = case == "own extractors"
    assert ("value" in network.layers) is not apart
    zeros = torch.zeros(settings.get("n_lstm_layers", 1), ENVS, settings["lstm_hidden_size"])
    states = RNNStates((zeros, zeros), (zeros, zeros))
    state = network.initial_state(ENVS)
    with torch.no_grad(), recorded(network, [] if apart else ["value"]) as layers:
        for step in play():
            begun = step.begun.float()
            logits = policy.get_distribution(step.seen, states.pi, begun)[0].distribution.logits
            value = policy.predict_values(
                step.seen, states.pi if SB3[case].get("shared_lstm") else states.vf, begun
            )
            _, _, _, states = policy(step.seen, states, begun)
            found, state = network.step(step.seen, network.begun(state, step.begun))
            torch.testing.assert_close(found.log_softmax(1), logits, **CLOSE)
            if not apart:
                torch.testing.assert_close(layers["value"], value, **CLOSE)
    assert verify(to_onnx(tmp_path / "ppo_lstm-PongNoFrameskip-v4.zip"))[0].difference < 1e-5
    policy.save(tmp_path / "policy.pth")  # the same weights, in another file
    alone = to_torch(tmp_path / "policy.pth")
    assert isinstance(alone, RecurrentNetwork) and alone.card.action_rule == "sample"
    for name, weight in network.state_dict().items():
        torch.testing.assert_close(alone.state_dict()[name], weight, msg=name)


NETWORKS: dict[str, dict[str, Any]] = {
    "LSTM": {},
    "LSTM, 2 layers, told": {"layers": 2, "told": ("reward", "action")},
    "GRU, 2 layers": {"kind": "gru", "layers": 2, "head": QHead},
    "plain": {"kind": "rnn", "head": PolicyHead},
    "DRQN, no dense layer": {"dense": None, "head": QHead},
    "R2D2, told the action": {"head": DuelingHead, "told": ("action",)},
    "C51": {"head": CategoricalHead},
    "a critic apart": {"critic": True},
}


@pytest.mark.parametrize("suffix", [".onnx", ".safetensors", ".npz"])
@pytest.mark.parametrize("case", NETWORKS)
def test_what_is_written_is_read_again(case: str, suffix: str, tmp_path: Path) -> None:
    network = recurrent_network(**NETWORKS[case])
    path = tmp_path / f"agent{suffix}"
    save_as(to_onnx(network), path)
    again = to_torch(path)
    assert isinstance(again, RecurrentNetwork) and type(again.head) is type(network.head)
    assert list(again.layers) == list(network.layers) and again.states == network.states
    assert again.card.name == network.card.name
    seen = torch.randint(0, 256, (2, 4, 84, 84), dtype=torch.uint8)
    state = torch.rand(2, sum(part.size for part in network.states)) - 0.5
    with torch.no_grad():
        for found, expected in zip(again.step(seen, state), network.step(seen, state), strict=True):
            torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def test_every_named_layer_is_checked_against_onnxruntime(tmp_path: Path) -> None:
    network = recurrent_network(layers=2, critic=True)
    model = to_onnx(network)
    rows = {row.layer: row for row in verify(model)}
    assert rows.keys() == {*network.layers, *(part.name for part in network.states)}
    assert all(row.difference < 1e-5 < row.magnitude for row in rows.values())
    with torch.no_grad():
        network.memory.rnn.weight_hh_l1.mul_(1.01)  # type: ignore[union-attr]
    torch.save(network.state_dict(), tmp_path / "agent.pt")
    assert convert(tmp_path / "agent.pt", game="Pong").report.difference < 1e-5


class Unknown(nn.Module):
    """A DRQN of somebody's own names."""

    def __init__(self, dense: bool = True) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.see = nn.Sequential(*nature((8, 8, 8), 32 if dense else None))
        self.remember = nn.GRU(32 if dense else 8 * 49, 16)
        self.values = nn.Linear(16, 6)
        lively(self)


@pytest.mark.parametrize("dense", [True, False])
def test_unknown_names_are_told_by_shape_and_what_is_assumed_is_said(
    dense: bool, tmp_path: Path
) -> None:
    module = Unknown(dense)
    torch.save(module.state_dict(), tmp_path / "agent.pt")
    source = read(tmp_path / "agent.pt")
    assert len(source.assumptions) == 2  # the range of pixels, and ReLUs
    network = to_torch(tmp_path / "agent.pt")
    assert isinstance(network, RecurrentNetwork)
    seen, state = next(iter(play())).seen, torch.rand(1, ENVS, 16)
    with torch.no_grad():
        out, last = module.remember(module.see(seen / 255)[None], state)
        found, following = network.step(seen, state[0])
    torch.testing.assert_close(found, module.values(out[0]), **CLOSE)
    torch.testing.assert_close(following, last[0], **CLOSE)


def changed(**changes: Tensor | None) -> dict[str, Tensor]:
    weights = dict(Unknown().state_dict())
    for name, tensor in changes.items():
        key = name.replace("__", ".")
        if tensor is None:
            del weights[key]
        else:
            weights[key] = tensor
    return weights


REFUSED: dict[str, tuple[dict[str, Tensor], str]] = {
    "two memories": (
        changed(other__weight_ih_l0=torch.zeros(48, 32), other__weight_hh_l0=torch.zeros(48, 16)),
        "several memories",
    ),
    "two directions": (changed(remember__weight_ih_l0_reverse=torch.zeros(48, 32)), "directions"),
    "no recurrent part": (changed(remember__weight_hh_l0=None), "lacks weight_ih or weight_hh"),
    "five gates": (
        changed(
            remember__weight_hh_l0=torch.zeros(80, 16), remember__weight_ih_l0=torch.zeros(80, 32)
        ),
        "no LSTM, GRU or RNN",
    ),
    "another width": (changed(remember__weight_ih_l0=torch.zeros(48, 30)), "output layer"),
    "no layer 0": (
        {n.replace("_l0", "_l1"): t for n, t in Unknown().state_dict().items()},
        "layers of 'remember' are",
    ),
    "a head of another size": (changed(values__weight=torch.zeros(6, 15)), "15 features"),
    "too many rows": (
        changed(remember__weight_ih_l0=torch.zeros(1, 10**7)),
        "1 and 48 rows: not of one memory",
    ),
    "no numbers": (changed(remember__bias_hh_l0=torch.full((48,), torch.nan)), "not finite"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_such_agent_is_refused_in_one_line(case: str, tmp_path: Path) -> None:
    weights, message = REFUSED[case]
    torch.save(weights, tmp_path / "agent.pt")
    with pytest.raises(ConversionError, match=message) as caught:
        to_torch(tmp_path / "agent.pt")
    assert "\n" not in str(caught.value)


def test_a_policy_of_sb3_cannot_hold_a_memory(tmp_path: Path) -> None:
    network = recurrent_network(head=ActorCriticHead)
    network.card = ModelCard("ppo", "Pong")
    with pytest.raises(ConversionError, match="memory"):
        save_as(to_onnx(network), tmp_path / "policy.pth")
