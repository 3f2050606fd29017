"""Dictionary of an explorer's units: what each answered to, how often, and what it tells of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from atari_zoo.analysis.first_convolutions import first_convolution
from atari_zoo.analysis.peaks import Peaks, dead_units, recorded_peaks
from atari_zoo.converters.network.receptive_fields import Box, LayerFields, layer_fields
from atari_zoo.preprocessing.native_boxes import native_box
from atari_zoo.viz.explorer.scripts import script_array, write_script
from atari_zoo.viz.explorer.settings import ShownAgent
from atari_zoo.viz.patches.moments import Selection, distinct_moments

BINS = 40
TOP = 6  # moments of each unit
Images = Float[Tensor, "units frames height width"]


def write_units(
    folder: Path,
    agent: ShownAgent,
    layer: str,
    number: int,
    words: Mapping[int, Sequence[str]],
    effects: Sequence[str] = (),
    images: Images | None = None,
) -> None:
    """Writes a layer's dictionary.

    number: of the layer, for its file's name. words: of a unit, what is to be said of it.
    effects: of each, what its absence changes. images: synthesized ones, in 0..1.
    """
    fields = layer_fields(agent.network, layer)
    found = _of_environment(
        recorded_peaks(agent.network, agent.recording, layer), agent.recording.starts.shape, agent
    )
    silent = dead_units(agent.network, layer, found.values)
    values = found.values.numpy()
    units = [
        _unit(agent, fields, found, unit, bool(silent[unit]))
        | {"words": list(words.get(unit, ())), "effect": effects[unit] if effects else ""}
        for unit in range(values.shape[1])
    ]
    low, high = values.min(axis=0), values.max(axis=0)
    spread = np.where(high > low, high - low, 1)
    field = fields.at(fields.size[0] // 2, fields.size[1] // 2).whole
    data = {
        "units": units,
        "field": [field.height, field.width],
        "map": fields.size != (1, 1),
        "trace": script_array(np.rint((values - low) / spread * 255).T.astype(np.uint8)),
        "patches": script_array(_patches(agent, units, (field.height, field.width))),
        "weights": _weights(agent, layer),
        "images": None if images is None else script_array(_cut(images, fields)),
    }
    write_script(folder, f"{agent.folder}/units{number}", data)


def _of_environment(found: Peaks, shape: Sequence[int], agent: ShownAgent) -> Peaks:
    steps, envs = shape[:2]
    return Peaks(*(part.reshape(steps, envs, -1)[:, agent.env] for part in found))


def _unit(
    agent: ShownAgent, fields: LayerFields, found: Peaks, unit: int, silent: bool
) -> dict[str, Any]:
    values = found.values[:, unit].nan_to_num()
    low, high = float(values.min()), float(values.max())
    counts, _ = np.histogram(values.numpy(), BINS, (low, high if high > low else low + 1))
    return {
        "dead": silent,
        "low": low,
        "high": high,
        "above": float((values > 0).float().mean()),
        "histogram": counts.tolist(),
        "top": [_spot(agent, fields, found, unit, step) for step in _moments(agent, values)],
    }


def _moments(agent: ShownAgent, values: Float[Tensor, "steps"]) -> list[int]:
    """The steps of the environment that is shown, the strongest first, well apart."""
    steps, envs = agent.recording.starts.shape
    ranked = torch.full((steps, envs), -torch.inf)
    ranked[:, agent.env] = values
    found = distinct_moments(ranked.flatten(), agent.recording, Selection(TOP))
    return [moment // envs for moment in found]


def _spot(
    agent: ShownAgent, fields: LayerFields, found: Peaks, unit: int, step: int
) -> dict[str, Any]:
    """A moment: the step, the value, and the box that the unit saw: of the whole field (top, left),
    of its part on the observation, and of that on the colour screen (top, left, height, width)."""
    field = fields.at(int(found.rows[step, unit]), int(found.columns[step, unit]))
    rows = agent.recording.frames
    assert rows is not None  # check_frames has looked
    native = native_box(field.seen, (rows.shape[2], rows.shape[3]), agent.recording.preprocessing)
    return {
        "step": step,
        "value": float(found.values[step, unit]),
        "whole": [field.whole.top, field.whole.left],
        "seen": _numbers(field.seen),
        "native": _numbers(native),
    }


def _numbers(box: Box) -> list[int]:
    return [box.top, box.left, box.height, box.width]


def _patches(
    agent: ShownAgent, units: Sequence[dict[str, Any]], size: tuple[int, int]
) -> UInt8[np.ndarray, "units height width"]:
    """What each unit saw at its first moment, in the newest frame, in grey; black beyond it."""
    newest: dict[int, np.ndarray] = {}
    found = np.zeros((len(units), *size), np.uint8)
    for number, unit in enumerate(units):
        for spot in unit["top"][:1]:
            step = spot["step"]
            if step not in newest:
                seen = agent.observations(slice(step, step + 1))[0]
                channels = agent.recording.preprocessing.channels
                grey = seen[-channels:].float().mean(dim=0)
                scale = 1 if seen.dtype == torch.uint8 else 255
                newest[step] = (grey * scale).clamp(0, 255).round().to(torch.uint8).numpy()
            top, left, height, width = spot["seen"]
            down, right = top - spot["whole"][0], left - spot["whole"][1]
            cut = newest[step][top : top + height, left : left + width]
            found[number, down : down + height, right : right + width] = cut
    return found


def _weights(agent: ShownAgent, layer: str) -> dict[str, Any] | None:
    """Of the first convolution its filters, (units, frames, rows, columns)."""
    first = first_convolution(agent.network)
    if first is None or first[0] != layer:
        return None
    return script_array(first[1].weight.detach().cpu().float().numpy())


def _cut(images: Images, fields: LayerFields) -> UInt8[np.ndarray, "units frames rows columns"]:
    """What the middle of the map sees of each image."""
    seen = fields.at(fields.size[0] // 2, fields.size[1] // 2).seen
    cut = images[:, :, *seen.slices].cpu()
    return (cut.clamp(0, 1) * 255).round().to(torch.uint8).numpy()
