"""Units: which of the game's variables each one answers to, and where; "submarine detectors" by
themselves."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pandas
from jaxtyping import Int, Shaped

from atari_zoo.analysis.measures.thinning import thinned
from atari_zoo.analysis.probing.labels import Labels, labels_of, named_values
from atari_zoo.analysis.probing.layer_values import (
    CONTROL_WORDS,
    environments_of,
    layers_of,
    own_values,
    steps_of,
    untrained_values,
)
from atari_zoo.analysis.probing.splits import dealt_groups
from atari_zoo.analysis.probing.targets import BLOCK
from atari_zoo.analysis.registry import analysis
from atari_zoo.analysis.results import Result
from atari_zoo.analysis.subjects import Subject
from atari_zoo.analysis.tuning.places import SCREEN, Cells, map_cells, tracked_objects
from atari_zoo.analysis.tuning.rows import (
    Asked,
    LayerTuning,
    chosen_rows,
    tuning_rows,
    with_intervals,
)
from atari_zoo.analysis.tuning.tuning import PlaceTuning, ValueTuning, place_tuning, value_tuning
from atari_zoo.analysis.tuning.unit_values import shuffled_moments, unit_values
from atari_zoo.converters.arguments import checked
from atari_zoo.intervals import CONFIDENCE

WORDS = (
    f"{CONFIDENCE:.0%} bootstrap, whole episodes resampled, the resamples about their own mean; "
    "missing where there is one alone"
)
MOST = 4000  # moments of a subject
EPISODES = 4  # of fewer, rows are chosen by the same moments that they are of
PRESENT = "_present"  # behind a variable's name: whether what it tells of is there
COLUMNS = (
    "agent algorithm game unit layer aspect variable selectivity chosen_by share untrained next "
    "next_share score low high shuffled pearson spearman partial episodes n"
).split()


@checked
@analysis("units", source="https://arxiv.org/abs/1812.07069", verb="units")
def unit_variables(
    agents: Sequence[Subject],
    *,
    layer: Sequence[str] | None = None,
    variable: Sequence[str] | None = None,
    all_variables: bool = False,
    most: int = 200,
    seed: int = 0,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Result:
    """Which variable, or object's place, each unit answers to; the most telling first.

    layer: some layers; all if not given. variable: some variables, by their names; if not given
    those of the game's table that are certain and change (entropy of 0.6 nats or more).
    all_variables: those that are uncertain or hardly change too. most: rows for an agent.
    seed: of shuffling and resampling.
    The table has a row for each unit and variable (aspect "value": the score is their mutual
    information in nats) or object (aspect "place": the score is the share of the unit's map that
    its place on the map is above), by selectivity: the share of what could be known, more than of
    the next best variable. Rows are chosen and put in order by half of the episodes (chosen_by is
    the selectivity there), and all else is of the others. The arrays hold their shares of all
    pairs.
    Raises ValueError for a layer or variable that is not there.
    """
    if most < 1:
        raise ValueError(f"most is {most}; expected at least 1")
    wanted = [(subject, layers_of(subject.network, layer)) for subject in agents]
    total, done = sum(len(layers) for _, layers in wanted), 0
    arrays: dict[str, np.ndarray] = {}
    tables, said = [], []
    for subject, layers in wanted:
        labels = labels_of(subject, variable, all_variables)
        kept = thinned(steps_of(subject), MOST)
        asked = _asked(subject, labels, kept, chosen=variable is not None)
        halves, words = _halves(asked, seed)
        parts = [asked.at(half) for half in halves]
        found: dict[str, LayerTuning] = {}
        rows = []
        for name in layers:
            both = layer_tuning(subject, name, asked, kept, halves, seed)
            rows.append([tuning_rows(*pair) for pair in zip(both, parts, strict=True)])
            found[name] = both[1]
            arrays |= _shares(subject.name, found[name])
            done += 1
            progress(done, total)
        arrays |= _names(subject.name, asked)
        first, second = (pandas.concat(some, ignore_index=True) for some in zip(*rows, strict=True))
        table = with_intervals(chosen_rows(first, second, most), found, parts[1], seed)
        tables.append(_described(table, subject, parts[1]))
        said.append(f"{subject.name}: {words}; {labels.said()}".rstrip("; "))
    words = f"low, high: of the score; {WORDS}; {CONTROL_WORDS}. {'. '.join(said)}"
    return Result(pandas.concat(tables, ignore_index=True), words, arrays)


def layer_tuning(
    subject: Subject,
    layer: str,
    asked: Asked,
    kept: Int[np.ndarray, "moments"],
    halves: Sequence[Int[np.ndarray, "some"]],
    seed: int,
) -> list[LayerTuning]:
    """One layer's units in each half of the moments; and how the unit does that was the best before
    training in the first half."""
    environments = environments_of(subject)[kept]
    own = own_values(subject, [layer], kept)[layer]
    before = untrained_values(subject, [layer], kept, seed).get(layer)
    cells = _cells(subject, layer) if own.ndim == 4 and asked.things else None
    best: list[Int[np.ndarray, "asked"]] = []
    found = []
    for half in halves:
        part, order = asked.at(half), np.argsort(environments[half], kind="stable")
        shuffles = shuffled_moments(order, BLOCK, seed)
        value, place = _tuned(own[half], part, cells, shuffles)
        shares = [np.full((1, len(names)), np.nan) for names in (asked.names, asked.things)]
        if before is not None:
            control = _tuned(before[half], part, cells, shuffles)
            shares = [
                blank if one is None else np.nan_to_num(one.share)
                for one, blank in zip(control, shares, strict=True)
            ]
        best = best or [share.argmax(0) for share in shares]
        picked = [share[row, np.arange(len(row))] for share, row in zip(shares, best, strict=True)]
        found.append(LayerTuning(layer, unit_values(own[half]), value, place, *picked))
    return found


def _tuned(
    values: Shaped[np.ndarray, "moments ..."],
    asked: Asked,
    cells: Cells | None,
    shuffles: Sequence[Int[np.ndarray, "moments"]],
) -> tuple[ValueTuning, PlaceTuning | None]:
    value = value_tuning(values, asked.variables, shuffles)
    if cells is None:
        return value, None
    return value, place_tuning(values, asked.things, cells, shuffles, asked.episodes)


def _halves(asked: Asked, seed: int) -> tuple[list[Int[np.ndarray, "some"]], str]:
    """The moments to choose rows by and those to tell of them, of other episodes where there are
    enough; and which it is, in words."""
    names, sizes = np.unique(asked.episodes, return_counts=True)
    if len(names) < EPISODES:
        every = np.arange(len(asked.episodes))
        return [every, every], (
            f"fewer than {EPISODES} episodes: rows are the best of all pairs of these moments, "
            "where they are better than elsewhere, which no interval says"
        )
    parts = dealt_groups(names, sizes, 2, seed)
    halves = [np.flatnonzero(np.isin(asked.episodes, part)) for part in parts]
    return halves, "rows are chosen by half of the episodes, and all else is of the other half"


def _asked(
    subject: Subject, labels: Labels, kept: Int[np.ndarray, "moments"], chosen: bool
) -> Asked:
    """The variables, and of those that can be absent whether they are there; the objects."""
    names, columns = [], []
    for label in labels.labels:
        names.append(label.name)
        columns.append(label.values[kept])
        there = np.isfinite(columns[-1])
        if not there.all() and there.any():
            names.append(label.name + PRESENT)
            columns.append(there.astype(float))
    table, known, _ = named_values(subject)
    if chosen:
        table = table[[label.name for label in labels.labels]]
    things = tracked_objects(table.iloc[kept], known)
    return Asked(tuple(names), np.stack(columns, axis=1), tuple(things), subject.episodes[kept])


def _cells(subject: Subject, layer: str) -> Cells | None:
    frames = subject.recording.frames
    screen = SCREEN if frames is None else (int(frames.shape[2]), int(frames.shape[3]))
    return map_cells(subject.network, layer, subject.recording.preprocessing, screen)


def _shares(agent: str, found: LayerTuning) -> dict[str, np.ndarray]:
    parts = {f"{agent} {found.layer} share": found.value.share.astype(np.float32)}
    if found.place is not None:
        parts[f"{agent} {found.layer} place"] = found.place.share.astype(np.float32)
    return parts


def _names(agent: str, asked: Asked) -> dict[str, np.ndarray]:
    things = [thing.name for thing in asked.things]
    return {f"{agent} variables": np.array(asked.names), f"{agent} objects": np.array(things, str)}


def _described(table: pandas.DataFrame, subject: Subject, asked: Asked) -> pandas.DataFrame:
    facts = {
        "agent": subject.name,
        "algorithm": subject.card.algorithm,
        "game": subject.recording.game,
        "episodes": len(np.unique(asked.episodes)),
    }
    return table.assign(**facts).reindex(columns=COLUMNS)
