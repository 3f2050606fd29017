"""Small explorers: tiny networks that played a little Pong, on a page."""

from __future__ import annotations

import base64
import json
import re
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from synthetic_subjects import tiny_network

import atari_zoo as zoo
from atari_zoo.analysis.subjects import Subject
from atari_zoo.recordings.recordings import Recording
from atari_zoo.viz.explorer.settings import ExplorerSettings

STEPS = 110
KEEP = ["screens", "frames", "ram", "outputs"]
METHODS = ("gradient", "greydanus")
SETTINGS = ExplorerSettings(methods=METHODS, every=20, iterations=300)


def played(seed: int, steps: int = STEPS, game: str = "Pong", **card: Any) -> Subject:
    """A tiny network's play, in which it acts at random half of the time."""
    network = tiny_network(seed, game, **card)
    play = zoo.rollout(network, steps=steps, envs=1, seed=seed, keep=KEEP, epsilon=0.5)
    return Subject(play, network)


def kept_only(play: Recording, *left_out: str) -> Recording:
    """The same without some arrays."""
    return Recording(play.header, {n: a for n, a in play.arrays.items() if n not in left_out})


def handed_over(folder: Path, name: str) -> Any:
    """What a script of a page hands over, its arrays taken apart."""
    text = (folder / "explorer_data" / f"{name}.js").read_text("utf-8")
    found = re.fullmatch(r"window\.zoo\.take\((.*?), (.*)\);\n", text, re.DOTALL)
    assert found is not None and json.loads(found[1]) == name
    return taken_apart(json.loads(found[2]))


def taken_apart(data: Any) -> Any:
    if isinstance(data, list):
        return [taken_apart(one) for one in data]
    if not isinstance(data, dict):
        return data
    if set(data) != {"shape", "type", "changes", "content"}:
        return {name: taken_apart(value) for name, value in data.items()}
    content = zlib.decompress(base64.b64decode(data["content"]))
    values = np.frombuffer(content, data["type"]).reshape(data["shape"])
    return values.cumsum(axis=0, dtype=np.uint8) if data["changes"] else values


def in_chunks(folder: Path, agent: str, kind: str) -> np.ndarray:
    """All files of a kind one after the other."""
    data = folder / "explorer_data"
    count = len(list((data / agent).glob(f"{kind}_*.js")))
    return np.concatenate([handed_over(folder, f"{agent}/{kind}_{n}") for n in range(count)])
