"""Image patches of a unit: what it saw at the places where it answered most, or least.

After the patch finder of the original zoo (Such et al., 2019, https://arxiv.org/abs/1812.07069,
section 5.2 and figure 2). Here the boxes are the units' exact receptive fields.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Shaped, UInt8
from torch import Tensor

from atari_zoo.analysis.peaks import Peaks, dead_units, recorded_peaks
from atari_zoo.converters.arguments import checked
from atari_zoo.converters.displays import notebook_html
from atari_zoo.converters.network.foreign import Network
from atari_zoo.converters.network.receptive_fields import (
    Box,
    LayerFields,
    ReceptiveField,
    layer_fields,
)
from atari_zoo.preprocessing.native_boxes import native_box
from atari_zoo.recordings.recordings import Recording
from atari_zoo.units.numbering import unit_name
from atari_zoo.viz.patches.moments import Selection, distinct_moments, ranking


@dataclass(frozen=True)
class Patch:
    """What a unit saw at one observation, at the place of its map where it answered most.

    value: the unit's there, before its ReLU. score: the episode's before the step.
    row, column: the place on the map, 0 for a unit without one. field: in pixels of the
    observation. frame: the colour screen, and native_field: the box on it, where it was recorded.
    """

    step: int
    env: int
    value: float
    score: float
    row: int
    column: int
    field: ReceptiveField
    observation: Shaped[Tensor, "frames height width"]
    frame: UInt8[np.ndarray, "tall wide 3"] | None
    native_field: Box | None

    @property
    def pixels(self) -> Shaped[Tensor, "frames high wide"]:
        """The whole field's part of the observation, newest frame last; 0 beyond the screen."""
        whole, seen = self.field.whole, self.field.seen
        cut = self.observation.new_zeros(len(self.observation), whole.height, whole.width)
        inside = Box(seen.top - whole.top, seen.left - whole.left, seen.height, seen.width)
        cut[:, *inside.slices] = self.observation[:, *seen.slices]
        return cut


@dataclass(frozen=True)
class UnitPatches:
    """Patches of one unit, the most fitting first.

    name: the unit's, such as conv3:60 or output:FIRE.
    mapped: whether the layer has maps, of which the values are the largest.
    dead: it never changed in this recording, or never passed its ReLU; its patches then say
    little. values: its peaks at every observation of the recording.
    """

    name: str
    layer: str
    unit: int
    which: str
    dead: bool
    patches: tuple[Patch, ...]
    values: Float[np.ndarray, "steps envs"]
    mapped: bool = False

    _repr_html_ = notebook_html

    @property
    def quantity(self) -> str:
        """What the values are, as an objective's text has it: `conv3:26@max` is the largest of the
        unit's map, `fc:10` the unit's one value, each of what enters the ReLU."""
        return self.name + "@max" * self.mapped


@checked
def patches(
    network: Network,
    recording: Recording,
    layer: str,
    units: Sequence[int],
    selection: Selection = Selection(),  # noqa: B008  # it is frozen
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[UnitPatches]:
    """The top, bottom or random patches of some units of a layer; of one observation, one.

    recording: with keep=["screens"], and "frames" for the colour screens.
    selection: how many, which, and how far apart.
    Raises ValueError if the network diverged, a layer or unit is not there, or it is not known what
    it sees; if the recording has no steps or no screens, or is of another game or other actions.

    >>> patches(network, recording, "conv3", [60])[0].patches[0].field.seen
    Box(top=24, left=40, height=36, width=36)
    """
    fields = layer_fields(network, layer)  # refuses before anything is read
    found = recorded_peaks(network, recording, layer, units, progress=progress)
    dead = dead_units(network, layer, found.values).tolist()
    ranked = ranking(selection.which, found.values, selection.seed)
    shape = recording.starts.shape
    return [
        UnitPatches(
            unit_name(layer, unit, network),
            layer,
            unit,
            selection.which,
            dead[index],
            tuple(
                _patch(recording, fields, found, index, moment)
                for moment in distinct_moments(ranked[:, index], recording, selection)
            ),
            found.values[:, index].reshape(shape).numpy(),
            fields.size != (1, 1),
        )
        for index, unit in enumerate(units)
    ]


def _patch(
    recording: Recording, fields: LayerFields, found: Peaks, index: int, moment: int
) -> Patch:
    step, env = divmod(moment, recording.starts.shape[1])
    row, column = int(found.rows[moment, index]), int(found.columns[moment, index])
    field = fields.at(row, column)
    frame = None if recording.frames is None else recording.frames[step, env]
    return Patch(
        step,
        env,
        float(found.values[moment, index]),
        float(recording.scores[step, env]),
        row,
        column,
        field,
        recording.observations(env, slice(step, step + 1))[0],
        frame,
        None if frame is None else native_box(field.seen, frame.shape[:2], recording.preprocessing),
    )
