"""Confusions of the classifier of frames, a panel for each trial, the control among them."""

from __future__ import annotations

import numpy as np
import pandas
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from atari_zoo.analysis.classifier.splits import RANDOM
from atari_zoo.analysis.results import Result, picture
from atari_zoo.viz.plots import PAGE, footnote, heat_map, label, plot, title_of

COLUMNS, HEIGHT = 2, 3.0
WRITTEN = 0.05  # shares below are not
LIGHT = 0.6  # shares above are written in black


@picture("state_classifier")
def draw_confusions(result: Result) -> Figure:
    """The share of each class's frames that was taken for each class."""
    confusion, trials = result.arrays["confusion"], result.arrays["trials"].tolist()
    names = [_name(name, result) for name in result.arrays["classes"].tolist()]
    rows = -(-len(trials) // COLUMNS)
    with plot(rows, COLUMNS, PAGE, HEIGHT) as (figure, panels):
        for panel, trial, counts in zip(panels.ravel(), trials, confusion, strict=False):
            shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
            image = heat_map(panel, shares, names, names, (0, 1))
            _write(panel, shares)
            label(panel, "taken for", "frames of", _title(result.table, trial), grid="")
        for panel in panels.ravel()[len(trials) :]:
            panel.remove()
        bar = figure.colorbar(image, ax=panels, shrink=0.5, aspect=25)
        bar.set_label("share of the class's frames")
        footnote(figure, _words(result))
    return figure


def _name(name: str, result: Result) -> str:
    return title_of(name) if result.made.parameters["classes"] == "algorithm" else name


def _title(table: pandas.DataFrame, trial: list[str]) -> str:
    """Two lines: what was shown, and how well it is told."""
    frames, split, labels = trial
    own = table[(table[["frames", "split", "labels"]] == trial).all(axis=1)]
    reached = own[(own["measure"] == "accuracy") & (own["class"] == "all")].iloc[0]
    shown = frames if frames == "as seen" else f"all rendered as {frames}"
    how = "at random" if split == RANDOM else f"by {split}"
    control = "control: labels shuffled, " if labels != "true" else ""
    band = f" [{reached['low']:.2f}, {reached['high']:.2f}]" if reached["low"] >= 0 else ""
    p = f", p {reached['p']:.2g}" if reached["p"] >= 0 else ""
    return f"{control}{shown}, split {how}\naccuracy {reached['value']:.2f}{band}{p}"


def _write(panel: Axes, shares: np.ndarray) -> None:
    size = 7 if len(shares) < 8 else 5
    for row, column in zip(*np.nonzero(shares >= WRITTEN), strict=True):
        share = shares[row, column]
        colour = "black" if share > LIGHT else "white"
        words = f"{share:.2f}"
        panel.text(column, row, words, color=colour, ha="center", va="center", fontsize=size)


def _words(result: Result) -> str:
    made, table = result.made.parameters, result.table
    first = table[(table["measure"] == "accuracy") & (table["class"] == "all")].iloc[0]
    return (
        f"{first['n']:,} frames, every {made['every']} steps; the largest class is "
        f"{first['chance']:.2f} of them. {result.uncertainty} ({first['smallest_p']:.2g})."
    )
