"""Rollouts: repeatable, counted as a plain loop counts, actions drawn as the rule says."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from ale_py.vector_env import AtariVectorEnv

import atari_zoo as zoo
from atari_zoo.converters import ConversionError
from atari_zoo.converters.cards import Preprocessing
from atari_zoo.play.actions import Chooser
from atari_zoo.play.added_noise import with_parameter_noise
from atari_zoo.play.inference import Inference
from atari_zoo.play.plans import Plan
from atari_zoo.play.runner import Runner

SHORT = Preprocessing(max_frames=320)  # 80 steps


def played(recording) -> list[np.ndarray]:
    names = ("actions", "rewards", "lives", "starts", "returns", "lengths", "outputs")
    return [getattr(recording, name) for name in names]


@pytest.mark.parametrize("envs", [1, 8])
def test_a_seed_repeats_the_play(random_agent, envs):
    network = random_agent("Breakout")
    options = {"steps": 30, "envs": envs, "keep": ["outputs"]}
    first, again = (zoo.rollout(network, seed=3, **options) for _ in range(2))
    for one, two in zip(played(first), played(again), strict=True):
        np.testing.assert_array_equal(one, two)
    assert first.steps == 30 * envs


def test_another_seed_plays_otherwise(random_agent):
    network = random_agent("Breakout")
    first, other = (zoo.rollout(network, steps=30, envs=1, seed=seed) for seed in (3, 4))
    assert not np.array_equal(first.actions, other.actions)


def plain_loop(network, quotas: list[int], seed: int) -> tuple[list[float], list[int]]:
    """Returns and lengths of Kangaroo's first episodes: one environment after the other, ale-py's
    own stack, the largest output."""
    returns, lengths = [], []
    for env, quota in enumerate(quotas):
        emulator = AtariVectorEnv(
            "kangaroo", 1, num_threads=1, max_num_frames_per_episode=320, reward_clipping=False
        )
        observation, _ = emulator.reset(seed=seed + env)
        score, length, ended = 0, 0, 0
        while ended < quota:
            action = network(torch.from_numpy(observation)).argmax(1).numpy()
            observation, reward, terminated, truncated, _ = emulator.step(action)
            score, length = score + reward[0], length + 1
            if terminated[0] or truncated[0]:
                returns, lengths = [*returns, float(score)], [*lengths, length]
                score, length, ended = 0, 0, ended + 1
                # in this mode the next action is passed over and begins the next episode
                observation, *_ = emulator.step(action)
        emulator.close()
    return returns, lengths


@pytest.mark.parametrize("episodes, envs, quotas", [(5, 3, [2, 2, 1]), (1, 4, [1]), (3, 1, [3])])
def test_episodes_are_shared_out_and_counted(random_agent, episodes, envs, quotas):
    network = random_agent("Kangaroo", rule="argmax")
    recording = zoo.rollout(network, episodes=episodes, envs=envs, seed=3, preprocessing=SHORT)
    with torch.inference_mode():
        returns, lengths = plain_loop(network, quotas, seed=3)
    assert recording.lengths.tolist() == lengths
    assert recording.returns.tolist() == returns
    assert len(np.unique(recording.actions)) > 1  # it did look at the screen
    assert recording.actions.shape[1] == len(quotas)


def test_steps_count_every_episode_that_ended(random_agent):
    recording = zoo.rollout(
        random_agent("Breakout"), steps=170, envs=2, seed=3, preprocessing=SHORT
    )
    assert recording.returns.shape == recording.lengths.shape == (4,)
    assert recording.lengths.tolist() == [80] * 4


def test_sampling_follows_the_softmax():
    logits = torch.tensor([[2.0, 0.0, -1.0, 1.0, -30.0], [0.0, 0.0, 0.0, 0.0, 0.0]])
    count = 20_000
    chooser = Chooser("sample", 0.0, 1, torch.device("cpu"))
    actions = chooser.choose(logits.repeat(count, 1), chooser.draw(2 * count, 5))
    drawn = actions.reshape(count, 2)
    for column, expected in enumerate(logits.double().softmax(1).numpy()):
        frequencies = np.bincount(drawn[:, column], minlength=5) / count
        # five standard deviations of a binomial frequency
        assert (np.abs(frequencies - expected) <= 5 * np.sqrt(expected / count)).all()


@pytest.mark.parametrize("epsilon", [0.0, 0.25, 1.0])
def test_epsilon_greedy(epsilon):
    count, actions = 20_000, 6
    outputs = torch.zeros(count, actions)
    outputs[:, 4] = 1
    chooser = Chooser("epsilon-greedy", epsilon, 1, torch.device("cpu"))
    chosen = chooser.choose(outputs, chooser.draw(count, actions))
    frequencies = np.bincount(chosen, minlength=actions) / count
    expected = np.full(actions, epsilon / actions)
    expected[4] += 1 - epsilon
    assert (np.abs(frequencies - expected) <= 5 * np.sqrt(expected * (1 - expected) / count)).all()


def test_argmax_needs_no_chance():
    outputs = torch.tensor([[0.0, 3.0, 2.0], [5.0, 4.0, 1.0]])
    chooser = Chooser("argmax", 1.0, 1, torch.device("cpu"))
    assert chooser.choose(outputs, chooser.draw(2, 3)).tolist() == [1, 0]


@pytest.mark.parametrize("rule", ["argmax", "sample", "epsilon-greedy"])
def test_action_noise_comes_on_top_of_any_rule(rule):
    count, actions = 20_000, 4
    outputs = torch.full((count, actions), -30.0)
    outputs[:, 2] = 0
    chooser = Chooser(rule, 0.2, 1, torch.device("cpu"), noise=0.5)
    chosen = chooser.choose(outputs, chooser.draw(count, actions))
    random = 1 - 0.5 * (0.8 if rule == "epsilon-greedy" else 1)
    expected = random * (1 - 1 / actions)
    assert abs((chosen != 2).mean() - expected) < 5 * np.sqrt(0.25 / count)


def test_the_rule_and_epsilon_reach_the_games(random_agent):
    network = random_agent("Breakout", rule="argmax")
    options = {"steps": 60, "envs": 2, "seed": 2, "keep": ["outputs"]}
    greedy = zoo.rollout(network, **options)
    np.testing.assert_array_equal(greedy.actions, greedy.outputs.argmax(-1))
    uniform = zoo.rollout(network, action="epsilon-greedy", epsilon=1.0, **options)
    assert (np.bincount(uniform.actions.ravel(), minlength=4) / 120 > 0.1).all()
    assert (uniform.actions != uniform.outputs.argmax(-1)).mean() > 0.5


def test_what_was_kept_is_of_the_steps_own_moment(random_agent):
    network = random_agent("Breakout")
    seen = []
    hook = network.register_forward_hook(lambda _, inputs, output: seen.append((inputs, output)))
    recording = zoo.rollout(network, steps=30, envs=2, keep=["outputs", "screens"], groups=1)
    hook.remove()
    assert len(seen) == 31  # it had thought of the next one when it was told to stop
    for step, ((observations,), outputs) in enumerate(seen[:30]):
        np.testing.assert_array_equal(recording.screens[step], observations[:, -1])
        np.testing.assert_array_equal(recording.outputs[step], outputs)


def test_progress_is_told_every_step(random_agent):
    told = []
    zoo.rollout(random_agent(), steps=5, envs=1, progress=lambda *counts: told.append(counts))
    assert told == [(step, 5) for step in range(1, 6)]


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({}, "either steps= or episodes="),
        ({"steps": 1, "episodes": 1}, "either steps= or episodes="),
        ({"steps": 1, "envs": 0}, "envs is 0; it must be at least 1"),
        ({"steps": 0}, "steps is 0; it must be at least 1"),
        ({"episodes": -1}, "episodes is -1; it must be at least 1"),
        ({"steps": 1, "action": "best"}, "no action rule 'best'; there are argmax, sample"),
        ({"steps": 1, "keep": ["movie"]}, "cannot keep 'movie'; there are screens, frames"),
        ({"steps": 1, "game": "Breakout"}, "6 actions, but Breakout has 4 .*another game's"),
        ({"steps": 1, "game": "Pnog"}, "no game 'Pnog'; did you mean Pong"),
        ({"steps": 1, "epsilon": 1.5}, "epsilon is 1.5; it must be from 0 to 1"),
        ({"steps": 1, "layers": ["conv9"]}, "no layer 'conv9'; this network has conv1, conv2"),
        ({"steps": 1, "dtype": "int4"}, "no dtype 'int4'; there are float32, bfloat16"),
        ({"steps": 1, "backend": "jax"}, "no backend 'jax'; there are auto, torch, onnxruntime"),
        ({"steps": 1, "mode": 99}, "pong has no mode 99; there are 0, 1"),
    ],
)
def test_mistakes_are_explained(random_agent, arguments, message):
    with pytest.raises(ValueError, match=message):
        zoo.rollout(random_agent("Pong"), **arguments)


def test_a_network_of_no_game_asks_for_one(random_agent):
    network = random_agent("Pong")
    network.card = network.card.replace(game="")
    with pytest.raises(ValueError, match="say which with game="):
        zoo.rollout(network, steps=1)


@pytest.mark.parametrize("rule", ["argmax", "sample", "epsilon-greedy"])
def test_how_environments_are_grouped_changes_nothing(random_agent, rule):
    network = random_agent("Breakout")
    options = {"steps": 40, "envs": 5, "action": rule, "epsilon": 0.3, "keep": ["screens"]}
    whole, halves, single = (zoo.rollout(network, groups=g, **options) for g in (1, 2, 5))
    for other in (halves, single):
        np.testing.assert_array_equal(whole.actions, other.actions)
        np.testing.assert_array_equal(whole.rewards, other.rewards)
        np.testing.assert_array_equal(whole.screens, other.screens)


@pytest.mark.parametrize("backend, expected", [("torch", 1), ("onnxruntime", 2)])
def test_torchs_threads_do_not_work_against_the_emulators(random_agent, backend, expected):
    plan = Plan(steps=1, envs=4, backend=backend)
    with Runner(random_agent("Pong"), plan) as runner:
        assert len(runner._groups) == expected
    with Runner(random_agent("Pong"), dataclasses.replace(plan, groups=3)) as runner:
        assert len(runner._groups) == 3


EVERYTHING = {
    "keep": ["frames", "ram", "outputs", "probabilities", "executed"],
    "layers": ["conv3", "fc"],
}
SAME = ("actions", "executed", "rewards", "terminated", "truncated", "starts", "lives", "scores")


def test_recording_everything_changes_nothing(random_agent, tmp_path):
    network = random_agent("Breakout")
    options = {"steps": 100, "envs": 3, "seed": 5, "preprocessing": SHORT}
    fast = zoo.rollout(network, keep=["screens", "outputs"], **options)
    whole = zoo.rollout(network, **EVERYTHING, **options)
    disk = zoo.rollout(network, path=tmp_path / "play.zarr", **EVERYTHING, **options)
    for name in SAME:
        np.testing.assert_array_equal(getattr(fast, name), getattr(whole, name), err_msg=name)
        np.testing.assert_array_equal(getattr(fast, name), getattr(disk, name), err_msg=name)
    for env in range(3):
        assert torch.equal(fast.observations(env), whole.observations(env))
        assert torch.equal(fast.observations(env), disk.observations(env))
    for name in ("outputs", "ram", "raw_frames", "probabilities"):
        np.testing.assert_array_equal(getattr(whole, name), np.asarray(getattr(disk, name)[:]))
    assert whole.returns.tolist() == disk.returns.tolist() == fast.returns.tolist()
    seen = fast.observations(1)
    acts = zoo.activations(network, seen, ["fc"])["fc"]
    np.testing.assert_allclose(disk.activations["fc"][:, 1], acts.numpy(), rtol=2e-3, atol=1e-3)
    np.testing.assert_allclose(
        whole.probabilities, torch.from_numpy(whole.outputs).softmax(-1), atol=1e-6
    )


@pytest.mark.parametrize(("backend", "threads"), [("onnxruntime", 1), ("torch", 3)])
def test_torch_keeps_to_one_thread_while_onnxruntime_computes(backend, threads):
    before, seen = torch.get_num_threads(), []

    def look(done: int, total: int) -> None:
        seen.append(torch.get_num_threads())

    torch.set_num_threads(3)
    try:
        zoo.rollout(zoo.load("a2c/Pong/1"), steps=2, envs=2, backend=backend, progress=look)
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)
    assert seen == [threads, threads]


PROGRAM = """
import sys, torch
import atari_zoo as zoo
from atari_zoo.converters import ConversionError
from atari_zoo.converters.cards import Preprocessing
torch.set_num_threads(1)
zoo.rollout(
    zoo.load(sys.argv[1]), steps=400, envs=2, seed=5, preprocessing=Preprocessing(max_frames=320),
    keep=["ram", "outputs"], path=sys.argv[2], resume=True, noise=zoo.Noise(0.1, "frame"),
)
"""


def test_a_killed_recording_is_resumed_as_if_nothing_had_been(tmp_path):
    whole, killed = tmp_path / "whole.zarr", tmp_path / "killed.zarr"
    command = [sys.executable, "-c", PROGRAM, "a2c/Pong/1"]
    subprocess.run([*command, whole], check=True)
    process = subprocess.Popen([*command, killed])
    while process.poll() is None and not _safe(killed):
        time.sleep(0.02)
    process.kill()
    process.wait()
    assert 0 < _safe(killed) < 400
    subprocess.run([*command, killed], check=True)
    one, two = zoo.open_recording(whole), zoo.open_recording(killed)
    for name in (*SAME, "ram", "outputs"):
        np.testing.assert_array_equal(
            np.asarray(getattr(one, name)[:]), np.asarray(getattr(two, name)[:]), err_msg=name
        )


def _safe(path) -> int:
    try:
        return len(zoo.open_recording(path).starts)
    except (OSError, ConversionError):
        return 0


def test_other_play_is_not_gone_on_with(random_agent, tmp_path):
    network, path = random_agent("Pong"), tmp_path / "play.zarr"
    zoo.rollout(network, steps=4, envs=1, path=path)
    with pytest.raises(FileExistsError, match=r"play\.zarr"):
        zoo.rollout(network, steps=4, envs=1, path=path)
    with pytest.raises(ValueError, match="a recording with another seed; choose another path"):
        zoo.rollout(network, steps=4, envs=1, seed=1, path=path, resume=True)
    longer = zoo.rollout(network, steps=6, envs=1, path=path, resume=True)
    assert longer.actions.shape == (6, 1)


@pytest.mark.parametrize(
    "other", [{"noise": zoo.Noise(actions=0.5)}, {"action": "argmax"}, {"dtype": "bfloat16"}]
)
def test_play_of_another_kind_is_not_gone_on_with(random_agent, tmp_path, other):
    network, path = random_agent("Pong"), tmp_path / "play.zarr"
    zoo.rollout(network, steps=4, envs=1, action="sample", path=path)
    with pytest.raises(ValueError, match="a recording with another way of playing; choose"):
        zoo.rollout(
            network, steps=9, envs=1, path=path, resume=True, **{"action": "sample"} | other
        )
    assert zoo.open_recording(path).options == {"action": "sample", "scaling": "in weights"}


def test_several_networks_play_as_each_would_alone(random_agent, tmp_path):
    pong, breakout = random_agent("Pong"), random_agent("Breakout")
    options = {"steps": 30, "envs": 3, "seed": 4, "keep": ["screens", "outputs"]}
    told = []
    networks = [pong, breakout, pong]
    together = zoo.rollout(
        networks, path=tmp_path / "plays", progress=lambda *counts: told.append(counts), **options
    )
    for network, recording in zip(networks, together, strict=True):
        alone = zoo.rollout(network, **options)
        assert recording.game == alone.game
        for name in ("actions", "rewards", "screens", "outputs"):
            np.testing.assert_array_equal(getattr(recording, name)[:], getattr(alone, name), name)
    assert told == [(step, 90) for step in range(1, 91)]
    names = sorted(path.name for path in (tmp_path / "plays").iterdir())
    assert names == ["a2c-Breakout-1.zarr", "a2c-Pong-1.zarr", "a2c-Pong-1~2.zarr"]


def test_networks_that_end_at_different_times(random_agent):
    networks = [random_agent("Breakout"), random_agent("Seaquest")]
    together = zoo.rollout(networks, episodes=2, envs=2)
    assert [len(recording.returns) for recording in together] == [2, 2]
    assert together[0].lengths.max() != together[1].lengths.max()
    assert zoo.rollout([], steps=3) == []


def test_half_precision_and_onnxruntime_see_the_same(random_agent):
    network = random_agent("Breakout")
    options = {"steps": 10, "envs": 4, "keep": ["screens", "outputs"], "layers": ["fc"]}
    plain = zoo.rollout(network, backend="torch", **options)
    portable = zoo.rollout(network, backend="onnxruntime", **options)
    np.testing.assert_allclose(plain.outputs, portable.outputs, atol=1e-5)
    np.testing.assert_allclose(plain.activations["fc"], portable.activations["fc"], atol=1e-2)
    half = zoo.rollout(network, dtype="bfloat16", **options)
    first = np.abs(half.outputs[0] - plain.outputs[0]).max()  # 8 bits of each product
    assert 0 < first < 0.02 * np.abs(plain.outputs[0]).max() + 0.02
    assert zoo.rollout(network, backend="trial", steps=3).actions.shape == (3, 8)


def test_a_games_mode_is_played(random_agent):
    network = random_agent("Breakout")
    usual, breakthru = (
        zoo.rollout(network, steps=30, envs=2, keep=["ram"], mode=mode) for mode in (None, 12)
    )
    assert not np.array_equal(usual.ram[0], breakthru.ram[0])


def test_sticky_actions_replace_the_preprocessings(random_agent):
    network = random_agent("Breakout")
    stuck = zoo.rollout(network, steps=40, envs=2, sticky=0.9, keep=["screens"])
    free = zoo.rollout(network, steps=40, envs=2, keep=["screens"])
    assert stuck.preprocessing.sticky == 0.9
    assert not np.array_equal(stuck.screens, free.screens)


@pytest.mark.parametrize("place", ["stack", "frame"])
def test_observation_noise_has_the_spread_and_the_memory_that_it_says(random_agent, place):
    network = random_agent("Breakout")
    seen = []
    hook = network.register_forward_hook(lambda _, inputs, output: seen.append(inputs[0]))
    noise = zoo.Noise(observation=0.2, place=place)
    recording = zoo.rollout(network, steps=6, envs=2, groups=1, noise=noise, keep=["screens"])
    hook.remove()
    clean = torch.stack([recording.observations(env) for env in (0, 1)], dim=1) / 255
    added = torch.stack(seen[:6]) - clean  # (steps, envs, stack, 84, 84)
    assert abs(added.std() - 0.2) < 0.002 and abs(added.mean()) < 0.002
    older, newer = added[1:, :, :3].flatten(), added[:-1, :, 1:].flatten()
    alike = torch.corrcoef(torch.stack([older, newer]))[0, 1]
    assert alike > 0.999 if place == "frame" else abs(alike) < 0.02


@pytest.mark.parametrize("kernels", [True, False])
def test_parameter_noise(random_agent, kernels):
    network = random_agent("Pong")
    before = {name: weight.clone() for name, weight in network.state_dict().items()}
    noisy = with_parameter_noise(network, zoo.Noise(parameters=0.1, kernels=kernels), 1)
    for name, weight in noisy.named_parameters():
        added = (weight - before[name]).flatten()
        if kernels and weight.ndim != 4:
            assert not added.any(), name
        else:
            spread = 5 * 0.1 / np.sqrt(2 * max(len(added) - 1, 1))
            assert len(added) < 4 or abs(added.std() - 0.1) < spread, name
            assert added.any()
    for name, weight in network.state_dict().items():
        assert torch.equal(weight, before[name])


def test_onnxruntime_plays_only_what_it_knows(random_agent):
    network = random_agent("Pong")
    assert Inference(network).backend == Inference(network, ["conv3"]).backend == "onnxruntime"
    assert Inference(network, dtype="bfloat16").backend == "torch"
    seen = []
    hook = network.layers["conv2"].register_forward_hook(lambda *_: seen.append(1))
    assert Inference(network).backend == "torch"
    zoo.rollout(network, steps=3, envs=1)
    assert len(seen) == 4
    with pytest.raises(ValueError, match="has hooks, or modules that onnxruntime does not know"):
        Inference(network, backend="onnxruntime")
    hook.remove()
    network.trunk.conv3.relu = torch.nn.Identity()
    assert Inference(network).backend == "torch"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_graphs_on_cuda_compute_what_plain_passes_do(random_agent, dtype):
    network = random_agent("Breakout").to("cuda")
    inference = Inference(network, ["conv2", "fc"], dtype)
    seen = torch.randint(0, 256, (3, 5, 4, 84, 84), dtype=torch.uint8, device="cuda")
    with torch.inference_mode():
        for some in (*seen, seen[0, :3]):  # the last has another shape
            outputs, layers = inference(some)
            expected = zoo.activations(network, some, ["conv2", "fc", "output"])
            scale = float(expected["output"].abs().max())
            tolerance = (1e-3 if dtype == "float32" else 0.03) * scale
            torch.testing.assert_close(outputs.cpu(), expected["output"], atol=tolerance, rtol=0)
            assert layers["conv2"].shape == expected["conv2"].shape
            torch.testing.assert_close(
                layers["fc"].float().cpu(), expected["fc"], atol=0.05 * scale + 0.05, rtol=0.05
            )
    inference.close()
    played = zoo.rollout(network, steps=20, envs=5, seed=1, keep=["outputs", "screens"])
    found = network(played.observations().to("cuda")).detach().cpu().numpy()
    np.testing.assert_allclose(played.outputs[:, 0], found, atol=2e-3)


def imports_of(files: dict[str, Path]) -> dict[str, set[str]]:
    """Which of the room's files each one imports, by way of others too."""
    direct = {
        name: {other for other in files if f"atari_zoo.play.{other} import" in path.read_text()}
        for name, path in files.items()
    }
    for _ in files:
        for found in direct.values():
            found |= {far for near in found for far in direct[near]}
    return direct


@pytest.mark.parametrize("several", [False, True])
def test_no_call_of_a_rollout_climbs_back_up(random_agent, tmp_path, several):
    """From a file of zoo/play only those are called that it imports: there is one way down."""
    files = {path.stem: path for path in Path(zoo.play.__file__).parent.glob("[!_]*.py")}
    ahead, climbs, calls = imports_of(files), set(), set()

    def room(frame) -> str | None:
        path = Path(frame.f_code.co_filename) if frame else None
        return path.stem if path and path.parent.name == "play" and path.stem in files else None

    def look(frame, event, _) -> None:
        if event != "call" or (callee := room(frame)) is None:
            return
        caller = frame.f_back
        while caller and room(caller) is None:
            caller = caller.f_back
        above = room(caller)
        if above not in (None, callee):
            calls.add((above, callee))
            if callee not in ahead[above]:
                climbs.add((above, callee))

    network = random_agent("Pong")
    options = {"steps": 4, "envs": 2, "keep": ["frames", "executed"], "layers": ["fc"]}
    sys.setprofile(look)
    try:
        zoo.rollout([network] * 2 if several else network, path=tmp_path / "play.zarr", **options)
    finally:
        sys.setprofile(None)
    assert {("rollouts", "runner"), ("runner", "groups"), ("groups", "inference")} <= calls
    assert not climbs
