"""Learning curves: the mean score of an algorithm's runs, and how sure it is.

The bands are those of `atari_zoo.intervals`: whole runs are resampled, of four or more. Of two or
three runs they are the runs themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas
from jaxtyping import Float

from atari_zoo.analysis.registry import analysis
from atari_zoo.analysis.results import Result
from atari_zoo.converters.algorithms import ALGORITHMS
from atari_zoo.converters.arguments import checked
from atari_zoo.converters.files import encodable
from atari_zoo.intervals import CONFIDENCE, FEW, bootstrap_band
from atari_zoo.logs.tables import NAMES

AXES = ("frames", "seconds")
POINTS = 400  # of the common grid
COLUMNS = ("x", "mean", "low", "high")


@dataclass(frozen=True)
class LearningCurve:
    """The runs of one algorithm in one game.

    x: frames or seconds, where all the runs are; the rows themselves of a single run.
    mean: of the runs' scores there. low, high: the band; of two or three runs their lowest and
        highest; NaN where there is one run alone.
    runs: x and score of each, whole.
    """

    label: str
    game: str
    x: Float[np.ndarray, "points"]
    mean: Float[np.ndarray, "points"]
    low: Float[np.ndarray, "points"]
    high: Float[np.ndarray, "points"]
    runs: tuple[tuple[np.ndarray, np.ndarray], ...]


@checked
@analysis("learning_curves", source="https://arxiv.org/abs/2108.13264", verb="logs")
def learning(logs: Sequence[pandas.DataFrame], *, x: str = "frames", seed: int = 0) -> Result:
    """The mean score of each algorithm's runs in each game, and how sure it is.

    logs: tables of `training_log`. x: "frames" or "seconds". seed: of the resampling.
    The table has a row for each point of each curve: game, label, runs (how many), x, mean, low,
    high. The arrays: "curves", the game and label of each; "runs", the single runs, rows of curve
    (its number), run, x and score.
    Raises ValueError if there is no such axis, or nothing to draw on it.
    """
    found = curves(logs, x, seed)
    table = pandas.concat([_rows(curve) for curve in found], ignore_index=True)
    runs = [
        np.column_stack([np.full(len(xs), number), np.full(len(xs), run), xs, scores])
        for number, curve in enumerate(found)
        for run, (xs, scores) in enumerate(curve.runs)
    ]
    uncertainty = (
        f"low, high: {CONFIDENCE:.0%} bootstrap of the mean, whole runs resampled; of fewer than "
        f"{FEW} runs their lowest and highest; missing where there is one run alone"
    )
    names = np.array([[curve.game, curve.label] for curve in found])
    return Result(table, uncertainty, {"curves": names, "runs": np.concatenate(runs)})


def curves_of(result: Result) -> list[LearningCurve]:
    """The curves of a result of `learning`."""
    table, runs, found = result.table, result.arrays["runs"], []
    for number, (game, label) in enumerate(result.arrays["curves"].tolist()):
        rows = table[(table["game"] == game) & (table["label"] == label)]
        x, mean, low, high = (rows[name].to_numpy(float) for name in COLUMNS)
        own = runs[runs[:, 0] == number]
        parts = [own[own[:, 1] == run] for run in np.unique(own[:, 1])]
        single = tuple((part[:, 2], part[:, 3]) for part in parts)
        found.append(LearningCurve(label, game, x, mean, low, high, single))
    return found


@checked
def curves(
    logs: Sequence[pandas.DataFrame], x: str = "frames", seed: int = 0
) -> list[LearningCurve]:
    """A curve for each game and algorithm in the logs, in the order they come.

    logs: tables of `training_log`. Of an unknown algorithm every log is a curve of its own.
    x: "frames" or "seconds"; runs that do not know their time are left out of the latter.
    Raises ValueError if there is no such axis, or nothing to draw on it.
    """
    if x not in AXES:
        raise ValueError(f"no axis '{x}'; there are {', '.join(AXES)}")
    runs: dict[tuple[str, str], list[tuple[np.ndarray, np.ndarray]]] = {}
    for log in logs:
        for (algorithm, game, _), rows in log.groupby([*NAMES], sort=False):
            run = _points(rows, x)
            if len(run[0]):
                runs.setdefault((str(game), _label(log, str(algorithm))), []).append(run)
    if not runs:
        missing = "seconds" if x == "seconds" else "scores"
        raise ValueError(f"nothing to draw: the logs tell no {missing}")
    return [_curve(label, game, tuple(some), seed) for (game, label), some in runs.items()]


def common_grid(
    runs: Sequence[tuple[np.ndarray, np.ndarray]], points: int = POINTS
) -> tuple[Float[np.ndarray, "points"], Float[np.ndarray, "runs points"]]:
    """Where all the runs are, and their scores there by linear interpolation.

    Nothing is extrapolated: the grid begins where the last run begins and ends where the first
    ends; it is empty if they have no x in common.
    """
    begin, end = max(x[0] for x, _ in runs), min(x[-1] for x, _ in runs)
    grid = np.linspace(begin, end, points if begin < end else int(begin == end))
    return grid, np.stack([np.interp(grid, x, score) for x, score in runs])


def _rows(curve: LearningCurve) -> pandas.DataFrame:
    facts = {"game": curve.game, "label": curve.label, "runs": len(curve.runs)}
    numbers = {name: np.asarray(getattr(curve, name), float) for name in COLUMNS}
    return pandas.DataFrame(numbers).assign(**facts)[[*facts, *COLUMNS]]


def _curve(
    label: str, game: str, runs: tuple[tuple[np.ndarray, np.ndarray], ...], seed: int
) -> LearningCurve:
    x, scores = (runs[0][0], runs[0][1][None]) if len(runs) == 1 else common_grid(runs)
    low, high = bootstrap_band(scores, seed)
    return LearningCurve(label, game, x, scores.mean(axis=0), low, high, runs)


def _points(rows: pandas.DataFrame, x: str) -> tuple[np.ndarray, np.ndarray]:
    """The rows that have both, by x; of rows at the same x, as after a restart, the last."""
    known = rows[[x, "score"]].astype("float64")
    known = known[np.isfinite(known).all(axis=1)].sort_values(x, kind="stable")
    known = known.drop_duplicates(x, keep="last")
    return known[x].to_numpy(), known["score"].to_numpy()


def _label(log: pandas.DataFrame, algorithm: str) -> str:
    """The algorithm and, as implementations differ, its collection; the file where unknown."""
    if algorithm == NAMES["algorithm"]:
        return encodable("/".join(Path(str(log.attrs.get("source", algorithm))).parts[-2:]))
    title = ALGORITHMS[algorithm].title if algorithm in ALGORITHMS else algorithm
    collection = log.attrs.get("collection", "")
    return f"{title} ({collection})" if collection else title
