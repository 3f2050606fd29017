"""Places: whether a convolution's unit answers most where an object is.

An object's place on the screen is read from the console's memory. The cell of a map that stands for
it is the one whose receptive field's middle, on the colour screen, is nearest.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas
import torch
from jaxtyping import Float, Int
from scipy.stats import rankdata
from torch.nn import functional as F

from atari_zoo.converters.network.foreign import Network
from atari_zoo.converters.network.receptive_fields import layer_fields
from atari_zoo.converters.preprocessings import Preprocessing
from atari_zoo.preprocessing.native_boxes import native_box
from atari_zoo.ram.variables import Variable

SCREEN = (210, 160)  # rows and columns, where no frames were kept
NEAR = 1  # cells around an object's that count as it: a sprite is larger than a pixel
COLUMN = "_x"  # how names of columns end; other variables with pixels are rows


@dataclass(frozen=True)
class TrackedObject:
    """rows, columns: where it is on the screen at each moment, in pixels; NaN where it is absent;
    None of an axis that no variable tells. variables: the names of those that do."""

    name: str
    rows: Float[np.ndarray, "moments"] | None
    columns: Float[np.ndarray, "moments"] | None
    variables: tuple[str, ...]

    def at(self, moments: Int[np.ndarray, "some"]) -> TrackedObject:
        """At some of the moments."""
        rows, columns = (
            None if axis is None else axis[moments] for axis in (self.rows, self.columns)
        )
        return TrackedObject(self.name, rows, columns, self.variables)


@dataclass(frozen=True)
class Cells:
    """The middles of the receptive fields of a map's rows and columns, in pixels of the screen."""

    rows: Float[np.ndarray, "rows"]
    columns: Float[np.ndarray, "columns"]
    screen: tuple[int, int]


def tracked_objects(table: pandas.DataFrame, known: Mapping[str, Variable]) -> list[TrackedObject]:
    """The objects whose places some of the table's variables tell: an x and a y of one name are
    one object's."""
    axes: dict[str, dict[bool, str]] = {}
    for name in table:
        variable = known.get(str(name))
        if variable is not None and variable.pixel is not None:
            stem = variable.name.removesuffix(COLUMN).removesuffix("_y")
            axes.setdefault(stem, {})[variable.name.endswith(COLUMN)] = variable.name
    found = []
    for stem, names in axes.items():
        rows, columns = (
            known[names[side]].places(table[names[side]].to_numpy(float)) if side in names else None
            for side in (False, True)
        )
        found.append(TrackedObject(stem, rows, columns, tuple(names.values())))
    return found


def map_cells(
    network: Network,
    layer: str,
    preprocessing: Preprocessing,
    screen: tuple[int, int] = SCREEN,
) -> Cells | None:
    """Of a layer's map; None of a layer without one, or of which it is not known what it sees."""
    try:
        fields = layer_fields(network, layer)
    except ValueError:
        return None
    if fields.maps is None:
        return None
    height, width = fields.size
    down = [
        native_box(fields.at(row, width // 2).seen, screen, preprocessing) for row in range(height)
    ]
    along = [
        native_box(fields.at(height // 2, c).seen, screen, preprocessing) for c in range(width)
    ]
    return Cells(
        np.array([box.top + box.height / 2 for box in down]),
        np.array([box.left + box.width / 2 for box in along]),
        screen,
    )


def cells_of(
    thing: TrackedObject, cells: Cells
) -> tuple[Int[np.ndarray, "moments"], tuple[bool, bool]]:
    """The number of the cell at each moment, -1 where it is not on the screen; and which axes, rows
    and columns, are known. Cells are numbered along the axes that are."""
    down = None if thing.rows is None else _nearest(thing.rows, cells.rows, cells.screen[0])
    along = None
    if thing.columns is not None:
        along = _nearest(thing.columns, cells.columns, cells.screen[1])
    if down is not None and along is not None:
        both = (down >= 0) & (along >= 0)
        return np.where(both, down * len(cells.columns) + along, -1), (True, True)
    found = along if down is None else down
    assert found is not None
    return found, (down is not None, along is not None)


def cell_ranks(
    maps: Float[np.ndarray, "moments units rows columns"], axes: tuple[bool, bool]
) -> Float[np.ndarray, "moments units cells"]:
    """The share of a map's cells that each one is above, those that are equal counted half: 0.5 all
    over where the map is the same everywhere.

    axes: rows and columns; along one that is not asked about the largest counts. A cell counts as
    the largest of those beside it.
    """
    values = torch.from_numpy(np.ascontiguousarray(maps, np.float32))
    for axis, asked in ((2, axes[0]), (3, axes[1])):
        values = values if asked else values.amax(axis, keepdim=True)
    kernel = tuple(2 * NEAR + 1 if size > 2 * NEAR + 1 else 1 for size in values.shape[2:])
    padding = tuple(size // 2 for size in kernel)
    flat = F.max_pool2d(values, kernel, 1, padding).flatten(2).numpy()
    return ((rankdata(flat, axis=2) - 0.5) / flat.shape[2]).astype(np.float32)


def ranks_at(
    ranks: Float[np.ndarray, "moments units cells"], cells: Int[np.ndarray, "moments"]
) -> Float[np.ndarray, "there units"]:
    """Those of the cells, at the moments at which there is one (not -1)."""
    there = np.flatnonzero(cells >= 0)
    return ranks[there, :, cells[there]]


def _nearest(
    places: Float[np.ndarray, "moments"], middles: Float[np.ndarray, "cells"], end: int
) -> Int[np.ndarray, "moments"]:
    """-1 where it is not on the screen."""
    there = np.isfinite(places) & (places >= 0) & (places < end)
    near = np.abs(np.where(there, places, 0)[:, None] - middles).argmin(1)
    return np.where(there, near, -1)
