"""Calibration: a network in 8-bit integers, by ranges of its own play, compared on more of it."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from atari_zoo.converters.export.graph import network_to_onnx
from atari_zoo.converters.network.agent_networks import AgentNetwork
from atari_zoo.converters.network.foreign import Network
from atari_zoo.play.actions import Chooser
from atari_zoo.play.byte_graphs import WHITE
from atari_zoo.play.int8_graphs import quantized
from atari_zoo.play.int8_models import (
    Int8Model,
    check_quantizable,
    int8_key,
    keep_int8,
    kept_int8,
)
from atari_zoo.play.plans import Plan
from atari_zoo.play.runner import Runner
from atari_zoo.play.sessions import int8_session
from atari_zoo.progress import progress_bar
from atari_zoo.recordings.recordings import Recording
from atari_zoo.threads import torch_threads

GAMES, STEPS = 8, 768  # of the first half of these games the ranges are, the others compare
EVERY = 8  # of so many steps one is taken for the ranges, 384 in all
SEED = 1_000_000  # of the first game; far from those that scores are of
LEAST = 0.95  # of frames in which it must choose as in float32


def calibrated(network: Network, force: bool = False) -> Int8Model:
    """The network in int8: from the cache, or made now, in some seconds, and kept there.

    It plays 768 steps of eight games in float32: the ranges of its layers' values are taken from
    four of them, and the choices of both compared on the other four. The same weights and card
    give the same model.

    force: to have it though it agrees too little.
    Raises ValueError if the network has no int8, or if it chooses another action than in float32
    in more than 5 % of the frames and is not forced.
    """
    try:
        model = kept_int8(network)
    except ValueError:
        check_quantizable(network)
        model = _made(network)
        keep_int8(network, model)
    if model.agreement < LEAST and not force:
        raise ValueError(
            f"{network.card.name}: {model.words}, less than {LEAST:.0%}: play in float32, or "
            "force it (--force, in Python force_int8=True)"
        )
    return model


def _made(network: Network) -> Int8Model:
    assert isinstance(network, AgentNetwork)
    played = _play(network)
    seen = [played.observations(game) for game in range(GAMES)]
    if seen[0].dtype != torch.uint8:
        raise ValueError(
            f"{network.card.name}: its preprocessing does not round pixels to bytes, which int8 "
            "takes: use float32"
        )
    known, new = seen[: GAMES // 2], range(GAMES // 2, GAMES)
    ranges = torch.cat([some[::EVERY] for some in known]).float().div_(WHITE).numpy()
    graph = quantized(network_to_onnx(network), ranges)
    session, shares = int8_session(graph), []
    assert played.outputs is not None  # they were asked for
    for game in new:
        outputs = torch.cat([session(some)[0] for some in seen[game].split(64)])
        expected = torch.from_numpy(np.asarray(played.outputs[:, game]))
        shares.append(_agreement(network.card.action_rule, expected, outputs))
    return Int8Model(graph, tuple(shares), STEPS * len(new), int8_key(network))


def _play(network: Network) -> Recording:
    with torch_threads(1), progress_bar("calibrating int8", "steps") as update:
        plan = Plan(steps=STEPS, envs=GAMES, seed=SEED, keep=["screens", "outputs"])
        with Runner(network, plan) as runner:
            while runner.advance():
                update(*runner.tally.progress)
            return runner.recording()


def _agreement(
    rule: str, expected: Float[Tensor, "frames actions"], found: Float[Tensor, "frames actions"]
) -> float:
    """In what share of frames both choose alike; of what chance explores, nothing is counted."""
    chooser = Chooser(rule, 0.0, SEED, expected.device)
    chances = chooser.draw(*expected.shape)
    first, second = (chooser.choose(outputs, chances) for outputs in (expected, found))
    return float((first == second).mean())
