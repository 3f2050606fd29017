"""Bytes in onnxruntime's graph: the network's outputs, however it is asked; older recordings go on
as they were begun."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from onnx import helper

import atari_zoo as zoo
from atari_zoo.bench.agents import bench_network
from atari_zoo.converters.export.graph import network_to_onnx
from atari_zoo.converters.onnx_runtime import session_of
from atari_zoo.play import runner
from atari_zoo.play.byte_graphs import taking_bytes
from atari_zoo.play.inference import Inference


def bytes_seen(network, count: int = 6) -> torch.Tensor:
    generator = torch.Generator().manual_seed(3)
    return torch.randint(0, 256, (count, *network.shape), dtype=torch.uint8, generator=generator)


@pytest.mark.parametrize("name", ["a2c", "rainbow", "apex", "mnih2013", "impala-resnet"])
@pytest.mark.parametrize("divides", [False, True])
def test_outputs_are_torchs(name: str, divides: bool) -> None:
    network = bench_network(name, "Pong")
    seen = bytes_seen(network)
    inference = Inference(network, divides=divides)
    assert inference.backend == "onnxruntime" and inference.folds is not divides
    with torch.no_grad():
        expected = network(seen)
    found = inference(seen)[0]
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
    floats = inference(seen.float() / 255)[0]  # as with noise: the graph of pixels
    assert torch.equal(floats, found) if divides else not torch.equal(floats, found)


def test_each_observation_alone_is_as_in_any_batch_with_any_threads() -> None:
    network = zoo.load("a2c/Pong/1")
    seen, before = bytes_seen(network, 8), torch.get_num_threads()
    try:
        found = []
        for threads in (1, 3):
            torch.set_num_threads(threads)
            inference = Inference(network)
            found += [inference(seen)[0], torch.cat([inference(one[None])[0] for one in seen])]
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(found[0], other) for other in found[1:])


def test_what_else_sees_the_observations_has_them_divided() -> None:
    network = bench_network("mnih2013", "Pong")
    graph = network_to_onnx(network)
    graph.graph.node.append(helper.make_node("Identity", ["observations"], ["again"]))
    made, seen = taking_bytes(graph), bytes_seen(network).numpy()
    assert {"Cast", "Div"} <= {node.op_type for node in made.graph.node}
    (found,) = session_of(made).run(["output"], {"bytes": seen})
    with torch.no_grad():
        expected = network(torch.from_numpy(seen)).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_an_older_recording_goes_on_as_it_was_begun(monkeypatch, tmp_path, random_agent) -> None:
    agent, made = random_agent("Breakout"), []
    options = {"envs": 2, "seed": 1, "keep": ["outputs", "ram"]}

    class Noted(runner.Inference):
        def __init__(self, *words, **named):
            super().__init__(*words, **named)
            made.append(self)

    monkeypatch.setattr(runner, "Inference", Noted)
    monkeypatch.setattr(runner, "divided", lambda plan: True)  # as play once was
    monkeypatch.setattr(runner, "computed_options", lambda inference: {})
    old = zoo.rollout(agent, steps=30, **options)
    zoo.rollout(agent, steps=12, path=tmp_path / "old.zarr", **options)
    monkeypatch.undo()
    monkeypatch.setattr(runner, "Inference", Noted)
    zoo.rollout(agent, steps=12, path=tmp_path / "new.zarr", **options)
    going_on = {"steps": 30, "resume": True, **options}
    resumed = zoo.rollout(agent, path=tmp_path / "old.zarr", **going_on)
    assert made[-1].folds is False and "scaling" not in resumed.options
    np.testing.assert_array_equal(resumed.outputs[:], old.outputs)
    newer = zoo.rollout(agent, path=tmp_path / "new.zarr", **going_on)
    assert made[-1].folds is True and newer.options["scaling"] == "in weights"
    np.testing.assert_array_equal(newer.actions[:], old.actions)
    assert not np.array_equal(newer.outputs[:], old.outputs)
