"""Python's own containers as pickles hold them, made only of what is quick to hash.

A pickle can hold keys that all share one hash, or that take exponential time to hash; neither a
model's weights nor its settings need such keys.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from atari_zoo.converters.errors import ConversionError
from atari_zoo.converters.pickles.opaque import OpaqueClass

LARGEST_KEY = 1 << 60  # integers apart by 2**61 - 1 share their hash
LARGEST_PART = 1 << 16  # numbers this small leave little room to choose a tuple's hash
PARTS = 4  # in a tuple that is a key


def checked_key(key: Any) -> Any:
    """The key of a dict or member of a set; raises ConversionError if it is no plain one."""
    if isinstance(key, tuple):
        plain = len(key) <= PARTS and all(_is_plain(part, LARGEST_PART) for part in key)
    else:
        plain = type(key) is float or _is_plain(key, LARGEST_KEY)
    if not plain:
        raise ConversionError(f"the pickle has keys of type {type(key).__name__}, or large ones")
    return key


def ordered_dict(pairs: Any = ()) -> OrderedDict[Any, Any]:
    """pairs: (key, value), as Python 2 pickled them; Python 3 sets them afterwards."""
    return OrderedDict((checked_key(key), value) for key, value in pairs)


def _is_plain(key: Any, largest: int) -> bool:
    if type(key) is int:
        return -largest < key < largest
    return key is None or type(key) in (str, bytes, bool)


def _defaultdict(_: Any = None) -> dict[Any, Any]:
    """Without what would make the values that are missing: none is asked for."""
    return {}


def _set(members: Any = ()) -> set[Any]:
    return {checked_key(member) for member in members}


def _frozenset(members: Any = ()) -> frozenset[Any]:
    return frozenset(_set(members))


def _bytearray(content: Any = b"", encoding: Any = "latin-1") -> bytearray:
    return bytearray(_bytes(content, encoding))


def _bytes(content: Any = b"", encoding: Any = "latin1") -> bytes:
    # protocols before 3 have no bytes: they are written as a string's Latin-1
    if isinstance(content, bytes):
        return content
    if not isinstance(content, str) or encoding not in ("latin1", "latin-1"):
        raise ConversionError("the pickle has damaged bytes")
    return content.encode("latin1")


def _complex(real: Any, imaginary: Any) -> complex:
    if type(real) is not float or type(imaginary) is not float:
        raise ConversionError("the pickle has a damaged complex number")
    return complex(real, imaginary)


CONTAINERS: dict[str, Callable[..., Any]] = {
    "collections.OrderedDict": ordered_dict,
    "collections.defaultdict": _defaultdict,
    "builtins.set": _set,
    "builtins.frozenset": _frozenset,
    "builtins.bytearray": _bytearray,
    "builtins.bytes": _bytes,
    "builtins.complex": _complex,
    "builtins.slice": slice,
    "_codecs.encode": _bytes,
    # what a defaultdict makes its values with
    **{
        f"builtins.{kind}": OpaqueClass(f"builtins.{kind}")
        for kind in ("dict", "float", "int", "list")
    },
}
