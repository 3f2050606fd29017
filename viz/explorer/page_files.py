"""Page of an explorer: its template, its scripts in their order, and its colours."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import colormaps

from atari_zoo.converters.files import written_whole
from atari_zoo.viz.explorer.scripts import script_array
from atari_zoo.viz.images import diverging, sequential
from atari_zoo.viz.pages.templates import filled

PAGE, DATA, CODE = "index.html", "explorer_data", "explorer_code"
SCRIPTS = (
    "elements data state agents game decision layers views timeline cloud points unit keys main"
).split()

LIVE = ("live", "memory")  # of a served page alone
STYLE = "explorer.css"


def colour_scales() -> dict[str, Any]:
    """The house's colours of numbers, as the page's script looks them up: from zero up, signed, and
    of what is neither."""
    steps = np.linspace(0, 1, 256)
    viridis = np.ascontiguousarray(colormaps["viridis"](steps, bytes=True)[:, :3])
    signed = diverging(np.linspace(-1, 1, 255), 1.0)
    found = {"inferno": sequential(steps), "signed": signed, "viridis": viridis}
    return {name: script_array(colours) for name, colours in found.items()}


def write_page(folder: Path, game: str, names: Sequence[str]) -> Path:
    """Writes the page and its scripts; returns the page's path.

    names: of the agents, for the title.
    """
    (folder / CODE).mkdir()
    for name in (*(f"{name}.js" for name in SCRIPTS), STYLE):
        (folder / CODE / name).write_bytes(page_code(name))
    with written_whole(folder / PAGE) as beside:
        beside.write_text(page_text(game, names), encoding="utf-8")
    return folder / PAGE


def page_text(game: str, names: Sequence[str], live: bool = False) -> str:
    """The page itself. live: with what a server alone can do, and no page from disk."""
    scripts = [*SCRIPTS[:-1], *(LIVE if live else ()), SCRIPTS[-1]]
    return filled("explorer.html", game=game, names=names, scripts=scripts, live=live)


def page_code(name: str) -> bytes:
    """A script or the style, as the package has it."""
    return (resources.files("atari_zoo.viz.explorer") / "web" / name).read_bytes()
