"""The formats that `to_onnx` reads: each is one decorated function."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import onnx

from atari_zoo.converters.archives.tarballs import file_names, is_tarball
from atari_zoo.converters.archives.zips import member_names
from atari_zoo.converters.errors import ConversionError
from atari_zoo.converters.network.agent_networks import AgentNetwork
from atari_zoo.converters.not_models import stand_in
from atari_zoo.converters.registration import Registry

START = 512  # bytes of a file that `sniff` is shown: a tar's magic ends at 263
MEMBERS = 64  # names in a tarball that are looked at: a whole listing would read all of it


@dataclass
class Probe:
    """What a format is told by.

    start: the file's first bytes; empty for a folder.
    """

    path: Path
    start: bytes

    @cached_property
    def names(self) -> frozenset[str]:
        """What is in it, if it is a folder, a zip archive or a tarball; else nothing."""
        if self.path.is_dir():
            return frozenset(entry.name for entry in self.path.iterdir())
        try:
            if self.start.startswith(b"PK"):
                return frozenset(member_names(self.path))
            if is_tarball(self.start):
                return frozenset(file_names(self.path, MEMBERS))
        except Exception:  # a damaged archive: the reader that takes it says how
            pass
        return frozenset()


@dataclass
class Source:
    """What a reader found in a file.

    model: the network; or, where the file has a graph, that graph in ONNX, operator by operator.
    card: fields of the ModelCard that the file tells, such as {"algorithm": "dqn"}.
    written_by: what wrote it, such as "Dopamine (JAX, linen)".
    input: the input as the file has it: name, type, shape.
    operators: the file's own operators, and how often each stands on the way to the output.
    flatten: the order in which its dense layer reads the last convolution, such as "H, W, C".
    notes: what was decided or left out, a line each.
    assumptions: what the file does not tell, and was taken for granted; they end in the card.
    """

    model: onnx.ModelProto | AgentNetwork
    card: dict[str, Any] = field(default_factory=dict)
    written_by: str = ""
    input: str = ""
    operators: dict[str, int] = field(default_factory=dict)
    flatten: str = ""
    notes: list[str] = field(default_factory=list)
    assumptions: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Format:
    """A kind of file: how it is told from others by its content, and how it is read.

    reads: what in it is understood, for the table in the documentation.
    """

    name: str
    title: str
    reads: str
    sniff: Callable[[Probe], bool]
    read: Callable[[Path], Source]


FORMATS: Registry[Format] = Registry("format", "atari_zoo.converters.formats")


def reader(
    name: str, title: str, reads: str, sniff: Callable[[Probe], bool]
) -> Callable[[Callable[[Path], Source]], Callable[[Path], Source]]:
    """Registers a function as the reader of a format."""

    def register(read: Callable[[Path], Source]) -> Callable[[Path], Source]:
        FORMATS.add(name, Format(name, title, reads, sniff, read), read)
        return read

    return register


def sniffed_format(path: Path) -> Format:
    """The format of the file or folder, by its content.

    Raises ConversionError if it is none that is known.
    """
    probe = Probe(path, _start(path))
    if reason := stand_in(probe.start):
        raise ConversionError(f"{path}: {reason}")
    for form in FORMATS.values():
        if form.sniff(probe):
            return form
    known = "; ".join(form.title for form in FORMATS.values())
    if path.is_dir():
        raise ConversionError(f"{path}: a folder without a checkpoint of a known kind ({known})")
    if not probe.start:
        raise ConversionError(f"{path}: the file is empty")
    raise ConversionError(f"{path}: not a model file of a known kind ({known})")


def is_prefix(path: Path) -> bool:
    """Whether a checkpoint of TensorFlow's is called by this path, which is no file itself."""
    return bool(path.name) and path.with_name(f"{path.name}.index").is_file()


def _start(path: Path) -> bytes:
    if path.is_dir():
        return b""
    if not path.is_file():
        if is_prefix(path):
            return b""
        raise ConversionError(f"{path}: there is no such file")
    with path.open("rb") as file:
        return file.read(START)
