"""Optimizers of the actor-critics, beside TensorFlow's own, and what their first steps kill."""

from __future__ import annotations

import copy
import dataclasses

import numpy as np
import pytest
import torch

from atari_zoo.living_units import living
from atari_zoo.training import registry
from atari_zoo.training.on_policy.optimizers import TensorFlowRMSprop, optimizer

TEN = 10


def gradients() -> np.ndarray:
    """Of the size that A2C's have, at ten steps; 0 in a part, as those of dead units are."""
    drawn = np.random.default_rng(0).normal(size=(TEN, 200)) * 4e-4
    drawn[:, :20] = 0
    return drawn.astype(np.float32)


@pytest.mark.parametrize("decay, epsilon", [(0.99, 1e-5), (0.99, 0.01), (0.9, 1e-10)])
def test_rmsprop_is_tensorflows(decay, epsilon):
    import tensorflow as tf

    weights = np.random.default_rng(1).normal(size=200).astype(np.float32)
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        variable = tf.compat.v1.get_variable("weights", initializer=weights)
        gradient = tf.compat.v1.placeholder(tf.float32, (200,))
        made = tf.compat.v1.train.RMSPropOptimizer(0.1, decay, epsilon=epsilon)
        step = made.apply_gradients([(gradient, variable)])
        session.run(tf.compat.v1.global_variables_initializer())
        for row in gradients():
            session.run(step, {gradient: row})
        expected = session.run(variable)
    parameter = torch.nn.Parameter(torch.from_numpy(weights.copy()))
    ours = TensorFlowRMSprop([parameter], 0.1, decay, epsilon)
    for row in gradients():
        parameter.grad = torch.from_numpy(row)
        ours.step()
    # ten float32 additions to numbers near 1
    np.testing.assert_allclose(parameter.detach().numpy(), expected, atol=1e-6, rtol=0)
    assert np.abs(expected - weights).max() > 1e-5  # they moved


def test_a_resumed_optimizer_goes_on_as_it_was():
    parameter = torch.nn.Parameter(torch.zeros(200))
    first = TensorFlowRMSprop([parameter], 1e-2, 0.9, 1e-5)
    rows = torch.from_numpy(gradients())
    for row in rows[:5]:
        parameter.grad = row
        first.step()
    kept, saved = parameter.detach().clone(), copy.deepcopy(first.state_dict())
    for row in rows[5:]:
        parameter.grad = row
        first.step()
    other = torch.nn.Parameter(kept)
    second = TensorFlowRMSprop([other], 1e-2, 0.9, 1e-5)
    second.load_state_dict(saved)
    for row in rows[5:]:
        other.grad = row
        second.step()
    assert torch.equal(parameter, other)


def test_the_rate_rises_then_falls():
    config = registry.config(
        "a2c", "baselines", learning_rate=1.0, frames=1000, warmup=100, anneal=True
    )
    assert [config.rate(frames) for frames in (10, 100, 550, 1000)] == pytest.approx(
        [0.1 * 0.99, 0.9, 0.45, 0.0]
    )
    assert registry.config("a2c", learning_rate=1.0, warmup=0, anneal=False).rate(7) == 1.0


def alive(trainer, updates: int) -> dict[str, tuple[int, int]]:
    """Units of conv1 and fc that answer to what the agent sees, before and after the updates."""
    trainer.begin(1)
    seen, new = [], copy.deepcopy(trainer.network)
    for _ in range(updates):
        trainer.frames += trainer.update().frames
        seen.extend(environments.observations.clone() for environments in trainer.games)
    observations = torch.cat(seen[-40:])
    before, after = living(new, observations), living(trainer.network, observations)
    trainer.close()
    return {name: (int(before[name].sum()), int(after[name].sum())) for name in ("conv1", "fc")}


@pytest.mark.parametrize("algorithm, changes", [("a2c", {}), ("impala", {"batch": 16})])
def test_the_first_hundred_updates_kill_few_units(algorithm, changes, tmp_path):
    """Torch's RMSProp at the full rate leaves less than three fifths after twenty."""
    config = registry.config(algorithm, envs=16, unroll=5, rom="pong", **changes)
    trainer = registry.trainer(algorithm)(tmp_path / "ours", config, "cpu")
    for name, (before, after) in alive(trainer, 100).items():
        assert after >= 0.8 * before, name
    killing = dataclasses.replace(config, optimizer="rmsprop", learning_rate=7e-4, warmup=0)
    trainer = registry.trainer(algorithm)(tmp_path / "torch", killing, "cpu")
    before, after = alive(trainer, 20)["fc"]
    assert after < 0.6 * before  # or the test shows nothing


def test_an_unknown_optimizer_is_refused():
    config = registry.config("a2c", optimizer="sgd")
    with pytest.raises(ValueError, match="no optimizer 'sgd'; there are adam, rmsprop, rmsprop-tf"):
        optimizer([torch.nn.Parameter(torch.zeros(1))], config)
