"""Patterns of models' names, such as `*/Seaquest/*`."""

from __future__ import annotations

from fnmatch import fnmatchcase

from atari_zoo.catalog.catalog import list_models
from atari_zoo.catalog.names import UnknownModel

WILD = frozenset("*?[")


def is_pattern(text: str) -> bool:
    """Whether a text stands for several names; addresses have such signs too."""
    return bool(WILD & set(text)) and "://" not in text and not text.startswith("hf:")


def names_like(pattern: str) -> list[str]:
    """The models whose names a pattern fits.

    Where it does not speak of collections, with ":", they are the package's own; where it does not
    speak of checkpoints, with "@", they are the last ones.
    Raises UnknownModel if there is none.

    >>> names_like("*/Pong/*")
    ['a2c/Pong/1', 'apex/Pong/1', 'dqn/Pong/1', 'rainbow/Pong/1']
    """
    names = [card.name for card in list_models()]
    if "@" not in pattern:
        names = list(dict.fromkeys(name.partition("@")[0] for name in names))
    found = [name for name in names if fnmatchcase(name, pattern)]
    found = [name for name in found if ":" in pattern or ":" not in name]
    if not found:
        count = sum(fnmatchcase(name, f"*:{pattern}") for name in names)
        others = f"; '*:{pattern}' is of {count} in other collections" if count else ""
        raise UnknownModel(
            f"no model's name is like '{pattern}'{others}; `atari-zoo list` shows those there are"
        )
    return found
