"""Trainers on each device that is here: they learn there, and go on; what they compute is alike."""

from __future__ import annotations

from contextlib import closing

import numpy as np
import pytest
import torch
from filled_replay import fill
from safetensors.torch import load_file

from atari_zoo.converters.cards import Preprocessing
from atari_zoo.training import registry

DEVICES = [
    "cpu",
    pytest.param(
        "cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA here")
    ),
]
REPLAY = {
    "envs": 4,
    "buffer": 80,
    "min_history": 40,
    "batch": 4,
    "update_every": 4,
    "frames": 640,
    "save_every": 320,
    "log_every": 160,
}
POPULATION = {
    "envs": 4,
    "threads": 2,
    "population": 4,
    "max_steps": 10,
    "trials": 1,
    "noise": 2_000_000,
    "frames": 400,
    "save_every": 200,
    "log_every": 100,
}
UNROLLS = {"envs": 2, "frames": 640, "save_every": 320, "log_every": 160}
TINY = {
    "a2c": UNROLLS,
    "impala": UNROLLS | {"batch": 1, "unroll": 5},
    "dqn": REPLAY,
    "rainbow": REPLAY,
    "apex": REPLAY,
    "es": POPULATION | {"virtual_batch": 3},
    "ga": POPULATION | {"parents": 2, "candidates": 2},
}
VALUES = ("dqn", "rainbow", "apex")


def trainer(algorithm: str, path, device: str, **changes):
    settings = TINY[algorithm] | {"preprocessing": Preprocessing(max_frames=200)} | changes
    config = registry.config(algorithm, "workstation", rom="pong", seed=2, **settings)
    return registry.trainer(algorithm)(path, config, device)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("algorithm", registry.TRAINERS)
def test_every_algorithm_learns_there_and_goes_on(algorithm, device, tmp_path):
    frames = TINY[algorithm]["frames"]
    trainer(algorithm, tmp_path, device, frames=frames // 2).train()
    resumed = trainer(algorithm, tmp_path, device)
    assert resumed.frames >= frames // 2 and resumed.fabric.device.type == device
    network = resumed.train()
    assert {parameter.device.type for parameter in network.parameters()} == {device}
    first, *_, last = [load_file(file) for file in sorted((tmp_path / "checkpoints").iterdir())]
    assert all(tensor.isfinite().all() for tensor in last.values())
    assert not all(torch.equal(first[name], last[name]) for name in first)
    for name, tensor in network.state_dict().items():
        assert torch.equal(last[name], tensor.cpu())


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("algorithm", VALUES)
def test_updates_are_those_of_the_plain_loop_on_a_cpu(algorithm, device, tmp_path):
    """On CUDA they are replayed from a graph, and the first comes after its warm-up."""
    learnt = []
    for number, where in enumerate(("cpu", device)):
        with closing(trainer(algorithm, tmp_path / str(number), where)) as of:
            of.begin(0)
            fill(of)
            before = [parameter.detach().clone() for parameter in of.network.parameters()]
            draws = torch.from_numpy(np.random.default_rng(0).random((3, *of.draws.shape)))
            learn = of.learn_once if number == 0 else of._new_learner()
            for fractions in draws:
                of.draws.copy_(fractions)
                learn()
            assert not any(map(torch.equal, before, of.network.parameters()))
            learnt.append([parameter.detach().cpu() for parameter in of.network.parameters()])
    steps = 3 * registry.config(algorithm).learning_rate  # Adam's, of each weight at most
    for plain, there in zip(*learnt, strict=True):
        torch.testing.assert_close(there, plain, rtol=0, atol=0.2 * steps)
