"""Displays: how things show themselves in a notebook, where that is more than their text.

What draws them stands in rooms above, imported by name when a notebook asks.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from atari_zoo.converters.registration import Registry

# HTML of a thing, by its class's name; None where it has nothing to show
DISPLAYS: Registry[Callable[[Any], str | None]] = Registry("display", "atari_zoo.viz.displays")


def display(
    kind: str,
) -> Callable[[Callable[[Any], str | None]], Callable[[Any], str | None]]:
    """Registers a function as what makes the HTML of things of the class of that name."""

    def register(draw: Callable[[Any], str | None]) -> Callable[[Any], str | None]:
        DISPLAYS.add(kind, draw, draw)
        return draw

    return register


def notebook_html(thing: Any) -> str | None:
    """What a notebook shows of a thing; None where its text serves. A class has it as its
    `_repr_html_`."""
    for kind in type(thing).__mro__:
        if kind.__name__ in DISPLAYS:
            return DISPLAYS[kind.__name__](thing)
    return None
