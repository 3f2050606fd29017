"""Rows of an atlas, one for each layer and its units: the data that the page's script reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from atari_zoo.analysis.peaks import Peaks, dead_units, peaks
from atari_zoo.converters.network.foreign import Network
from atari_zoo.converters.network.receptive_fields import LayerFields, layer_fields
from atari_zoo.preprocessing.native_boxes import native_box
from atari_zoo.recordings.recordings import Recording
from atari_zoo.viz.attribution.scores import OUTPUT
from atari_zoo.viz.attribution.target_registry import action_names
from atari_zoo.viz.patches.moments import Selection, distinct_moments, ranking

MARGIN = "margin"  # a row of its own, in place of a Q-network's output
_BINS = 40
ENDS = ("top", "bottom")
LayerData = dict[str, Any]


def layer_row(
    network: Network, recording: Recording, layer: str, found: Peaks, selection: Selection
) -> LayerData:
    """A layer's name, its field's height and width, whether it has a map, and its units.

    A unit's values are told by `low`, `high`, `histogram` and `share` (of observations, with one
    above 0); `dead` is as in `patches`; its `top` and `bottom` patches are lists of the moment
    (step * environments + env), the value, the field's top and left, the part that is on the
    screen, and that part on the colour screen, where there is one: each top, left, height, width.
    Units of outputs have the `action` by its name.
    found: the layer's peaks in the recording.
    """
    dead = dead_units(network, read_from(layer), found.values).tolist()
    fields = layer_fields(network, read_from(layer))
    field = fields.at().whole
    actions = action_names(network) if layer in (OUTPUT, MARGIN, "advantage") else []
    units = []
    for unit, silent in enumerate(dead):
        values = found.values[:, unit]
        row = _statistics(values) | {"dead": silent}
        if len(actions) == len(dead):
            row["action"] = actions[unit]
        for end in ENDS:
            ranked = ranking(end, values[:, None])[:, 0]
            moments = distinct_moments(ranked, recording, replace(selection, which=end))
            row[end] = [_spot(recording, fields, found, unit, spot) for spot in moments]
        units.append(row)
    size = [field.height, field.width]
    return {"name": layer, "field": size, "map": fields.size != (1, 1), "units": units}


def read_from(name: str) -> str:
    """The layer that a row of an atlas is read from: "margin" is made of the output."""
    return OUTPUT if name == MARGIN else name


def answers(name: str, found: Peaks) -> Peaks:
    """What a row shows of its layer's peaks: of "margin" how far each output exceeds the best
    other."""
    if name != MARGIN:
        return found
    best = found.values.topk(2, dim=1)
    others = torch.where(found.values == best.values[:, :1], best.values[:, 1:], best.values[:, :1])
    return found._replace(values=found.values - others)


def add_reached(
    row: LayerData,
    network: Network,
    found: Peaks,
    images: Float[Tensor, "units frames height width"],
) -> None:
    """Adds to each unit of a layer's row the peak at its image, `reached`, and the share of
    observations with a lower one, `percentile`."""
    name = row["name"]
    reached = answers(name, peaks(network, images, read_from(name))).values.diagonal()
    for unit, value, values in zip(row["units"], reached, found.values.T, strict=True):
        lower = (values < value).float().mean()
        unit |= {"reached": short(value), "percentile": short(100 * lower)}


def numbered(rows: Sequence[LayerData]) -> list[int]:
    """All moments in order of time; in the rows, their places in this list take their places."""
    units = [unit for row in rows for unit in row["units"]]
    spots = [spot for unit in units for end in ENDS for spot in unit[end]]
    moments = sorted({spot[0] for spot in spots})
    places = {moment: place for place, moment in enumerate(moments)}
    for spot in spots:
        spot[0] = places[spot[0]]
    return moments


def short(value: Any) -> float:
    """Four digits: a page holds many numbers. What is not finite has no place in JSON."""
    number = float(value)
    return float(f"{number:.4g}") if np.isfinite(number) else 0.0


def _statistics(values: Float[Tensor, "observations"]) -> dict[str, Any]:
    values = values.nan_to_num()
    low, high = float(values.min()), float(values.max())
    counts, _ = np.histogram(values.numpy(), _BINS, (low, high if high > low else low + 1))
    return {
        "low": short(low),
        "high": short(high),
        "share": short((values > 0).float().mean()),
        "histogram": counts.tolist(),
    }


def _spot(
    recording: Recording, fields: LayerFields, found: Peaks, unit: int, moment: int
) -> list[Any]:
    place = int(found.rows[moment, unit]), int(found.columns[moment, unit])
    field = fields.at(*place)
    seen = field.seen
    spot = [moment, short(found.values[moment, unit]), field.whole.top, field.whole.left]
    spot += [seen.top, seen.left, seen.height, seen.width]
    if recording.frames is not None:
        box = native_box(seen, recording.frames.shape[2:4], recording.preprocessing)
        spot += [box.top, box.left, box.height, box.width]
    return spot
