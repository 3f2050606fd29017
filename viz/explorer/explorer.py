"""The explorer: a folder of plain files, whose page shows what agents see, compute and do.

After understanding-rl-vision (Hilton et al., 2020, https://distill.pub/2020/
understanding-rl-vision), and the original zoo's clickable embedding (Such et al., 2019,
https://arxiv.org/abs/1812.07069).
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from itertools import repeat
from pathlib import Path
from typing import Any

from atari_zoo.analysis.subjects import Subject
from atari_zoo.converters.arguments import checked
from atari_zoo.converters.files import check_parent
from atari_zoo.viz.explorer.agent_files import PartsDone, WorkParts, write_agent
from atari_zoo.viz.explorer.agents import shown_agents
from atari_zoo.viz.explorer.layers import layers_to_show
from atari_zoo.viz.explorer.matches import write_matches
from atari_zoo.viz.explorer.page_files import CODE, DATA, colour_scales, write_page
from atari_zoo.viz.explorer.points import (
    check_ram_recorded,
    moments_of,
    saved_embedding,
    write_points,
)
from atari_zoo.viz.explorer.scripts import write_script
from atari_zoo.viz.explorer.settings import CHUNK, ExplorerSettings, ShownAgent


@checked
def explore(
    models: Sequence[Subject],
    folder: str | Path,
    settings: ExplorerSettings = ExplorerSettings(),  # noqa: B008  # it is frozen
    ablate: Sequence[str] = (),
    made_by: str = "",
    progress: PartsDone = lambda done, total, text: None,
) -> Path:
    """Writes a page about agents of one game into a folder, and returns the page's path.

    models: agents as all analyses take them: names, patterns, networks, recordings.
    folder: made if it is not there; files of an older page in it are replaced.
    ablate: units of the first agent that are silenced, as in "conv3:26"; the agent without them is
        asked about the intact one's play.
    made_by: how to make the page again, for its last line.
    progress: called with the parts done, those there are, and what is done now.
    Raises ValueError for agents of different games, play without colour frames or (for an
        embedding of several agents) RAM, and for layers, units or methods that are not there.
    """
    folder = Path(folder)
    check_parent(folder)
    saved = None if settings.embedding is None else saved_embedding(settings.embedding)
    agents = shown_agents(models, ablate, settings)
    intact = [one for one in agents if not one.ablated]
    check_ram_recorded(intact, settings)
    if saved is not None:
        moments_of(saved.table, intact, settings)  # refuses before the work
    layers = [layers_to_show(one.network, settings.layers) for one in agents]
    folder.mkdir(exist_ok=True)
    for part in (DATA, CODE):
        shutil.rmtree(folder / part, ignore_errors=True)
    parts = sum(map(_part_count, agents, layers, repeat(settings)))
    steps = WorkParts(progress, 2 + parts)
    rows = [
        write_agent(folder / DATA, one, names, settings, steps)
        for one, names in zip(agents, layers, strict=True)
    ]
    index: dict[str, Any] = {
        "game": agents[0].recording.game,
        "agents": rows,
        "points": _write_map(folder / DATA, intact, settings, steps),
        "chunk": CHUNK,
        "madeBy": made_by,
        "palettes": colour_scales(),
    }
    write_script(folder / DATA, "index", index)
    return write_page(folder, index["game"], [one.name for one in agents])


def _part_count(agent: ShownAgent, layers: Sequence[str], settings: ExplorerSettings) -> int:
    """Of `write_agent`'s work."""
    dictionary = 1 + bool(settings.images) + (0 if agent.ablated else len(layers))
    return 1 + len(layers) + len(settings.methods) + settings.units * dictionary


def _write_map(
    folder: Path, agents: Sequence[ShownAgent], settings: ExplorerSettings, steps: WorkParts
) -> dict[str, Any]:
    steps.next("moments alike")
    write_matches(folder, agents, settings.seed)
    steps.next("the map of all moments")
    return write_points(folder, agents, settings)
