"""Matches of an explorer: for each moment of one agent's play, another's of nearest memory."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Int, UInt8

from atari_zoo.viz.explorer.points import has_memory
from atari_zoo.viz.explorer.scripts import script_array, write_script
from atari_zoo.viz.explorer.settings import ShownAgent

PAIRS = 2000  # of random moments, which show what is usual


def write_matches(folder: Path, agents: Sequence[ShownAgent], seed: int = 0) -> None:
    """Writes for each agent which moments of the others' play are most like its own.

    Of two agents asked about one play, moments are their own matches, and nothing is written.
    """
    for one in agents:
        rows = {}
        for other in agents:
            if other.screens == one.screens or not (has_memory(one) and has_memory(other)):
                continue
            own, theirs = _memory(one), _memory(other)
            steps = nearest_moments(own, theirs)
            differing = (own != theirs[steps]).sum(axis=1)
            rows[other.folder] = {
                "steps": script_array(steps.astype(np.uint32)),
                "bytes": script_array(differing.astype(np.uint8)),
                "usual": usual_difference(own, theirs, seed),
            }
        write_script(folder, f"{one.folder}/matches", rows)


def nearest_moments(
    memory: UInt8[np.ndarray, "moments bytes"], others: UInt8[np.ndarray, "others bytes"]
) -> Int[np.ndarray, "moments"]:
    """Of each moment the other one at the least Euclidean distance; of equal ones the first."""
    own, theirs = memory.astype(np.float32), others.astype(np.float32)
    # whole numbers below 2**24: exact
    squared = (own**2).sum(axis=1)[:, None] - 2 * own @ theirs.T + (theirs**2).sum(axis=1)
    return np.asarray(squared.argmin(axis=1))


def usual_difference(
    memory: UInt8[np.ndarray, "moments bytes"],
    others: UInt8[np.ndarray, "others bytes"],
    seed: int,
) -> float:
    """In how many bytes moments drawn at random differ (the median)."""
    random = np.random.default_rng(seed)
    one, other = random.integers(0, len(memory), PAIRS), random.integers(0, len(others), PAIRS)
    return float(np.median((memory[one] != others[other]).sum(axis=1)))


def _memory(agent: ShownAgent) -> UInt8[np.ndarray, "steps bytes"]:
    rows = agent.recording.ram
    assert rows is not None  # has_memory has looked
    return np.asarray(rows[: agent.steps])[:, agent.env]
