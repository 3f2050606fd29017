"""Seconds for linear probes of all of a game's variables from all layers of an agent, beside one
softmax probe at a time in torch, as AtariARI's probe.py has it (Adam, early stopping)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import numpy as np
import torch
from rows import Row, by_turns, row
from torch import nn

import atari_zoo as zoo
from atari_zoo.analysis.probing.features import features
from atari_zoo.analysis.probing.layer_values import own_values
from atari_zoo.analysis.probing.questions import Questions, questions
from atari_zoo.analysis.probing.ridge import ridge_probe
from atari_zoo.analysis.probing.splits import FoldMoments
from atari_zoo.analysis.subjects import Subject

PEER = "one softmax at a time, torch"
AGENT, STEPS, ENVS = "a2c/Seaquest/1", 500, 5
# AtariARI's: batches of 64, Adam of 5e-4, at most 100 epochs, patience of 15, 256 classes
BATCH, RATE, EPOCHS, PATIENCE, CLASSES = 64, 5e-4, 100, 15, 256
Values = dict[str, np.ndarray]


def one_softmax(
    values: np.ndarray, wanted: np.ndarray, there: np.ndarray, fold: FoldMoments
) -> float:
    """One variable's probe, trained till it stops getting better; its accuracy on the test."""
    fit, choose, test = (part[there[part]] for part in (fold.fit, fold.choose, fold.test))
    if not len(fit) or not len(choose) or not len(test):
        return float("nan")
    flat = torch.from_numpy(values.reshape(len(values), -1)).float()
    truth = torch.from_numpy(wanted)
    probe = nn.Linear(flat.shape[1], CLASSES)
    optimizer = torch.optim.Adam(probe.parameters(), RATE)
    best, since = np.inf, 0
    for _ in range(EPOCHS):
        for some in torch.from_numpy(fit)[torch.randperm(len(fit))].split(BATCH):
            optimizer.zero_grad()
            nn.functional.cross_entropy(probe(flat[some]), truth[some]).backward()
            optimizer.step()
        with torch.no_grad():
            loss = float(nn.functional.cross_entropy(probe(flat[choose]), truth[choose]))
        best, since = (loss, 0) if loss < best else (best, since + 1)
        if since >= PATIENCE:
            break
    with torch.no_grad():
        return float((probe(flat[test]).argmax(1) == truth[test]).float().mean())


def ours(values: Values, asked: Questions) -> None:
    """All layers, all variables, one split."""
    real = [three[0] for three in asked.targets]
    for layer in values.values():
        ridge_probe(features(layer), real, asked.split.folds[0])


def theirs(values: Values, asked: Questions, layer: str, some: int) -> float:
    """Seconds for some variables of one layer, and so for all of them."""
    chosen = asked.targets[:: max(1, len(asked.targets) // some)][:some]
    started = time.perf_counter()
    for target, _, _ in chosen:
        there = target.there
        wanted = np.where(there, target.values, 0).astype(int) % CLASSES
        one_softmax(values[layer], wanted, there, asked.split.folds[0])
    return (time.perf_counter() - started) * len(asked.targets) / len(chosen)


def timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def probe_rows(quick: bool) -> Iterator[Row]:
    """The peer's time is taken from two or five variables a layer, and counted up to all."""
    network = zoo.load(AGENT)
    played = zoo.rollout(network, steps=STEPS, envs=ENVS, keep=["screens", "ram"])
    subject = Subject(played, network)
    asked = questions(subject, None, False, ENVS, 0)
    values = own_values(subject, list(network.layers), asked.kept)
    case = f"{len(asked.targets)} variables, {len(values)} layers, {len(asked.kept):,} moments"

    def peer() -> float:
        return sum(theirs(values, asked, layer, 2 if quick else 5) for layer in values)

    found = by_turns(lambda: timed(lambda: ours(values, asked)), peer, 1 if quick else 3)
    yield row("analysis", f"probes: {case}", PEER, *found, "s")
