"""A2C: its formulas against numpy, its runs against kills and restarts."""

from __future__ import annotations

import dataclasses
import json
import os
import pickle
import signal
import subprocess
import sys

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from atari_zoo.converters import to_torch
from atari_zoo.converters.cards import PREPROCESSINGS, ModelCard, Preprocessing
from atari_zoo.play.rollouts import rollout
from atari_zoo.training import starters
from atari_zoo.training.on_policy.a2c import A2C, A2CConfig, a2c_losses, discounted_returns
from atari_zoo.training.on_policy.actors import Actors, Unroll
from atari_zoo.training.runs import RunFolder

# 80 frames an update; a checkpoint each 10 updates, a log row each 5
TINY = A2CConfig(
    frames=1600,
    envs=4,
    threads=2,
    save_every=800,
    log_every=400,
    preprocessing=Preprocessing(max_frames=200),
)


def returns_in_a_plain_loop(rewards, over, bootstrap, discount) -> np.ndarray:
    time, envs = rewards.shape
    returns = np.zeros((time, envs))
    for env in range(envs):
        for start in range(time):
            weight = 1.0
            for step in range(start, time):
                returns[start, env] += weight * rewards[step, env]
                weight *= discount
                if over[step, env]:
                    break
            else:
                returns[start, env] += weight * bootstrap[env]
    return returns


@pytest.mark.parametrize("ends", [0.0, 0.3, 1.0])
def test_returns_stop_where_episodes_end(ends):
    generator = np.random.default_rng(0)
    rewards = generator.normal(size=(6, 5)).astype(np.float32)
    over = generator.random((6, 5)) < ends
    bootstrap = generator.normal(size=5).astype(np.float32)
    tensors = map(torch.from_numpy, (rewards, over, bootstrap))
    found = discounted_returns(*tensors, 0.9).numpy()
    # float32 sums of seven numbers near 1
    np.testing.assert_allclose(
        found, returns_in_a_plain_loop(rewards, over, bootstrap, 0.9), atol=1e-5
    )


@pytest.fixture
def unroll() -> Unroll:
    """Three steps of three environments, whose logits and values want gradients."""
    generator = torch.Generator().manual_seed(0)
    return Unroll(
        observations=torch.zeros(3, 3, 4, 84, 84, dtype=torch.uint8),
        actions=torch.randint(0, 6, (3, 3), generator=generator),
        rewards=torch.randn(3, 3, generator=generator),
        over=torch.tensor([[False, True, False], [False, False, True], [False, False, True]]),
        cut=torch.tensor([[False, True, False], [False, False, False], [False, False, True]]),
        logits=torch.randn(3, 3, 6, generator=generator).requires_grad_(),
        values=torch.randn(3, 3, generator=generator).requires_grad_(),
        last=torch.zeros(3, 4, 84, 84, dtype=torch.uint8),
    )


def test_losses_are_the_papers(unroll):
    """Mnih et al. (2016), section 4: policy gradient, squared error of the value, entropy."""
    logits, values = (np.float64(t.detach()) for t in (unroll.logits, unroll.values))
    bootstrap = torch.randn(3, generator=torch.Generator().manual_seed(1))
    # what a time limit takes away is made up for by the value of the last state seen
    rewards = unroll.rewards.numpy() + 0.99 * values * unroll.cut.numpy()
    returns = returns_in_a_plain_loop(rewards, unroll.over.numpy(), bootstrap.numpy(), 0.99)
    log_policy = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    chosen = np.take_along_axis(log_policy, unroll.actions.numpy()[..., None], -1)[..., 0]
    policy_loss = -(chosen * (returns - values)).mean()
    value_loss = ((returns - values) ** 2).mean()
    entropy = -(np.exp(log_policy) * log_policy).sum(-1).mean()

    loss, parts = a2c_losses(unroll, bootstrap, A2CConfig())
    expected = {"policy_loss": policy_loss, "value_loss": value_loss, "entropy": entropy}
    for name, value in expected.items():  # float32 against float64
        assert float(parts[name]) == pytest.approx(value, rel=1e-4), name
    whole = policy_loss + 0.5 * value_loss - 0.01 * entropy
    assert loss.item() == pytest.approx(whole, rel=1e-4)


def test_the_advantage_carries_no_gradient_to_the_value(unroll):
    config = A2CConfig(value_weight=0.0, entropy_weight=0.0)
    a2c_losses(unroll, torch.zeros(3), config)[0].backward()
    assert unroll.values.grad is None or not unroll.values.grad.any()
    assert unroll.logits.grad.any()


def test_gradients_through_the_acting_passes_are_those_of_a_pass_of_all(tmp_path):
    """The weights have not changed since, so that it is the same function of them."""
    trainer = A2C(tmp_path, dataclasses.replace(TINY, threads=1), "cpu")
    trainer.begin(1)
    (actors,) = trainer.actors
    trainer._gradients(actors)
    unroll = actors.unroll(trainer.network, 5)
    head, trunk = trainer.network.head, trainer.network.trunk
    with torch.no_grad():
        bootstrap = head.both(trunk(unroll.last))[1]
    found = torch.autograd.grad(
        a2c_losses(unroll, bootstrap, trainer.config)[0], trainer.parameters
    )
    logits, values = head.both(trunk(unroll.observations.flatten(0, 1)))
    again = unroll._replace(
        logits=logits.view_as(unroll.logits), values=values.view_as(unroll.values)
    )
    expected = torch.autograd.grad(
        a2c_losses(again, bootstrap, trainer.config)[0], trainer.parameters
    )
    for one, other in zip(found, expected, strict=True):  # float32 sums in another order
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)
    trainer.close()


@pytest.mark.parametrize("life_loss, preprocessing", [(False, "deepmind"), (True, "vector")])
def test_the_learner_hears_of_a_lost_life(life_loss, preprocessing):
    """Both ways: the preprocessing ends the agent's episodes with lives, or the learner does."""
    config = A2CConfig(rom="breakout", envs=2, preprocessing=PREPROCESSINGS[preprocessing])
    actors = Actors(config, 2, torch.device("cpu"), 1, life_loss)
    actors.begin(3)
    lives, play = [], actors.environments.step

    def step(actions):
        done = play(actions)
        lives.append(done.lives)
        return done

    actors.environments.step = step
    with torch.no_grad():
        unroll = actors.unroll(A2C.new_network(4), 150)
    actors.environments.close()
    lost = np.diff(np.stack(lives), axis=0) < 0
    assert lost.any()
    np.testing.assert_array_equal(unroll.over[1:] & torch.from_numpy(lost), lost)


class Killed(Exception):
    """The process ends here."""


def kill_after(frames: int):
    def progress(done: int, score: float) -> None:
        if done > frames:
            raise Killed

    return progress


def rows(path) -> list[dict]:
    """The log without what no two runs share: the time."""
    return [
        {k: v for k, v in json.loads(line).items() if k != "seconds"}
        for line in (path / "log.jsonl").read_text().splitlines()
    ]


def weights(path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in (path / "checkpoints").iterdir()}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The folder of a run that nobody interrupted."""
    path = tmp_path_factory.mktemp("run")
    A2C(path, TINY, "cpu").train()
    return path


def test_a_killed_run_ends_as_if_it_had_not_been(finished, tmp_path):
    with pytest.raises(Killed):  # five updates and a log row after the first checkpoint
        A2C(tmp_path, TINY, "cpu", kill_after(800)).train()
    assert [row["frames"] for row in rows(tmp_path)] == [400, 800, 1200]
    resumed = A2C(tmp_path, TINY, "cpu")
    assert resumed.frames == 800
    assert [row["frames"] for row in rows(tmp_path)] == [400, 800]
    resumed.train()
    assert weights(tmp_path) == weights(finished)
    assert rows(tmp_path) == rows(finished)
    assert [row["frames"] for row in rows(finished)] == [400, 800, 1200, 1600]


def test_training_changes_the_weights(finished):
    assert sorted(weights(finished)) == [f"{frames:012d}.safetensors" for frames in (0, 800, 1600)]
    assert len(set(weights(finished).values())) == 3
    assert rows(finished)[-1]["episodes"] > 0


def test_a_finished_run_may_be_prolonged(tmp_path):
    config = dataclasses.replace(TINY, envs=2, threads=1, frames=40)
    A2C(tmp_path, config, "cpu").train()
    longer = A2C(tmp_path, dataclasses.replace(config, frames=80), "cpu")
    longer.train()
    assert longer.frames == 80


@pytest.mark.parametrize(
    "change", [{"learning_rate": 1e-3}, {"rom": "breakout"}, {"preprocessing": Preprocessing()}]
)
def test_another_runs_folder_is_refused(finished, change):
    (name,) = change
    with pytest.raises(ValueError, match=f"another {name} .*; choose another folder"):
        A2C(finished, dataclasses.replace(TINY, **change), "cpu")


HOLDER = """
import pickle, sys
from atari_zoo.training.runs import RunFolder
config = pickle.loads(bytes.fromhex(sys.argv[2]))
folder = RunFolder(sys.argv[1], "a2c", config)
folder.log(frames=400, score=1.0)
print("holds", flush=True)
sys.stdin.read()
"""


def test_two_processes_do_not_train_one_run(tmp_path):
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path), pickle.dumps(TINY).hex()],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout.readline() == "holds\n"
        with pytest.raises(ValueError, match="another process is training this run") as caught:
            A2C(tmp_path, TINY, "cpu")
        assert str(tmp_path) in str(caught.value) and "\n" not in str(caught.value)
        assert [row["frames"] for row in rows(tmp_path)] == [400]
        holder.kill()  # who died holds nothing
    config = dataclasses.replace(TINY, frames=400)
    A2C(tmp_path, config, "cpu").train()
    holding = A2C(tmp_path, config, "cpu")
    with pytest.raises(ValueError, match="another process"):
        A2C(tmp_path, config, "cpu")
    holding.train()
    A2C(tmp_path, config, "cpu").train()


def test_environments_must_be_shared_evenly(tmp_path):
    with pytest.raises(ValueError, match="4 environments cannot be shared by 3"):
        A2C(tmp_path, dataclasses.replace(TINY, threads=3), "cpu")


def test_a_half_written_log_row_is_dropped(tmp_path):
    folder = RunFolder(tmp_path, "a2c", TINY)
    for frames in (400, 800, 1200):
        folder.log(frames=frames, score=1.0)
    folder.save(800, {}, {})
    with (tmp_path / "log.jsonl").open("a") as log:
        log.write('{"frames": 16')  # the machine stopped here
    assert folder.resume() == {"frames": 800}
    assert [row["frames"] for row in folder.rows()] == [400, 800]


@pytest.mark.parametrize("left", [0, 1000, -10])
def test_a_truncated_checkpoint_is_named(tmp_path, left):
    folder = RunFolder(tmp_path, "a2c", TINY)
    folder.save(800, {}, {"network": {"weight": torch.zeros(1000)}})
    whole = (tmp_path / "latest.pt").read_bytes()
    (tmp_path / "latest.pt").write_bytes(whole[:left])
    with pytest.raises(ValueError, match=r"latest\.pt: a checkpoint that cannot be read"):
        folder.resume()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_saves_before_it_stops(tmp_path, number):
    config = dataclasses.replace(TINY, envs=2, threads=1, frames=400, log_every=80, save_every=400)

    def progress(done: int, score: float) -> None:
        if done == 160:
            os.kill(os.getpid(), number)

    before = signal.getsignal(number)
    with pytest.raises(KeyboardInterrupt):
        A2C(tmp_path, config, "cpu", progress).train()
    assert signal.getsignal(number) is before
    assert sorted(weights(tmp_path)) == [f"{frames:012d}.safetensors" for frames in (0, 160)]
    assert A2C(tmp_path, config, "cpu").frames == 160


def test_a_run_becomes_a_starter_agent(finished, tmp_path, monkeypatch):
    monkeypatch.setattr(starters, "EPISODES", 1)
    monkeypatch.setattr(starters, "rollout", lambda network, **_: rollout(network, steps=2, envs=1))
    card = starters.ship(finished, tmp_path)
    (row,) = json.loads((tmp_path / "catalog.json").read_text())
    assert ModelCard.from_json(json.dumps(row["card"])) == card
    assert (card.name, card.frames, card.preprocessing) == ("a2c/Pong/1", 1600, TINY.preprocessing)
    assert len((tmp_path / "a2c-Pong-1.log.jsonl").read_text().splitlines()) == 4
    shipped = to_torch(tmp_path / row["file"])
    assert shipped.card == card
    trained = load_file(finished / "checkpoints" / "000000001600.safetensors")
    for name, weight in shipped.state_dict().items():
        expected = trained[name].half().float()
        torch.testing.assert_close(weight, expected, atol=0, rtol=0, msg=name)
