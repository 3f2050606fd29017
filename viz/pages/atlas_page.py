"""An atlas as one HTML page that needs no server and no other file.

Pictures are cut out of a few sheets by the page itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from atari_zoo.viz.pages.templates import filled
from atari_zoo.viz.sheets import Sheets


def atlas_page(data: Mapping[str, Any], pictures: Mapping[str, Sheets]) -> str:
    """The template `web/atlas.html`, filled.

    data: what the page's script reads, see `atari_zoo.viz.pages.atlas`. pictures: "screen" and,
    where there are some, "frame", in the order of the data's moments, and of layers' images, in the
    order of their units.
    """
    return filled(
        "atlas.html",
        name=data["name"],
        game=data["game"],
        player=data["player"],
        units=sum(len(layer["units"]) for layer in data["layers"]),
        observations=data["steps"] * data["envs"],
        pictures=pictures,
        data={**data, "sheets": {kind: _facts(sheets) for kind, sheets in pictures.items()}},
    )


def _facts(sheets: Sheets) -> dict[str, int]:
    return {name: getattr(sheets, name) for name in ("height", "width", "columns", "each")}
