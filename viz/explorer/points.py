"""Points of an explorer: every agent's moments in one map of the console's memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas

from atari_zoo.analysis.embedding.spaces import SHARED
from atari_zoo.analysis.embeddings import embed
from atari_zoo.analysis.probing.labels import named_values
from atari_zoo.analysis.results import Result, open_result
from atari_zoo.recordings.arrays import not_kept
from atari_zoo.viz.explorer.scripts import script_array, write_script
from atari_zoo.viz.explorer.settings import ExplorerSettings, ShownAgent

SPACE, SEEDS = "ram", 2
GRID = 65535  # places along the longer side of the map
INTERVALS = ", 95% intervals over episodes in `quality_of`"  # of Python, not of a page
FEWEST = 100  # moments: of fewer no map is made: a neighbourhood of t-SNE is 90


def check_ram_recorded(agents: Sequence[ShownAgent], settings: ExplorerSettings) -> None:
    """Raises ValueError where several agents are to share a map, and one has no RAM recorded."""
    for one in agents:
        if len(agents) > 1 and settings.iterations and not has_memory(one):
            raise ValueError(
                f"{one.name}: {not_kept('RAM', 'ram')}, or leave the map out with iterations 0 "
                "(--iterations 0)"
            )


def has_memory(agent: ShownAgent) -> bool:
    """Whether the RAM was recorded."""
    return agent.recording.ram is not None and len(agent.recording.ram) > 0


def write_points(
    folder: Path,
    agents: Sequence[ShownAgent],
    settings: ExplorerSettings,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, Any]:
    """Writes the map's points and the variables that colour them; returns what the page says of
    it, or `nothing`, why there is none.

    Raises ValueError if a saved embedding is not of these agents' memory.
    """
    if not settings.iterations:
        return {"nothing": "No map was asked for (iterations 0)."}
    if not has_memory(agents[0]):
        return {"nothing": f"No map: {not_kept('RAM', 'ram')}."}
    moments = sum(one.steps for one in agents)
    if moments < FEWEST and settings.embedding is None:
        return {"nothing": f"No map: {moments} moments are too few, {FEWEST} make one."}
    if settings.embedding is None:
        found = _made(agents, settings, progress)
        made = f"t-SNE of {SPACE}, {settings.iterations} iterations, made for this page"
    else:
        found = saved_embedding(settings.embedding)
        made = f"the embedding in {settings.embedding}, {found.made.parameters['method']}"
    table = moments_of(found.table, agents, settings)
    random = np.random.default_rng(settings.seed)
    table = table.iloc[random.permutation(len(table))]  # nobody is always on top
    places = table[["x", "y"]].to_numpy(float)
    places = places - places.min(axis=0)
    places *= GRID / max(places.max(), 1e-9)
    write_script(
        folder,
        "points",
        {
            "x": script_array(np.rint(places[:, 0]).astype(np.uint16)),
            "y": script_array(np.rint(places[:, 1]).astype(np.uint16)),
            "agent": script_array(table["shown"].to_numpy(np.uint8)),
            "step": script_array(table["step"].to_numpy(np.uint32)),
            "score": script_array(table["score"].to_numpy(np.float32)),
        },
    )
    names = _write_variables(folder, agents, table)
    return {
        "count": len(table),
        "made": made,
        "quality": found.uncertainty.replace(INTERVALS, ""),
        "variables": names,
    }


def _made(
    agents: Sequence[ShownAgent],
    settings: ExplorerSettings,
    progress: Callable[[int, int], None],
) -> Result:
    subjects = [one.subject for one in agents]
    return embed(
        subjects, iterations=settings.iterations, seeds=SEEDS, seed=settings.seed, progress=progress
    )


def saved_embedding(folder: Path) -> Result:
    """Raises ValueError where there is none of the console's memory."""
    found = open_result(folder)
    if found.made.analysis != "embeddings" or found.made.parameters.get("space") not in SHARED:
        raise ValueError(
            f"{folder}: no embedding of the console's memory; make one with `atari-zoo embed ... "
            f"-o {folder}`"
        )
    return found


def moments_of(
    table: pandas.DataFrame, agents: Sequence[ShownAgent], settings: ExplorerSettings
) -> pandas.DataFrame:
    """The rows of these agents' moments that are shown; shown: the agent's number on the page.

    Raises ValueError where the table has none of an agent, or is of other play of its.
    """
    numbers = {one.name: number for number, one in enumerate(agents)}
    missing = [name for name in numbers if name not in set(table["agent"])]
    if missing:
        raise ValueError(
            f"the embedding has no moments of {', '.join(missing)}; it is of "
            f"{', '.join(dict.fromkeys(table['agent']))}"
        )
    steps = {one.name: one.steps for one in agents}
    kept = table[table["agent"].isin(numbers) & (table["env"] == settings.env)]
    kept = kept[kept["step"] < kept["agent"].map(steps)]
    for one in agents:
        own = kept[kept["agent"] == one.name]
        scores = one.recording.scores[own["step"].to_numpy(), one.env]
        if not np.array_equal(scores, own["score"]) and own["score"].notna().all():
            raise ValueError(
                f"the embedding is of other play of {one.name}, which had other scores: its points "
                "would show the wrong moments; make one of this play"
            )
    return kept.assign(shown=kept["agent"].map(numbers))


def _write_variables(
    folder: Path, agents: Sequence[ShownAgent], table: pandas.DataFrame
) -> list[str]:
    """A file for each named variable that changes; returns their names in that order."""
    each = []
    for number, one in enumerate(agents):
        rows = table[table["shown"] == number]
        envs = one.subject.recording.starts.shape[1]
        values = named_values(one.subject)[0].iloc[(rows["step"] * envs + rows["env"]).to_numpy()]
        each.append(values.set_index(rows.index))
    values = pandas.concat(each).reindex(table.index)
    changing = [name for name in values if values[name].nunique() > 1]
    for number, name in enumerate(changing):
        content = script_array(values[name].to_numpy(np.float32))
        write_script(folder, f"variables/{number}", content)
    return changing
