"""Arrays of recordings, each declared once: what it is, how it is stored, and who computes it.

Their first axes are (steps, envs).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from atari_zoo.arrays.lazy import Rows
from atari_zoo.recordings.episodes import scores_before

if TYPE_CHECKING:
    from atari_zoo.emulator.environments import Step
    from atari_zoo.recordings.moments import Moment

SCREENS = {"difference": True}
COUNTS = {"difference": True, "transpose": True}
# most of a float is noise: harder work saves half a percent
FLOATS = {"difference": False, "transpose": True, "level": 5}


@dataclass(frozen=True)
class Layout:
    """How one array is stored.

    dtypes: of which the first is what others are turned into, if nothing is lost.
    row: its axes after (steps, envs); -1 for any length, None for any axes.
    changes: settings of the codec `Changes`; None for small arrays, which are Zstandard alone and
        whose chunks are `chunks.LONG` times as long.
    apart: whether each environment has its own chunks.
    """

    dtypes: tuple[str, ...]
    row: tuple[int, ...] | None = ()
    changes: Mapping[str, Any] | None = None
    apart: bool = False

    def fits(self, row: Sequence[int]) -> bool:
        """Whether what one environment gives in a step may have this shape."""
        if self.row is None:
            return True
        return len(row) == len(self.row) and all(
            wanted in (-1, size) for size, wanted in zip(row, self.row, strict=True)
        )


class Array:
    """The declaration of an array, an attribute of `Arrays`; its name is the attribute's.

    help: what it is, for whoever is asked what to keep.
    before, after: computes it while an agent plays, of a group of environments: from what is known
        before the action, or from what came of it; neither where it follows from other arrays.
    always: whether it is recorded without being asked for.
    raw: whether it comes from the emulator's own screens or memory.
    stateful: whether it is recorded of agents that carry a state, of these always.
    """

    name: str

    def __init__(
        self,
        help: str,
        layout: Layout,
        before: Callable[[Moment], Any] | None = None,
        after: Callable[[Step], Any] | None = None,
        always: bool = False,
        raw: bool = False,
        stateful: bool = False,
    ) -> None:
        self.help, self.layout, self.always, self.raw = help, layout, always, raw
        self.stateful = stateful
        self.before, self.after = before, after
        self.__doc__ = help

    def __set_name__(self, owner: type, attribute: str) -> None:
        self.name = getattr(self, "name", attribute)


class Small(Array):
    """An array that a recording reads whole, at its first use.

    otherwise: what it is where it was not kept; empty if not given. read_as: the type that it has
    in memory; as it is stored if not given.
    """

    def __init__(
        self,
        *declared: Any,
        otherwise: Callable[[Any], np.ndarray] | None = None,
        read_as: str | None = None,
        **more: Any,
    ) -> None:
        super().__init__(*declared, **more)
        self.otherwise, self.read_as = otherwise, read_as

    @overload
    def __get__(self, recording: None, owner: type) -> Small: ...
    @overload
    def __get__(self, recording: Arrays, owner: type) -> np.ndarray: ...
    def __get__(self, recording: Arrays | None, owner: type) -> Small | np.ndarray:
        if recording is None:
            return self
        kept = recording.arrays.get(self.name)
        if kept is not None:
            whole = np.asarray(kept, self.read_as)
        elif self.otherwise is not None:
            whole = self.otherwise(recording)
        else:
            whole = np.zeros((0, 0), self.layout.dtypes[0])
        return recording.__dict__.setdefault(self.name, whole)  # is found there from now on


class Large(Array):
    """An array that a recording reads when it is indexed; None where it was not kept.

    name: on the disk, where it is not the attribute's.
    """

    def __init__(self, *declared: Any, name: str = "", **more: Any) -> None:
        super().__init__(*declared, **more)
        if name:
            self.name = name

    @overload
    def __get__(self, recording: None, owner: type) -> Large: ...
    @overload
    def __get__(self, recording: Arrays, owner: type) -> Rows | None: ...
    def __get__(self, recording: Arrays | None, owner: type) -> Large | Rows | None:
        return self if recording is None else recording.arrays.get(self.name)


class Arrays:
    """What a recording may hold, an attribute each; `arrays` has what it does, by their names."""

    arrays: dict[str, Rows]

    actions = Small(
        "The actions as chosen: indices into the game's minimal actions.",
        Layout(("int32",)),
        before=lambda moment: moment.actions.astype(np.int32),
        always=True,
        read_as="int64",  # as torch, and Captum's targets, take indices
    )
    rewards = Small(
        "What the step gave.",
        Layout(("float32", "float64")),
        after=lambda step: step.rewards,
        always=True,
    )
    terminated = Small(
        "True at a game's last step, if the game was over.",
        Layout(("bool",)),
        after=lambda step: step.terminated,
        always=True,
    )
    truncated = Small(
        "True at a game's last step, if the limit of time was reached.",
        Layout(("bool",)),
        after=lambda step: step.truncated,
        always=True,
    )
    starts = Small(
        "True where the agent's stack of frames begins anew: at a game's first step, and after a "
        "lost life if the preprocessing has that end its episodes.",
        Layout(("bool",)),
        before=lambda moment: moment.starts,
        always=True,
    )
    lives = Small(
        "The lives that the step left.",
        Layout(("int32",)),
        after=lambda step: step.lives,
        always=True,
    )
    scores = Small(
        "The episode's score before the step.",
        Layout(("float64",)),
        always=True,
        otherwise=lambda recording: scores_before(recording.rewards, recording.over)[0],
    )
    screens = Large(
        "the newest of the stacked frames that the agent saw, 84x84 as a rule",
        Layout(("uint8", "float32"), None, SCREENS, apart=True),
        before=lambda moment: moment.frames,
    )
    raw_frames = Large(
        "the emulator's last two screens, oldest first, as indices into the palette, which "
        "observations of any preprocessing are rendered from",
        Layout(("uint8",), (2, -1, -1), SCREENS | {"time_axes": 3}, apart=True),
        before=lambda moment: moment.raw.screens,
        raw=True,
        name="frames",
    )
    ram = Large(
        "the console's memory",
        Layout(("uint8",), (128,), COUNTS),
        before=lambda moment: moment.raw.ram,
        raw=True,
    )
    outputs = Large(
        "the network's outputs",
        Layout(("float32",), (-1,), FLOATS),
        before=lambda moment: moment.outputs,
    )
    probabilities = Large(
        "the softmax of the outputs",
        Layout(("float32",), (-1,), FLOATS),
        before=lambda moment: moment.outputs.softmax(dim=1),
    )
    state = Large(
        "what a recurrent agent carried into the step, the parts of its state side by side",
        Layout(("float32",), (-1,), FLOATS),
        before=lambda moment: moment.state,
        stateful=True,
    )
    executed = Small(
        "the actions that the emulator was given, where those may be others",
        Layout(("int32",)),
        after=lambda step: step.actions.astype(np.int32),
        otherwise=lambda recording: recording.actions,
    )
    colours = Large(
        "the screens in colour, RGB, of recordings without the pairs that they are made of",
        Layout(("uint8",), (-1, -1, 3), SCREENS, apart=True),
    )


ARRAYS = {array.name: array for array in vars(Arrays).values() if isinstance(array, Array)}
ALWAYS = tuple(name for name, array in ARRAYS.items() if array.always)
# what may be asked for
KEEP = {
    name: array
    for name, array in ARRAYS.items()
    if not (array.always or array.stateful) and (array.before or array.after)
}
STATE = tuple(name for name, array in ARRAYS.items() if array.stateful)
LAYERS = "activations/"  # before the names of layers
ACTIVATIONS = Layout(("float16",), None, FLOATS, apart=True)


def layer_array(layer: str) -> str:
    """The name on disk of a layer's activations, where "/" would begin another folder.

    >>> layer_array("body/0/Conv")
    'activations/body%2F0%2FConv'
    """
    return LAYERS + layer.replace("%", "%25").replace("/", "%2F")


def array_layer(name: str) -> str:
    """The layer whose activations are called so on disk."""
    return name.removeprefix(LAYERS).replace("%2F", "/").replace("%25", "%")


def not_kept(what: str, *names: str) -> ValueError:
    """An error for a recording without `what`: how those arrays are had, in Python and in words.

    >>> raise not_kept("RAM", "ram")
    ValueError: no RAM in this recording: record with keep=['ram'] (--keep ram)
    """
    flags = " ".join(f"--keep {name}" for name in names)
    return ValueError(f"no {what} in this recording: record with keep={list(names)} ({flags})")


def layout(name: str) -> Layout:
    """Of the array called `name`, such as "ram" or "activations/fc".

    Raises ValueError if recordings have no such array.
    """
    if name.startswith(LAYERS) and name.count("/") == 1 and not name.endswith("/"):
        return ACTIVATIONS
    if name not in ARRAYS:
        raise ValueError(f"cannot keep '{name}'; there are {', '.join(ARRAYS)}, activations/LAYER")
    return ARRAYS[name].layout
