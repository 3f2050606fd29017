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
    web = resources.files("atari_zoo.viz.explorer") / "web"
    codes = sorted(file.name for file in web.iterdir() if file.name.endswith((".js", ".css")))
    (folder / CODE).mkdir()
    for name in codes:
        (folder / CODE / name).write_bytes((web / name).read_bytes())
    scripts = [f"{name}.js" for name in SCRIPTS]
    with written_whole(folder / PAGE) as beside:
        page = filled("explorer.html", game=game, names=names, scripts=scripts)
        beside.write_text(page, encoding="utf-8")
    return folder / PAGE
