"""Correlates of units in words: which variable or object each tells of, beside its controls."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import pandas

from atari_zoo.analysis.subjects import Subject
from atari_zoo.analysis.units import unit_variables

ROWS = 2  # of a unit, at most
MOST = 1.5  # rows of an agent, for each of its units: each is resampled, which takes time
LEAST = 0.05  # of what could be known: less is not said


def unit_words(
    subject: Subject,
    layers: Sequence[str],
    counts: Sequence[int],
    seed: int = 0,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[dict[str, dict[int, list[str]]], str]:
    """Sentences about each unit by layer and number, the strongest first; and what all of them
    share.

    counts: units of each layer.
    """
    try:
        found = unit_variables(
            [subject],
            layer=list(layers),
            most=round(MOST * sum(counts)),
            seed=seed,
            progress=progress,
        )
    except ValueError as error:  # nothing is known of the game's memory in this play
        return {}, f"What units tell of was not measured: {error}"
    words: dict[str, dict[int, list[str]]] = {}
    for (layer, unit), rows in found.table.groupby(["layer", "unit"], sort=False):
        said = [_sentence(row) for row in rows.head(ROWS).to_dict("records") if _counts(row)]
        words.setdefault(str(layer), {})[int(str(unit).rpartition(":")[2])] = said
    return words, found.uncertainty


def _counts(row: Mapping[str, object]) -> bool:
    return float(row["share"]) >= LEAST and float(row["selectivity"]) > 0  # type: ignore[arg-type]


def _sentence(row: Mapping[str, object]) -> str:
    what = _plain(row["variable"])
    if row["aspect"] == "place":
        fact = (
            f"Answers to the place of {what}: its map is higher there than in "
            f"{_part(row['score'])} of the other cells (at its places of other times, than in "
            f"{_part(row['shuffled'])})."
        )
    else:
        fact = f"Tells of the value of {what}{_direction(row)}."
    return f"{fact} {_comparison(row)}"


def _direction(row: Mapping[str, object]) -> str:
    rank = row["spearman"]
    if not isinstance(rank, float) or pandas.isna(rank) or abs(rank) < 0.3:
        return ""
    return f", and {'rises' if rank > 0 else 'falls'} with it (rank correlation {rank:z.2f})"


def _comparison(row: Mapping[str, object]) -> str:
    """Its share of what chance leaves open, beside that of the next best thing, and of the best
    unit of an untrained layer."""
    words = f"That is {_part(row['share'])} of what it could have beyond chance"
    if row["next"]:
        words += f"; for {_plain(row['next'])}, its next best, it has {_part(row['next_share'])}"
    before = row["untrained"]
    if not isinstance(before, float) or pandas.isna(before):
        return f"{words}. Of an untrained network nothing is known."
    return f"{words}, and the layer's best unit before training {_part(before)}."


def _plain(name: object) -> str:
    return str(name).replace("_", " ")


def _part(share: object) -> str:
    return f"{100 * float(share):.0f}\N{NO-BREAK SPACE}%"  # type: ignore[arg-type]
