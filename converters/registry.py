"""The formats that `to_onnx` reads: each is one decorated function."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from atari_zoo.converters.errors import ConversionError
from atari_zoo.converters.networks import MnihNetwork

START = 64  # bytes of a file that `sniff` is shown


@dataclass(frozen=True)
class Format:
    """A kind of file: how it is told from others by its first bytes, and how it is read."""

    name: str
    title: str
    sniff: Callable[[bytes], bool]
    read: Callable[[Path], MnihNetwork]


FORMATS: dict[str, Format] = {}


def reader(
    name: str, title: str, sniff: Callable[[bytes], bool]
) -> Callable[[Callable[[Path], MnihNetwork]], Callable[[Path], MnihNetwork]]:
    """Registers a function as the reader of a format."""

    def register(read: Callable[[Path], MnihNetwork]) -> Callable[[Path], MnihNetwork]:
        FORMATS[name] = Format(name, title, sniff, read)
        return read

    return register


def sniffed(path: Path) -> Format:
    """The format of the file, by its content.

    Raises ConversionError if it is none that is known.
    """
    if path.is_dir():
        raise ConversionError(f"{path}: a folder; give the model's file")
    if not path.is_file():
        raise ConversionError(f"{path}: there is no such file")
    with path.open("rb") as file:
        start = file.read(START)
    for form in FORMATS.values():
        if form.sniff(start):
            return form
    if not start:
        raise ConversionError(f"{path}: the file is empty")
    known = "; ".join(form.title for form in FORMATS.values())
    raise ConversionError(f"{path}: not a model file of a known kind ({known}; ONNX)")
