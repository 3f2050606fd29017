"""The arrays that a recording on disk may have, and how each is stored.

Their first axes are (steps, envs).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

CHUNK = 64  # steps that are written together
LONG = 64  # chunks of those that small arrays keep in one file


@dataclass(frozen=True)
class Layout:
    """How one array is stored.

    dtypes: of which the first is what others are turned into, if nothing is lost.
    row: its axes after (steps, envs); -1 for any length, None for any axes.
    changes: settings of the codec `Changes`; None for small arrays, which are Zstandard alone and
        whose chunks are `LONG` times as long.
    apart: whether each environment has its own chunks.
    """

    dtypes: tuple[str, ...]
    row: tuple[int, ...] | None = ()
    changes: Mapping[str, Any] | None = None
    apart: bool = False


SCREENS = {"difference": True}
COUNTS = {"difference": True, "transpose": True}
# most of a float is noise: harder work saves half a percent
FLOATS = {"difference": False, "transpose": True, "level": 5}

LAYOUTS: dict[str, Layout] = {
    "actions": Layout(("int32",)),  # as chosen
    "executed": Layout(("int32",)),  # as the emulator was given them, where that may be other
    "rewards": Layout(("float32", "float64")),
    "terminated": Layout(("bool",)),  # the game is over
    "truncated": Layout(("bool",)),  # the limit of time was reached
    "starts": Layout(("bool",)),  # the agent's stack of frames begins anew
    "lives": Layout(("int32",)),
    "scores": Layout(("float64",)),  # of the episode before the step
    "ram": Layout(("uint8",), (128,), COUNTS),
    # the last two frames of the emulator before the step, oldest first, as palette indices
    "frames": Layout(("uint8",), (2, -1, -1), SCREENS | {"time_axes": 3}, apart=True),
    "colours": Layout(("uint8",), (-1, -1, 3), SCREENS, apart=True),  # where there are no pairs
    # the newest of the stacked frames that the agent saw
    "screens": Layout(("uint8", "float32"), (84, 84), SCREENS, apart=True),
    "outputs": Layout(("float32",), (-1,), FLOATS),
    "probabilities": Layout(("float32",), (-1,), FLOATS),  # of the actions
}
LAYERS = "activations/"  # before the names of layers
ACTIVATIONS = Layout(("float16",), None, FLOATS, apart=True)
ALWAYS = ("actions", "rewards", "terminated", "truncated", "starts", "lives", "scores")


def layout(name: str) -> Layout:
    """Of the array called `name`, such as "ram" or "activations/fc".

    Raises ValueError if recordings have no such array.
    """
    if name.startswith(LAYERS) and name.count("/") == 1 and not name.endswith("/"):
        return ACTIVATIONS
    if name not in LAYOUTS:
        raise ValueError(f"cannot keep '{name}'; there are {', '.join(LAYOUTS)}, activations/LAYER")
    return LAYOUTS[name]


def fits(name: str, row: Sequence[int]) -> bool:
    """Whether what one environment gives in a step may have this shape."""
    wanted = layout(name).row
    if wanted is None:
        return True
    return len(row) == len(wanted) and all(
        w in (-1, size) for size, w in zip(row, wanted, strict=True)
    )
