"""Rows of an atlas, one for each layer and its units: the data that the page's script reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from atari_zoo.analysis.peaks import Peaks, dead_units, peaks
from atari_zoo.converters.network.foreign import Network
from atari_zoo.converters.network.receptive_fields import LayerFields, layer_fields
from atari_zoo.preprocessing.native_boxes import native_box
from atari_zoo.recordings.recordings import Recording
from atari_zoo.viz.attribution.scores import OUTPUT
from atari_zoo.viz.attribution.target_registry import action_names
from atari_zoo.viz.patches.moments import (
    Selection,
    distinct_moments,
    ranking,
    settled_moments,
)

MARGIN = "margin"  # a row of its own, in place of a Q-network's output
_BINS = 40
ENDS = ("top", "bottom", "random")
RANDOM = 4  # patches of a unit at random moments, as a control
LayerData = dict[str, Any]


class ShownMoments(NamedTuple):
    """selection: how many patches of each unit. settled: which observations have all their frames.
    random: some of these, the same for all units."""

    selection: Selection
    settled: Bool[np.ndarray, "observations"]
    random: list[int]


def layer_row(
    network: Network, recording: Recording, layer: str, found: Peaks, shown: ShownMoments
) -> LayerData:
    """A layer's name, its field's height and width, whether it has a map, and its units.

    A unit's values at the settled observations are told by `low`, `high` and `histogram`; `share`
    is how much of its map, at how many of them, is above 0; `dead` is as in `patches`; its `top`,
    `bottom` and `random` patches are lists of the moment (step * environments + env), the value,
    the field's top and left, the part that is on the screen, and that part on the colour screen,
    where there is one: each top, left, height, width. Units of outputs have the `action` by its
    name.
    found: the layer's peaks in the recording.
    """
    dead = dead_units(network, read_from(layer), found.values).tolist()
    fields = layer_fields(network, read_from(layer))
    field = fields.at().whole
    actions = _actions(network, layer, len(dead))
    units = []
    for unit, silent in enumerate(dead):
        values = found.values[:, unit]
        row = _statistics(values[shown.settled], found.above[shown.settled, unit])
        row["dead"] = silent
        if actions:
            row["action"] = actions[unit]
        moments = {"random": shown.random}
        for end in ("top", "bottom"):
            ranked = ranking(end, values[:, None])[:, 0]
            ranked = ranked.masked_fill(~torch.from_numpy(shown.settled), -torch.inf)
            moments[end] = distinct_moments(ranked, recording, replace(shown.selection, which=end))
        for end in ENDS:
            row[end] = [_spot(recording, fields, found, unit, spot) for spot in moments[end]]
        units.append(row)
    size = [field.height, field.width]
    return {"name": layer, "field": size, "map": fields.size != (1, 1), "units": units}


def shown_moments(recording: Recording, selection: Selection) -> ShownMoments:
    """Which observations count, and some of them at random, the same for all units."""
    settled = settled_moments(recording)
    drawn = ranking("random", torch.zeros(settled.size, 1), selection.seed)[:, 0]
    drawn = drawn.masked_fill(~torch.from_numpy(settled), -torch.inf)
    few = replace(selection, which="random", n=min(RANDOM, selection.n))
    return ShownMoments(selection, settled, distinct_moments(drawn, recording, few))


def _actions(network: Network, layer: str, units: int) -> list[str]:
    """Of units of outputs the action's name; of its distribution, which part it is too."""
    names = action_names(network)
    if layer in (OUTPUT, MARGIN, "advantage") and len(names) == units:
        return names
    if layer in ("atoms", "quantiles") and names and units % len(names) == 0:
        return [f"{name}, {part}" for name in names for part in range(units // len(names))]
    return []


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
    values = found.values - others
    return found._replace(values=values, above=(values > 0).half())


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


def _statistics(
    values: Float[Tensor, "observations"], above: Float[Tensor, "observations"]
) -> dict[str, Any]:
    values = values.nan_to_num()
    low, high = float(values.min()), float(values.max())
    counts, _ = np.histogram(values.numpy(), _BINS, (low, high if high > low else low + 1))
    return {
        "low": short(low),
        "high": short(high),
        "share": short(above.float().mean()),
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
