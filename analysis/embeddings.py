"""Embeddings: where agents' moments are, in memory or in a layer, laid out in the plane."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas

from atari_zoo.analysis.embedding.maps import Map, kept_arrays, kept_map, later, map_of
from atari_zoo.analysis.embedding.methods import Layout, method_named
from atari_zoo.analysis.embedding.placing import check_alike, placed
from atari_zoo.analysis.embedding.quality import QUALITY, table_arrays, uncertainty_of
from atari_zoo.analysis.embedding.spaces import (
    SHARED,
    check_game,
    check_space,
    points_of,
)
from atari_zoo.analysis.measures.visits import exclusive_shares, grid_cells
from atari_zoo.analysis.moments import moments_of, units_of
from atari_zoo.analysis.registry import analysis
from atari_zoo.analysis.results import Result, open_result
from atari_zoo.analysis.subjects import Subject
from atari_zoo.converters.arguments import checked

ALL = "all"  # the map of a space that agents share


@checked
@analysis("embeddings", source="https://arxiv.org/abs/1812.07069", verb="embed")
def embed(
    agents: Sequence[Subject],
    *,
    space: str = "ram",
    method: str = "tsne",
    perplexity: float = 30.0,
    iterations: int | None = None,
    every: int = 1,
    seeds: int = 2,
    into: Path | None = None,
    seed: int = 0,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Result:
    """Where agents' moments lie in memory or in a layer, laid out in the plane.

    Moments are reduced to 50 principal components and then laid out. Neighbours in the plane are
    alike; distances between groups, their sizes and shapes say nothing.

    space: ram (128 bytes) or bits (1,024) of all agents of a game together; or a layer, such as
        fc, of each agent on a map of its own.
    method: tsne or umap.
    perplexity: the size of a neighbourhood; of UMAP how many neighbours.
    iterations: 3,000 if not given, of UMAP 500.
    every: so many steps are one point.
    seeds: layouts from other beginnings that are compared; 1 for none.
    into: the folder of a saved embedding, made with the same settings, in which the moments are
        placed; what is there stays where it is.
    seed: of what is drawn.
    The table has a row for each moment: map; play, which of the agents given; agent, step, env,
    episode, score before the step; x, y; pca_x, pca_y, the control; placed, whether into an old
    map; far, of those, how far from all old moments (above 1: like nothing that is there).
    Arrays: see `quality_of` and `visits_of` of `atari_zoo.analysis.embedding.quality`.
    Raises ValueError for agents of different games in a shared space, where the RAM was not
    recorded, and for too few moments or the same again and again.
    """
    way = method_named(method)
    if seeds < 1:
        raise ValueError(f"seeds is {seeds}; expected 1 or more")
    check_space(agents, space)
    layout = Layout(perplexity, way.iterations if iterations is None else iterations, seed)
    table = moments_of(agents, every)
    table.insert(0, "map", table["play"].map(_map_names(agents, space)))
    if into is not None:
        old = open_result(into)
        check_alike(old, into, space, method, perplexity, iterations)
        return _into(old, agents, table, layout)
    maps: dict[str, Map] = {}
    each, count = seeds * layout.iterations, table["map"].nunique()
    for name, rows in table.groupby("map", sort=False):
        told = later(lambda done: progress(done, each * count), each * len(maps))
        points, whose = _points(agents, space, rows), f"{name} in {space}"
        maps[str(name)] = map_of(points, units_of(rows), way, layout, seeds, whose, told)
    table = pandas.concat(
        [_located(table[table["map"] == name], one) for name, one in maps.items()],
        ignore_index=True,
    )
    return _result(table.assign(placed=False, far=np.nan), maps, agents, seed)


def _map_names(agents: Sequence[Subject], space: str) -> dict[int, str]:
    if space in SHARED:
        return dict.fromkeys(range(len(agents)), ALL)
    names = [agent.name for agent in agents]
    return {
        number: name if names.count(name) == 1 else f"{name} (play {number})"
        for number, name in enumerate(names)
    }


def _points(agents: Sequence[Subject], space: str, rows: pandas.DataFrame) -> np.ndarray:
    """The moments of rows, which are in the plays' order."""
    parts = []
    for play, own in rows.groupby("play", sort=True):
        agent = agents[int(play)]
        envs = agent.recording.starts.shape[1]
        moments = (own["step"] * envs + own["env"]).to_numpy()
        parts.append(points_of(agent, space, moments))
    return np.concatenate(parts)


def _located(rows: pandas.DataFrame, on: Map) -> pandas.DataFrame:
    first = on.reduced[:, :2].astype(float)
    if first.shape[1] < 2:  # one component is all there is
        first = np.column_stack([first, np.zeros(len(first))])
    return rows.assign(x=on.places[:, 0], y=on.places[:, 1], pca_x=first[:, 0], pca_y=first[:, 1])


def _into(
    old: Result, agents: Sequence[Subject], table: pandas.DataFrame, layout: Layout
) -> Result:
    """The old table, and below it the new moments on its maps."""
    made, before = old.made.parameters, old.table[~old.table["placed"]]
    if made["space"] in SHARED:
        check_game(agents, str(old.arrays["games"][0]), made["space"])
    known, parts = old.arrays["maps"].tolist(), [old.table]
    for name, rows in table.groupby("map", sort=False):
        if name not in known:
            raise ValueError(
                f"no map of {name} in the embedding, which has {', '.join(known)}; a layer's map "
                "is of one agent, whose other play can be placed in it"
            )
        there = before[before["map"] == name]
        places = there[["x", "y"]].to_numpy(float)
        kept = kept_map(old.arrays, known.index(name), places)
        points = _points(agents, made["space"], rows)
        way = method_named(made["method"])
        on, far = placed(kept, units_of(there), points, way, layout)
        rows = rows.assign(play=rows["play"] + old.table["play"].max() + 1)
        parts.append(_located(rows, on).assign(placed=True, far=far))
    whole = pandas.concat(parts, ignore_index=True)
    uncertainty = f"{old.uncertainty}; far: of the moments placed"
    return Result(whole, uncertainty, dict(old.arrays))


def _result(
    table: pandas.DataFrame, maps: Mapping[str, Map], agents: Sequence[Subject], seed: int
) -> Result:
    rows = [(name, *row) for name, one in maps.items() for row in one.quality]
    quality = pandas.DataFrame(rows, columns=list(QUALITY))
    arrays = kept_arrays(list(maps.values())) | table_arrays("quality", quality)
    arrays["maps"] = np.array(list(maps))
    arrays["games"] = np.array(list(dict.fromkeys(agent.recording.game for agent in agents)))
    if list(maps) == [ALL] and table["agent"].nunique() > 1:
        cells = grid_cells(table[["x", "y"]].to_numpy())
        visits = exclusive_shares(cells, table["agent"].tolist(), units_of(table), seed)
        arrays |= table_arrays("visits", visits)
    return Result(table, uncertainty_of(quality), arrays)
