"""An atlas as one HTML page that needs no server and no other file.

Pictures are cut out of a few sheets by the page itself. Whatever comes from a model's file is
escaped here: a card is not trusted to hold no script.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from html import escape
from importlib import resources
from string import Template
from typing import Any

from atari_zoo.viz.images import data_uri
from atari_zoo.viz.sheets import Sheets


def atlas_page(data: Mapping[str, Any], pictures: Mapping[str, Sheets]) -> str:
    """The template `web/atlas.html`, filled.

    data: what the page's script reads, see `atari_zoo.viz.pages.atlas`. pictures: "screen" and,
    where there are some, "frame", in the order of the data's moments, and of layers' images, in the
    order of their units.
    """
    template = resources.files("atari_zoo.viz.pages").joinpath("web/atlas.html").read_text("utf-8")
    facts = {"sheets": {kind: _facts(of) for kind, of in pictures.items()}}
    units = sum(len(layer["units"]) for layer in data["layers"])
    seen = data["steps"] * data["envs"]
    return Template(template).substitute(
        title=escape(f"{data['name']}: atlas"),
        subtitle=escape(
            f"{units:,} units of one agent that plays {data['game']}, "
            f"and what they answered to in {seen:,} observations of real play."
        ),
        styles="\n".join(_style(kind, of) for kind, of in pictures.items()),
        data=script_safe({**data, **facts}),
    )


def script_safe(data: Any) -> str:
    """JSON that no string in it can end the script element of, or begin another in."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _facts(of: Sheets) -> dict[str, int]:
    return {name: getattr(of, name) for name in ("height", "width", "columns", "each")}


def _style(kind: str, of: Sheets) -> str:
    return "\n".join(
        f".{kind}-{index} {{ background-image: url({data_uri(file)}); }}"
        for index, file in enumerate(of.files)
    )
