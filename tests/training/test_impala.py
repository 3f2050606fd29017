"""IMPALA: its losses against numpy, its lag of one unroll, its runs against kills and restarts."""

from __future__ import annotations

import dataclasses
import itertools
import json
import threading
import time

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from atari_zoo.converters.cards import Preprocessing
from atari_zoo.training import registry
from atari_zoo.training.on_policy.actors import Unroll
from atari_zoo.training.on_policy.impala import IMPALA, IMPALAConfig, impala_losses, shares
from atari_zoo.training.presets import PRESETS

# 2 envs x 5 steps x 4 frames are 40 frames an update; a checkpoint each 12 updates, in which
# each env plays 240 frames, so that episodes end; a log row each 4
TINY = IMPALAConfig(
    frames=960,
    envs=2,
    batch=1,
    unroll=5,
    save_every=480,
    log_every=160,
    preprocessing=Preprocessing(max_frames=200),
)


@pytest.fixture
def unroll() -> Unroll:
    """Three steps of two environments, acted by a policy that is not the network's."""
    generator = torch.Generator().manual_seed(0)
    observations = torch.randint(0, 256, (4, 2, 4, 84, 84), generator=generator).byte()
    return Unroll(
        observations[:-1],
        torch.randint(0, 6, (3, 2), generator=generator),
        torch.randn(3, 2, generator=generator),
        torch.tensor([[False, True], [False, False], [True, False]]),
        torch.tensor([[False, False], [False, False], [True, False]]),
        torch.randn(3, 2, 6, generator=generator),
        torch.zeros(3, 2),
        observations[-1],
    )


def log_softmax(logits: np.ndarray) -> np.ndarray:
    return logits - np.log(np.exp(logits).sum(-1, keepdims=True))


def papers_parts(network, unroll: Unroll) -> dict[str, float]:
    """Sums over the unroll by Espeholt et al. (2018), section 4.2, step by step in float64."""
    with torch.no_grad():
        pixels = torch.cat([unroll.observations, unroll.last[None]]).flatten(0, 1)
        logits, values = map(np.float64, network.head.both(network.trunk(pixels)))
    values = values.reshape(4, 2)
    log_policy = log_softmax(logits.reshape(4, 2, 6))
    log_acted = log_softmax(np.float64(unroll.logits))
    parts = {"policy_loss": 0.0, "value_loss": 0.0, "entropy": 0.0}
    for env in range(2):
        target, ahead = values[3, env], values[3, env]  # v_s+1 and V(x_s+1)
        for s in (2, 1, 0):
            action = int(unroll.actions[s, env])
            log_chosen = log_policy[s, env, action]
            rho = min(1.0, np.exp(log_chosen - log_acted[s, env, action]))
            reward, gamma = float(unroll.rewards[s, env]), 0.99 * (not unroll.over[s, env])
            reward += 0.99 * values[s, env] * bool(unroll.cut[s, env])
            advantage = rho * (reward + gamma * target - values[s, env])
            delta = rho * (reward + gamma * ahead - values[s, env])
            target = values[s, env] + delta + gamma * rho * (target - ahead)
            ahead = values[s, env]
            parts["policy_loss"] -= advantage * log_chosen
            parts["value_loss"] += (target - values[s, env]) ** 2 / 2
            parts["entropy"] -= (np.exp(log_policy[s, env]) * log_policy[s, env]).sum()
    return parts


def test_losses_are_the_papers_sums(random_agent, unroll):
    network = random_agent("Pong")
    expected = papers_parts(network, unroll)
    loss, parts = impala_losses(network, unroll, TINY)
    for name, value in expected.items():  # float32 against float64
        assert float(parts[name]) == pytest.approx(value / 6, rel=1e-4), name
    whole = expected["policy_loss"] + 0.5 * expected["value_loss"] - 0.01 * expected["entropy"]
    assert loss.item() == pytest.approx(whole, rel=1e-4)


def test_only_the_value_loss_reaches_the_value(random_agent, unroll):
    network = random_agent("Pong")
    impala_losses(network, unroll, dataclasses.replace(TINY, value_weight=0.0))[0].backward()
    assert not network.head.value.weight.grad.any()
    assert network.head.output.weight.grad.any()


def test_shares_cut_between_environments(unroll):
    first, second = shares(unroll, 1)
    for name in Unroll._fields[:-1]:
        joined = torch.cat([getattr(first, name), getattr(second, name)], dim=1)
        assert torch.equal(joined, getattr(unroll, name)), name
    assert torch.equal(torch.cat([first.last, second.last]), unroll.last)


class Watched(IMPALA):
    """Keeps what it learns from, and the weights before each update."""

    def build(self):
        self.unrolls, self.before = [], []
        return super().build()

    def _learn(self, unroll):
        self.unrolls.append(unroll)
        self.before.append({k: v.clone() for k, v in self.network.state_dict().items()})
        return super()._learn(unroll)


class Late(Watched):
    """Its actors begin an unroll only when the lesson beside it is over and the weights changed."""

    def build(self):
        network = super().build()
        self.lessons = threading.Semaphore(1)  # the first unroll has no lesson beside it
        unroll = self.actors[0].unroll

        def late_unroll(network, steps):
            assert self.lessons.acquire(timeout=20)
            return unroll(network, steps)

        self.actors[0].unroll = late_unroll
        return network

    def _learn(self, unroll):
        parts = super()._learn(unroll)
        self.lessons.release()
        return parts


def test_the_actors_are_one_unroll_behind(tmp_path):
    """Unroll k was played by the weights that learned from unroll k - 1 had not yet changed."""
    trainer = Late(tmp_path, dataclasses.replace(TINY, save_every=10_000, frames=160), "cpu")
    trainer.train()
    assert len(trainer.unrolls) == 4
    for update, unroll in enumerate(trainer.unrolls):
        played = max(update - 1, 0)
        trainer.network.load_state_dict(trainer.before[played])
        with torch.no_grad():
            logits = torch.stack([trainer.network(step) for step in unroll.observations])
        assert torch.equal(logits, unroll.logits), update
        if update:
            trainer.network.load_state_dict(trainer.before[update])
            with torch.no_grad():
                assert not torch.equal(trainer.network(unroll.observations[0]), unroll.logits[0])


def test_new_episodes_wait_for_the_unroll_at_hand(tmp_path):
    class Slow(IMPALA):
        def build(self):
            network = super().build()
            unroll, begin, busy = self.actors[0].unroll, self.actors[0].begin, threading.Lock()

            def slow_unroll(network, steps):
                with busy:
                    time.sleep(0.3)
                    return unroll(network, steps)

            def watched_begin(seed):
                assert not busy.locked()
                begin(seed)

            self.actors[0].unroll, self.actors[0].begin = slow_unroll, watched_begin
            return network

    Slow(tmp_path, dataclasses.replace(TINY, frames=80, save_every=40), "cpu").train()


def test_unrolls_join(tmp_path):
    trainer = Watched(tmp_path, dataclasses.replace(TINY, save_every=10_000, frames=160), "cpu")
    trainer.train()
    for before, after in zip(trainer.unrolls, trainer.unrolls[1:], strict=False):
        assert torch.equal(before.last, after.observations[0])


def test_actors_play_while_the_learner_learns(tmp_path):
    """Neither a lesson nor the unroll beside it ends before the other has begun."""
    together = threading.Barrier(2, timeout=20)

    class Meeting(IMPALA):
        def build(self):
            network = super().build()
            unroll, unrolls = self.actors[0].unroll, itertools.count()

            def meeting_unroll(network, steps):
                if next(unrolls):  # the first has no lesson beside it
                    together.wait()
                return unroll(network, steps)

            self.actors[0].unroll = meeting_unroll
            return network

        def _learn(self, unroll):
            together.wait()
            return super()._learn(unroll)

    Meeting(tmp_path, dataclasses.replace(TINY, frames=120, save_every=10_000), "cpu").train()
    assert not together.broken


def test_the_learning_rate_falls_to_nothing(tmp_path):
    rates = []

    class Noted(IMPALA):
        def _learn(self, unroll):
            parts = super()._learn(unroll)
            rates.append(self.optimizer.param_groups[0]["lr"])
            return parts

    Noted(tmp_path, dataclasses.replace(TINY, frames=160), "cpu").train()
    assert rates == pytest.approx([6e-4, 4.5e-4, 3e-4, 1.5e-4])


def test_steps_are_the_papers_rmsprop(tmp_path):
    """One step for each batch, of the clipped gradient: g / sqrt(mean of g^2 + epsilon)."""
    config = dataclasses.replace(TINY, frames=40, max_gradient=0.5)
    trainer = Watched(tmp_path, config, "cpu")
    trainer.train()
    network = trainer.new_network(6)
    network.load_state_dict(trainer.before[0])
    squares = [torch.ones_like(p) for p in network.parameters()]
    for share in shares(trainer.unrolls[0], 1):
        network.zero_grad()
        impala_losses(network, share, config)[0].backward()
        norm = sum(float(p.grad.square().sum()) for p in network.parameters()) ** 0.5
        assert norm > 0.5  # or clipping is not tested
        with torch.no_grad():
            for parameter, square in zip(network.parameters(), squares, strict=True):
                gradient = parameter.grad * 0.5 / norm
                square.mul_(0.99).add_(0.01 * gradient**2)
                parameter -= 6e-4 * gradient / (square + 0.01).sqrt()
    for name, weight in network.state_dict().items():
        found = trainer.network.state_dict()[name]
        torch.testing.assert_close(found, weight, atol=1e-6, rtol=1e-4, msg=name)


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
    IMPALA(path, TINY, "cpu").train()
    return path


@pytest.mark.parametrize("kept", [0, 480])
def test_a_killed_run_ends_as_if_it_had_not_been(finished, tmp_path, kept):
    with pytest.raises(Killed):  # eight updates and two log rows after the checkpoint
        IMPALA(tmp_path, TINY, "cpu", kill_after(kept + 160)).train()
    resumed = IMPALA(tmp_path, TINY, "cpu")
    assert resumed.frames == kept
    resumed.train()
    assert weights(tmp_path) == weights(finished)
    assert rows(tmp_path) == rows(finished)
    assert [row["frames"] for row in rows(finished)] == [160, 320, 480, 640, 800, 960]


def test_training_changes_the_weights(finished):
    names = [f"{frames:012d}.safetensors" for frames in (0, 480, 960)]
    assert sorted(weights(finished)) == names
    assert len(set(weights(finished).values())) == 3
    last = rows(finished)[-1]
    assert last["episodes"] > 0 and {"policy_loss", "value_loss", "entropy"} <= last.keys()
    trained = load_file(finished / "checkpoints" / names[-1])
    IMPALA.new_network(6).load_state_dict(trained)


def test_batches_must_be_whole(tmp_path):
    with pytest.raises(ValueError, match="2 environments make no whole batches of 3"):
        IMPALA(tmp_path, dataclasses.replace(TINY, batch=3), "cpu")


@pytest.mark.parametrize("preset", PRESETS["impala"])
def test_presets_are_configurations(preset):
    config = registry.config("impala", preset, rom="pong")
    assert isinstance(config, IMPALAConfig)
    assert config.envs % (config.batch or config.envs) == 0
