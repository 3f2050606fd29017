"""Patterns of models' names, such as `*/Seaquest/*`."""

from __future__ import annotations

from fnmatch import fnmatchcase

from atari_zoo.catalog.catalog import list_models
from atari_zoo.catalog.names import UnknownModel

WILD = frozenset("*?[")


def is_pattern(text: str) -> bool:
    """Whether a text stands for several names."""
    return bool(WILD & set(text))


def names_like(pattern: str) -> list[str]:
    """The models whose names a pattern fits.

    Where it does not speak of collections, with ":", they are the package's own; where it does not
    speak of checkpoints, with "@", they are the last ones.
    Raises UnknownModel if there is none.

    >>> names_like("*/Pong/*")
    ['a2c/Pong/1', 'apex/Pong/1', 'dqn/Pong/1', 'rainbow/Pong/1']
    """
    names = [card.name for card in list_models() if fnmatchcase(card.name, pattern)]
    found = [n for n in names if all(mark in pattern or mark not in n for mark in ":@")]
    if not found:
        others = f"; {len(names)} of other collections or checkpoints are ('*:', '@*')"
        raise UnknownModel(
            f"no model's name is like '{pattern}'{others * bool(names)}; `atari-zoo list` shows "
            "those there are"
        )
    return found
