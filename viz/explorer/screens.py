"""Screens of an explorer: the game in colour, and what the agent was given, file by file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8

from atari_zoo.converters.network.receptive_fields import Box
from atari_zoo.preprocessing.native_boxes import native_box
from atari_zoo.recordings.arrays import not_kept
from atari_zoo.viz.explorer.scripts import script_array, write_script
from atari_zoo.viz.explorer.settings import ShownAgent, chunks

COLOURS = 256  # that a byte can point to


def check_frames(agent: ShownAgent) -> None:
    """Raises ValueError where there is nothing to show."""
    if agent.recording.frames is None:
        raise ValueError(f"{agent.name}: {not_kept('frames', 'screens', 'frames')}")


def write_frames(folder: Path, agent: ShownAgent) -> dict[str, Any]:
    """Writes the colour screens, as places in a palette where they have no more than 256 colours;
    else as RGB. Returns what the page must know of them."""
    rows = agent.recording.frames
    assert rows is not None  # check_frames has looked
    height, width = rows.shape[2:4]
    seen = np.zeros(1 << 24, bool)
    for span in chunks(agent.steps):
        seen[_colour_numbers(rows[span, agent.env])] = True
    palette = np.flatnonzero(seen)
    places = np.zeros(1 << 24, np.uint8)
    places[palette] = np.arange(len(palette)) % COLOURS
    few = len(palette) <= COLOURS
    for number, span in enumerate(chunks(agent.steps)):
        frames = np.asarray(rows[span, agent.env])
        stored = places[_colour_numbers(frames)] if few else frames
        write_script(folder, f"{agent.folder}/frames_{number}", script_array(stored, changes=True))
    rgb = palette[:, None] >> np.array([16, 8, 0]) & 255 if few else np.zeros((0, 3))
    return {"height": height, "width": width, "palette": script_array(rgb.astype(np.uint8))}


def write_observations(folder: Path, agent: ShownAgent) -> dict[str, Any]:
    """Writes the newest frame of each observation, from which the page builds the stack again;
    returns how that is done, and which part of the colour screen is seen."""
    seen = agent.recording.preprocessing
    for number, span in enumerate(chunks(agent.steps)):
        newest = agent.observations(span)[:, -seen.channels :]
        if newest.dtype != torch.uint8:
            newest = (newest.clamp(0, 1) * 255).round().to(torch.uint8)
        content = newest.permute(0, 2, 3, 1).numpy()
        write_script(folder, f"{agent.folder}/seen_{number}", script_array(content, changes=True))
    height, width = seen.side
    rows = agent.recording.frames
    assert rows is not None  # check_frames has looked
    box = native_box(Box(0, 0, height, width), (rows.shape[2], rows.shape[3]), seen)
    return {
        "count": seen.stack,
        "copies": seen.stack_start != "zeros",
        "channels": seen.channels,
        "height": height,
        "width": width,
        "box": [box.top, box.left, box.height, box.width],
    }


def _colour_numbers(frames: UInt8[np.ndarray, "steps height width 3"]) -> np.ndarray:
    red, green, blue = (frames[..., part].astype(np.int32) for part in range(3))
    return red << 16 | green << 8 | blue
