"""NumPy's arrays as pickles hold them, rebuilt without calling what the pickle names.

From numpy/_core/src/multiarray/methods.c (`array_reduce`, `array_setstate`), descriptor.c
(`arraydescr_reduce`) and numpy/_core/numeric.py (`_frombuffer`, pickle protocol 5).
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from atari_zoo.converters.errors import ConversionError

NUMBERS = re.compile(r"b1|\?|[iu][1248]|f[248]")
AXES = 32  # the most that an array may have; NumPy's own limit is 64
LONGEST = 1 << 40  # an axis


@dataclass(eq=False, slots=True)
class PickledType:
    """A `numpy.dtype`: its code, such as "f4", and its byte order, which a pickle gives later."""

    code: str
    order: str = "="

    def set_state(self, state: Any) -> None:
        """state: (version, byte order, ...), the rest of which is for records."""
        if not isinstance(state, tuple) or len(state) < 2 or type(state[1]) is not str:
            raise ConversionError("a numpy type with a damaged state")
        if state[1] not in ("<", "|", "="):
            raise ConversionError("numpy arrays in big-endian order are refused")
        self.order = state[1]

    def to_numpy(self) -> np.dtype[Any]:
        return np.dtype(self.order + self.code)


def set_array_state(array: np.ndarray, state: Any) -> None:
    """Fills an empty array, in place: elsewhere in the pickle the same one is meant.

    state: (version, shape, type, whether Fortran's order, bytes).
    Raises ConversionError unless shape and type account for the bytes.
    """
    if not isinstance(state, tuple) or len(state) != 5 or array.size:
        raise ConversionError("a numpy array with a damaged state")
    _, shape, kind, fortran, raw = state
    dtype = _checked_type(kind)
    sizes = checked_shape(shape, dtype, raw)
    checked: Any = (1, sizes, dtype, fortran is True, raw)
    array.__setstate__(checked)
    # NumPy keeps these very bytes: however often they are named, an array costs no memory
    array.setflags(write=False)


def checked_shape(shape: Any, dtype: np.dtype[Any], raw: Any) -> tuple[int, ...]:
    """The shape; raises ConversionError unless it and the type account for the bytes."""
    if not isinstance(raw, bytes | bytearray):
        raise ConversionError("a numpy array without its bytes")
    if not isinstance(shape, tuple) or len(shape) > AXES:
        raise ConversionError("a numpy array with a damaged shape")
    if not all(type(size) is int and 0 <= size <= LONGEST for size in shape):
        raise ConversionError("a numpy array with a damaged shape")
    if math.prod(shape) * dtype.itemsize != len(raw):
        raise ConversionError(f"a numpy array {shape} of {dtype} with {len(raw)} bytes")
    return shape


def _reconstruct(array_class: Any, shape: Any, kind: Any) -> np.ndarray:
    if array_class is not _ndarray:
        raise ConversionError("an array of a class of its own")
    return np.empty(0, np.uint8)  # its state follows


def _ndarray(*_: Any) -> None:
    """Stands for the class, which pickles name but do not call."""
    raise ConversionError("a damaged numpy array")


def _dtype(code: Any, *_: Any) -> PickledType:
    code = code.decode("latin1") if isinstance(code, bytes) else code
    if not isinstance(code, str) or len(code) > 20:
        raise ConversionError("a damaged numpy type")
    if code.startswith("O"):
        raise ConversionError("numpy object arrays are refused")
    if not NUMBERS.fullmatch(code):
        raise ConversionError(f"numpy arrays of type {code!a} are refused: numbers were expected")
    return PickledType(code)


def _scalar(kind: Any, raw: Any) -> Any:
    dtype = _checked_type(kind)
    checked_shape((), dtype, raw)
    return np.frombuffer(raw, dtype)[0]


def _frombuffer(raw: Any, kind: Any, shape: Any, order: Any) -> np.ndarray:
    dtype = _checked_type(kind)
    sizes = checked_shape(shape, dtype, raw)
    return np.frombuffer(raw, dtype).reshape(sizes, order="F" if order == "F" else "C")


def _checked_type(kind: Any) -> np.dtype[Any]:
    if not isinstance(kind, PickledType):
        raise ConversionError("a numpy array without a type")
    return kind.to_numpy()


_INNER: dict[str, Callable[..., Any]] = {
    "multiarray._reconstruct": _reconstruct,
    "multiarray.scalar": _scalar,
    "numeric._frombuffer": _frombuffer,
}
ARRAYS: dict[str, Callable[..., Any]] = {
    "numpy.ndarray": _ndarray,
    "numpy.dtype": _dtype,
    # NumPy's inner package, as it was called before version 2 and since
    **{f"numpy.core.{name}": function for name, function in _INNER.items()},
    **{f"numpy._core.{name}": function for name, function in _INNER.items()},
}
