"""Random numbers that depend on a seed and on a sample's own name, never on its neighbours."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence

import torch


def generators(seed: int, names: Sequence[str], purpose: str) -> list[torch.Generator]:
    """One for each sample, on the CPU, so that every device sees the same numbers."""
    return [torch.Generator().manual_seed(_hash(f"{seed} {purpose} {name}")) for name in names]


def told_apart(names: Sequence[str]) -> list[str]:
    """The names; the second of one name gets " 2" after it, the third " 3"."""
    seen: Counter[str] = Counter()
    apart = []
    for name in names:
        seen[name] += 1
        apart.append(name if seen[name] == 1 else f"{name} {seen[name]}")
    return apart


def _hash(words: str) -> int:
    # 63 bits: torch refuses larger seeds
    return int.from_bytes(hashlib.blake2b(words.encode(), digest_size=8).digest(), "big") >> 1
