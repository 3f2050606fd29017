"""What is not zero where most is: which elements, as bits, and what they are.

Eight bytes are looked at together, so that what is zero is passed over fast.
"""

from __future__ import annotations

import numpy as np


def nonzero(flat: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which elements are not 0, as `packbits` has it, and those elements."""
    if flat.dtype.itemsize > 1 or flat.size % 8:
        changed = flat != 0
        return np.packbits(changed), flat[changed]
    words = flat.view(np.uint64)
    some = np.flatnonzero(words != 0)
    elements = words[some].view(np.uint8).reshape(-1, 8)
    changed = elements != 0
    bits = np.zeros(len(words), np.uint8)
    bits[some] = np.packbits(changed, axis=1)[:, 0]
    return bits, elements[changed]


def places_of(bits: np.ndarray, size: int) -> np.ndarray:
    """Where the bits of `size` elements are set.

    Raises ValueError if one is set behind the end.
    """
    words = np.zeros(-(-len(bits) // 8) * 8, np.uint8)
    words[: len(bits)] = bits
    some = np.flatnonzero(words.view(np.uint64) != 0)
    set_bits = np.flatnonzero(np.unpackbits(words.reshape(-1, 8)[some]).view(bool))
    places = some[set_bits >> 6] * 64 + (set_bits & 63)
    if len(places) and places[-1] >= size:
        raise ValueError("a bit is set behind the end")
    return places
