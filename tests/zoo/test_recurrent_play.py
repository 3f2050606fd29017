"""Recurrent agents at play: their states are carried, begun anew, recorded and gone on with;
against sb3-contrib's own RecurrentPPO, and plain loops over one environment."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from recurrent_agents import AtariNet, WithMemory, exported, recurrent_network
from torch import Tensor
from torch_zoo_files import Screens, lively

import atari_zoo as zoo
from atari_zoo.agent_states import as_it_was
from atari_zoo.converters import save_onnx
from atari_zoo.converters.cards import PREPROCESSINGS
from atari_zoo.converters.network.recurrent import RecurrentNetwork
from atari_zoo.models import convert
from atari_zoo.recordings.header import Header
from atari_zoo.recordings.recordings import Recording

# for the agent an episode ends with a life, so that there are many
LIVES = PREPROCESSINGS["deepmind"]
SAME = "actions rewards starts lives outputs state screens".split()


def agent(game: str = "Breakout", **how: Any) -> RecurrentNetwork:
    """Of random weights, for a game of four actions or six."""
    network = recurrent_network(game=game, **how)
    network.card = network.card.replace(preprocessing=LIVES)
    return network.eval()


def by_hand(network: RecurrentNetwork, recording: Recording, env: int) -> tuple[Tensor, Tensor]:
    """Outputs and states of one environment, its play seen alone, a step at a time."""
    seen = recording.observations(env)
    outputs, states, state = [], [], network.initial_state(1)
    with torch.no_grad():
        for step in range(len(seen)):
            if recording.starts[step, env]:
                zero = network.initial_state(1)
                told = sum(p.size for p in network.states if p.name in ("reward", "action"))
                own = zero.shape[1] - told
                state = torch.cat([zero[:, :own], state[:, own:]], dim=1)
            states.append(state)
            found, state = network.step(seen[step : step + 1], state)
            outputs.append(found)
            action = torch.from_numpy(recording.actions[step : step + 1, env])
            reward = torch.from_numpy(recording.rewards[step : step + 1, env])
            state = network.told(state, action, reward)
    return torch.cat(outputs), torch.cat(states)


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    """A RecurrentPPO of random weights for Breakout, and its zip."""
    from sb3_contrib import RecurrentPPO

    torch.manual_seed(1)
    policy = {"lstm_hidden_size": 64}
    model = RecurrentPPO("CnnLstmPolicy", Screens(4), device="cpu", policy_kwargs=policy)
    with torch.no_grad():
        for parameter in lively(model.policy).lstm_actor.parameters():
            parameter.mul_(3)
        model.policy.action_net.weight.mul_(100)  # so that it does not do one thing for ever
    path = tmp_path_factory.mktemp("library") / "ppo_lstm-BreakoutNoFrameskip-v4.zip"
    model.save(path)
    return model, path


def test_it_plays_as_its_own_library_does(library: tuple[Any, Path]) -> None:
    """500 steps of two environments on the real emulator; episodes end within."""
    model, path = library
    network = zoo.load(path)
    assert isinstance(network, RecurrentNetwork)
    play = zoo.rollout(
        network, steps=500, envs=2, seed=3, action="argmax", keep=["screens", "outputs"]
    )
    assert play.starts[1:].sum() > 10 and len(np.unique(play.actions)) > 2
    state, seen = None, [play.observations(env) for env in range(2)]
    for step in range(500):
        both = np.stack([each[step].numpy() for each in seen])
        begun = play.starts[step]
        with torch.no_grad():
            given = model.policy.obs_to_tensor(both)[0]
            zeros = np.zeros((1, 2, 64), np.float32)
            lstm = tuple(torch.from_numpy(part) for part in (state or (zeros, zeros)))
            starts = torch.from_numpy(begun.astype(np.float32))
            logits = model.policy.get_distribution(given, lstm, starts)[0].distribution.logits
        actions, state = model.predict(both, state, begun, deterministic=True)
        np.testing.assert_array_equal(play.actions[step], actions)
        outputs = torch.from_numpy(np.array(play.outputs[step]))
        torch.testing.assert_close(outputs.log_softmax(1), logits, atol=1e-4, rtol=0)


@pytest.mark.parametrize("how", [{}, {"kind": "gru", "layers": 2}, {"told": ("reward", "action")}])
@pytest.mark.parametrize("groups", [1, 2])
def test_each_environment_has_a_state_of_its_own(how: dict[str, Any], groups: int) -> None:
    network = agent(**how)
    options = {"groups": groups, "seed": 1, "keep": ["screens", "outputs"], "action": "sample"}
    play = zoo.rollout(network, steps=120, envs=3, **options)
    assert play.starts[1:].any() and play.rewards.any()
    assert play.options["state"] == {part.name: list(part.shape) for part in network.states}
    for env in range(3):
        outputs, states = by_hand(network, play, env)
        # matrices of other sizes are summed in another order, and the memory keeps what differs
        np.testing.assert_allclose(play.state[:, env], states, atol=1e-4)
        np.testing.assert_allclose(play.outputs[:, env], outputs, atol=1e-3)
    memory = [p.size for p in network.states if p.name in ("hidden", "cell")]
    assert not np.asarray(play.state)[play.starts][:, : sum(memory)].any()
    assert np.asarray(play.state)[~play.starts].any(axis=1).all()


def test_torchbeasts_agent_is_told_what_it_did_and_got(tmp_path: Path) -> None:
    module = AtariNet(actions=6)
    torch.save(module.state_dict(), tmp_path / "model.pt")
    network = zoo.load(tmp_path / "model.pt")
    play = zoo.rollout(
        network, game="SpaceInvaders", steps=300, envs=2, seed=0, action="sample",
        keep=["screens", "outputs"],
    )  # fmt: skip
    assert play.rewards.max() > 1 and play.starts[1:].any()
    for env in range(2):
        seen, states = play.observations(env), module.zeros(1)
        reward, action = torch.zeros(1), torch.zeros(1, dtype=torch.long)
        for step in range(300):
            done = torch.tensor([bool(play.starts[step, env])])
            with torch.no_grad():
                wanted, _, states = module.step(seen[step : step + 1], states, done, reward, action)
            np.testing.assert_allclose(play.outputs[step, env], wanted[0], atol=1e-4)
            reward = torch.tensor([float(play.rewards[step, env])])
            action = torch.from_numpy(play.actions[step : step + 1, env])


def test_activations_are_those_of_play() -> None:
    network = agent("SpaceInvaders", told=("action",))
    layers = ["fc", "memory"]
    play = zoo.rollout(network, steps=60, envs=2, keep=["screens", "outputs"], layers=layers)
    found = zoo.activations(network, play, [*layers, "output"])
    np.testing.assert_allclose(found["output"], play.outputs, atol=1e-4)
    for layer in layers:  # recorded in float16
        np.testing.assert_allclose(found[layer], play.activations[layer], atol=2e-3, rtol=2e-3)
    later = zoo.activations(as_it_was(network, play, 40, 1), play.observations(1)[40:41], "memory")
    torch.testing.assert_close(later["memory"][0], found["memory"][40, 1], atol=1e-4, rtol=0)
    for step in (-1, 60):
        with pytest.raises(ValueError, match=rf"^no step {step}: the recording has steps 0 to 59$"):
            as_it_was(network, play, step)
    states = torch.from_numpy(np.array(play.state[:, 0]))
    given = zoo.activations(network, play.observations(0), "memory", batch=7, state=states)
    torch.testing.assert_close(given["memory"], found["memory"][:, 0], atol=1e-4, rtol=0)


def test_what_is_asked_in_no_state_is_warned_of() -> None:
    network, seen = agent(), torch.zeros(2, 4, 84, 84, dtype=torch.uint8)
    with pytest.warns(UserWarning, match=r"carries a state \(hidden 1x24, cell 1x24\).*first step"):
        found = zoo.activations(network, seen, "memory")["memory"]
    zero = zoo.activations(network, seen, "memory", state=torch.zeros(1, 48))["memory"]
    torch.testing.assert_close(found, zero)
    with pytest.raises(ValueError, match=r"the state is \(3, 48\); expected \(2, 48\)"):
        zoo.activations(network, seen, "memory", state=torch.zeros(3, 48))


def test_play_without_its_states_is_refused() -> None:
    network = agent()
    play = zoo.rollout(network, steps=4, envs=1, keep=["screens"])
    rest = {name: array for name, array in play.arrays.items() if name != "state"}
    with pytest.raises(ValueError, match=r"which this recording lacks: record its play anew$"):
        zoo.activations(network, Recording(play.header, rest), "memory")
    wide = rest | {"state": np.zeros((4, 1, 50), np.float32)}
    with pytest.raises(ValueError, match=r"a state of 48 numbers.*the recording has 50 a step"):
        zoo.activations(network, Recording(play.header, wide), "memory")
    other = Header(play.card.replace(run="2"), "Breakout", play.preprocessing)
    with pytest.raises(ValueError, match="the play of ppo/Breakout/2 tells nothing"):
        zoo.activations(network, Recording(other, play.arrays), "memory")


@pytest.mark.parametrize("how", [{}, {"told": ("reward", "action")}])
def test_play_that_stopped_goes_on_as_if_it_had_not(how: dict[str, Any], tmp_path: Path) -> None:
    network = agent(**how)
    options = {"envs": 3, "groups": 2, "seed": 2, "keep": ["screens", "outputs"]}
    options |= {"noise": zoo.Noise(0.05, "frame"), "action": "sample"}
    whole = zoo.rollout(network, steps=90, path=tmp_path / "whole.zarr", **options)
    zoo.rollout(network, steps=47, path=tmp_path / "part.zarr", **options)
    again = zoo.rollout(network, steps=90, path=tmp_path / "part.zarr", resume=True, **options)
    assert whole.starts[47:].any()
    for name in SAME:
        np.testing.assert_array_equal(
            np.asarray(getattr(again, name)[:]), np.asarray(getattr(whole, name)[:]), err_msg=name
        )


def test_a_recording_keeps_states_where_it_is_saved(tmp_path: Path) -> None:
    play = zoo.rollout(agent(), steps=5, envs=2)
    play.save(tmp_path / "play.zip")
    np.testing.assert_array_equal(zoo.open_recording(tmp_path / "play.zip").state[:], play.state)
    with pytest.raises(ValueError, match="cannot keep 'state'"):  # it is kept unasked
        zoo.rollout(agent(), steps=5, keep=["state"])


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_in_half_precision_the_memory_stays_whole(dtype: str) -> None:
    network = agent()
    play = zoo.rollout(network, steps=30, envs=2, dtype=dtype, keep=["screens", "outputs"])
    assert np.isfinite(np.asarray(play.state)).all()
    found = zoo.activations(network, play, "output")["output"].numpy()
    # eight bits of a trunk's numbers
    assert np.abs(found - np.asarray(play.outputs)).max() < 0.05 * np.abs(found).max()


def test_a_graphs_states_are_carried_as_onnxruntime_would(tmp_path: Path) -> None:
    module = WithMemory(layers=2)
    graph = exported(module, torch.zeros(2, 4, 84, 84), *module.zeros(2))
    save_onnx(graph, tmp_path / "exported.onnx")
    made = convert(tmp_path / "exported.onnx", game="Pong", input_range="0..1")
    assert any("carries a state from step to step: h 2x24, c 2x24" in n for n in made.report.notes)
    save_onnx(made.model, tmp_path / "agent.onnx")
    play = zoo.rollout(tmp_path / "agent.onnx", steps=50, envs=2, keep=["screens", "outputs"])
    session = onnxruntime.InferenceSession(
        tmp_path / "exported.onnx", providers=["CPUExecutionProvider"]
    )
    names = [output.name for output in session.get_outputs()]
    seen = torch.stack([play.observations(env) for env in range(2)], 1).numpy()
    hidden = cell = np.zeros((2, 2, 24), np.float32)
    for step in range(50):
        kept = ~play.starts[step][None, :, None]
        feed = {"seen": seen[step].astype(np.float32) / 255, "h": hidden * kept, "c": cell * kept}
        outputs, _, hidden, cell = session.run(names, feed)
        np.testing.assert_allclose(play.outputs[step], outputs, atol=1e-4)


def test_another_number_of_frames_is_seen(tmp_path: Path) -> None:
    from recurrent_agents import CleanRL

    folder = tmp_path / "PongNoFrameskip-v4__ppo_atari_lstm__1__1700000000"
    folder.mkdir()
    torch.save(CleanRL().state_dict(), folder / "ppo_atari_lstm.cleanrl_model")
    network = zoo.load(folder / "ppo_atari_lstm.cleanrl_model")
    assert network.card.preprocessing == dataclasses.replace(
        PREPROCESSINGS["cleanrl"], name="cleanrl, 1 frame", stack=1
    )
    play = zoo.rollout(network, steps=10, envs=2, keep=["screens", "outputs"])
    assert play.observations(0).shape == (10, 1, 84, 84)
    found = zoo.activations(network, play, "output")["output"]
    np.testing.assert_allclose(found, play.outputs, atol=1e-5)


def test_no_other_runtime_plays_it() -> None:
    with pytest.raises(ValueError, match="no network that carries a state"):
        zoo.rollout(agent(), steps=1, backend="onnxruntime")
