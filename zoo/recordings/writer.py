"""Recordings written while they are played, so that little is lost if the process dies.

Chunks are written beside their place and renamed, all arrays' first and then the count of steps
that are safe; whatever is behind that count is as good as absent.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import TracebackType

import numpy as np
import zarr
from jaxtyping import UInt8
from zarr.storage import LocalStore

from atari_zoo.converters.files import Hold
from atari_zoo.recordings.arrays import ALWAYS, layer_array, layout
from atari_zoo.recordings.blocks import block
from atari_zoo.recordings.buffers import Buffers
from atari_zoo.recordings.chunks import COMPACT, array_of
from atari_zoo.recordings.episodes import scores_before
from atari_zoo.recordings.header import Header, read_header
from atari_zoo.recordings.stores import group_of, store_of


class RecordingWriter:
    """Appends steps to a recording; a folder that Zarr reads.

    path: of the folder, which must not be there yet.
    header: what the recording tells of itself; set `header.seconds` when that is known.
    keep: arrays beside those of `always`: the names of `arrays.KEEP`, "colours",
        "activations/LAYER". always: "starts" must be among them.
    At most `header.chunk` steps are lost, which are written together.

    Raises FileExistsError if there is something at `path`, ValueError for what cannot be kept, or
    where another process writes there.

    >>> with RecordingWriter("play.zarr", Header(card, "Pong", preprocessing), ["ram"]) as writer:
    ...     writer.append(actions=actions, ram=ram, ...)
    """

    def __init__(
        self,
        path: str | Path,
        header: Header,
        keep: Sequence[str] = (),
        always: Sequence[str] = ALWAYS,
    ) -> None:
        if header.envs < 1 or header.chunk < 1:
            raise ValueError(
                f"{header.envs} environments, {header.chunk} steps a chunk: both must be at least 1"
            )
        for name in keep:
            layout(name)  # raises ValueError
        # their types are not known yet
        header = replace(header, steps=0, arrays=dict.fromkeys([*always, *keep], ""))
        try:
            Path(path).mkdir(parents=True)
        except FileExistsError as error:
            there = f"{path}: is there already; go on with RecordingWriter.resume"
            raise FileExistsError(there) from error
        with self._held(Path(path)):
            plain = header.attributes()
            with zarr.config.set(COMPACT):
                group = zarr.create_group(LocalStore(path), zarr_format=3, attributes=plain)
            self._begin(Path(path), header, group)

    @classmethod
    def resume(cls, path: str | Path) -> RecordingWriter:
        """Goes on with a recording that was interrupted: `steps` of it are safe, the rest is cut.

        Raises FileNotFoundError if there is none, ConversionError if it is damaged or a later
        version's.
        """
        path = Path(path)
        if not path.is_dir():
            raise FileNotFoundError(f"{path}: no recording to go on with")
        self = cls.__new__(cls)
        with self._held(path):
            header = read_header(dict(group_of(store_of(path)).attrs), str(path))
            self._begin(path, header, zarr.open_group(LocalStore(path), mode="r+"))
            if header.steps:
                self._take_up(group_of(store_of(path)))
        return self

    @contextmanager
    def _held(self, path: Path) -> Iterator[None]:
        """Keeps others from writing there, unless what follows fails; until it is closed."""
        self._hold = Hold(path, "is writing this recording")
        try:
            yield
        except BaseException:
            self._hold.release()
            raise

    def _begin(self, path: Path, header: Header, group: zarr.Group) -> None:
        self.path, self.header, self._group = path, header, group
        self._buffers, self._failed = Buffers(group, header), False
        self._next = np.zeros(header.envs)  # the scores before the step that comes next

    @property
    def safe(self) -> int:
        """How many steps would outlive the process."""
        return self.header.steps

    @property
    def steps(self) -> int:
        """How many steps were appended."""
        return self._buffers.steps

    def append(
        self,
        *,
        activations: Mapping[str, np.ndarray] | None = None,
        palette: UInt8[np.ndarray, "256 3"] | None = None,
        greys: UInt8[np.ndarray, "256"] | None = None,
        **arrays: np.ndarray,
    ) -> None:
        """Adds a step, arrays of (envs, ...), or a block of steps, (steps, envs, ...).

        activations: by layer, for "activations/LAYER". palette, greys: of the colours that `frames`
        point to, as far as they are known, RGB and the emulator's greys. `scores` follow from
        rewards and ends if not given.

        Raises ValueError if an array is missing, unknown or of the wrong shape or type, OSError,
        saying how many steps are safe, where they cannot be written.
        """
        if palette is not None:
            self.header.palette = palette.copy()
        if greys is not None:
            self.header.greys = greys.copy()
        layers = {layer_array(layer): array for layer, array in (activations or {}).items()}
        self.append_block(arrays | layers)

    def append_block(self, arrays: Mapping[str, np.ndarray]) -> None:
        """The same of arrays by their names on disk, such as "activations/fc"."""
        if self._failed:
            raise ValueError(f"{self.path}: writing failed; go on with RecordingWriter.resume")
        rows = block(arrays, self.header)
        if "frames" in rows and self.header.palette is None:
            raise ValueError("frames are palette indices: give their palette too")
        if "scores" in self.header.arrays and "scores" not in rows:
            over = rows["terminated"] | rows["truncated"]
            rows["scores"], self._next = scores_before(rows["rewards"], over, self._next)
        for _ in self._buffers.fill(rows):
            self.flush()

    def flush(self) -> None:
        """Makes all steps safe; a chunk that is not full is written again when it is."""
        changed = self.header.attributes() | {"steps": self.steps}
        with self._saying_what_is_safe():
            self._buffers.write()
            with zarr.config.set(COMPACT):
                self._group.update_attributes(changed)  # last, so that what it counts is there
        self.header.steps, self._failed = self.steps, False
        if self._buffers.full:
            self._buffers.empty()

    def close(self) -> None:
        """Writes what is left, unless writing has just failed, and lets others write."""
        try:
            if not self._failed:
                self.flush()
                with self._saying_what_is_safe():
                    self._buffers.trim()
        finally:
            self._hold.release()

    def __enter__(self) -> RecordingWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @contextmanager
    def _saying_what_is_safe(self) -> Iterator[None]:
        """An OSError says how many steps are safe, and nothing is appended after it."""
        try:
            yield
        except OSError as error:
            self._failed = True
            raise type(error)(
                error.errno,
                f"{error.strerror}; {self.safe} steps are safe: make room, then go on with "
                "RecordingWriter.resume",
                str(self.path),
            ) from error

    def _take_up(self, checked: zarr.Group) -> None:
        whole = self.safe // self.header.chunk * self.header.chunk
        self._buffers.reopen(checked, whole, self.safe)
        if "scores" in self.header.arrays:
            last = {n: np.asarray(array_of(checked, n)[self.safe - 1]) for n in ALWAYS}
            over = last["terminated"] | last["truncated"]
            self._next = np.where(over, 0, last["scores"] + last["rewards"])
