"""Quality of embeddings, and who is where no other is: tables that results keep as arrays."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas

from atari_zoo.analysis.results import Result
from atari_zoo.intervals import CONFIDENCE

# columns and their types
QUALITY = {"map": str, "places": str, "measure": str, "value": float, "low": float, "high": float}
VISITS = {"agent": str} | dict.fromkeys("share low high dealt moments episodes".split(), float)


def quality_of(result: Result) -> pandas.DataFrame:
    """How true the maps are: map, places, measure, value, low, high.

    places: "map"; "PCA", the first two principal components alone; "shuffled", the map's places
        dealt out anew, which is chance; "seeds", the layouts from other beginnings beside the map.
    measure: trustworthiness and preservation, 0 to 1, the more the better, of 15 neighbours before
        reduction; divergence, exact, in nats; of seeds overlap (of 15 neighbours, 1 the same) and
        disparity (of Procrustes, 0 the same).
    """
    return _table(result, "quality", QUALITY)


def visits_of(result: Result) -> pandas.DataFrame:
    """Who is where no other is: see `exclusive_shares`; of 30 by 30 cells of a shared map.

    Empty where each agent has a map of its own.
    """
    return _table(result, "visits", VISITS)


def table_arrays(name: str, table: pandas.DataFrame) -> dict[str, np.ndarray]:
    """A table as arrays of a result: its texts and its numbers."""
    columns = QUALITY if name == "quality" else VISITS
    texts = [column for column, kind in columns.items() if kind is str]
    numbers = [column for column in columns if column not in texts]
    return {
        f"{name}_text": table[texts].to_numpy(str),
        name: table[numbers].to_numpy(float),
    }


def uncertainty_of(quality: pandas.DataFrame) -> str:
    """In words, with the means over maps."""
    means = quality.groupby(["places", "measure"])["value"].mean()
    trust = {places: means[places, "trustworthiness"] for places in ("map", "PCA", "shuffled")}
    words = (
        f"trustworthiness {trust['map']:.3f} (first two principal components {trust['PCA']:.3f}, "
        f"places dealt out anew {trust['shuffled']:.3f}), {CONFIDENCE:.0%} intervals over episodes "
        "in `quality_of`"
    )
    if ("seeds", "overlap") not in means:
        return f"{words}; of one layout alone, nothing tells what is chance in it"
    overlap, disparity = means["seeds", "overlap"], means["seeds", "disparity"]
    return (
        f"{words}; another beginning keeps {overlap:.0%} of a moment's nearest and differs by "
        f"{disparity:.2f} (Procrustes, 0 to 1) as a whole"
    )


def _table(result: Result, name: str, columns: Mapping[str, type]) -> pandas.DataFrame:
    if name not in result.arrays:
        return pandas.DataFrame(columns=list(columns))
    pairs = zip(result.arrays[f"{name}_text"].tolist(), result.arrays[name].tolist(), strict=True)
    return pandas.DataFrame([(*text, *row) for text, row in pairs], columns=list(columns))
