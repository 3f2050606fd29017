"""Jobs for the tests of sweeps; the folder of each task's marks is a setting."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any
from uuid import uuid4

import atari_zoo as zoo


def play(model: str, folder: Path, seed: int, *, marks: str, pause: float = 0.0) -> dict[str, Any]:
    """Plays five real steps; leaves a mark when it begins, with the process's number."""
    (Path(marks) / f"{uuid4().hex}").write_text(f"{model} {seed} {os.getpid()}")
    time.sleep(pause)
    played = zoo.rollout(zoo.load(model), steps=5, envs=1, seed=seed, keep=["outputs"])
    (folder / "actions.txt").write_text(" ".join(map(str, played.actions[:, 0])))
    return {"best": float(played.outputs.max()), "process": os.getpid()}


def fails(model: str, folder: Path, seed: int, *, marks: str) -> dict[str, Any]:
    """Fails for seed 1 while there is no file "mended", and for seed 2 whatever is done."""
    (Path(marks) / f"{uuid4().hex}").write_text(f"{model} {seed} {os.getpid()}")
    if seed == 1 and not (Path(marks) / "mended").exists():
        raise OSError("the disk | went away")
    if seed == 2:
        raise ValueError("no such thing")
    return {"seed": seed, "words": "not a number"}


def dies(model: str, folder: Path, seed: int, *, marks: str) -> dict[str, Any]:
    """Takes its process with it: at once for seed 1, at every attempt for seed 2."""
    first = not (Path(marks) / f"died-{seed}").exists()
    (Path(marks) / f"died-{seed}").write_text("")
    if seed == 2 or (seed == 1 and first):
        os.kill(os.getpid(), 9)
    print("this must not be taken for an answer", flush=True)
    return {"seed": seed}
