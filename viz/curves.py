"""Learning curves as a picture: score against emulator frames or wall time, a panel for each game.

The colours are those of Okabe and Ito (https://jfly.uni-koeln.de/color), which people who see
colours differently can tell apart too, without the yellow, which is faint on white.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil, sqrt
from pathlib import Path
from typing import Any

import pandas
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from atari_zoo.analysis.learning_curves import LearningCurve, curves
from atari_zoo.converters.arguments import checked
from atari_zoo.converters.files import check_ending, written_whole
from atari_zoo.games import UnknownGame
from atari_zoo.games import game as find_game
from atari_zoo.intervals import CONFIDENCE, FEW
from atari_zoo.viz.reference_lines import add_reference_lines

OKABE_ITO = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
DASHES = ("-", "--", ":")  # once more through the colours with each
TEXT_COLOUR, GRID_COLOUR = "#333333", "#e6e8ec"
PANEL_WIDTH, PANEL_HEIGHT, DPI = (
    8.0,
    5.0,
    150,
)  # inches of a panel that stands alone, and dots in an inch
COLUMNS, SMALLER = 3, 0.65  # panels side by side, and their size then
SUFFIXES = (".png", ".svg", ".pdf")
# of the x axis: at least so much, in what it counts then, and what that is called
UNITS = {
    "frames": ((1e6, "million emulator frames"), (1e3, "thousand emulator frames")),
    "seconds": ((3600.0, "hours of training"), (60.0, "minutes of training")),
}


@checked
def learning_curves(logs: Sequence[pandas.DataFrame], x: str = "frames", seed: int = 0) -> Figure:
    """A figure of the logs: for each algorithm the mean over its runs, with a 95 % bootstrap band;
    of two or three runs the band is from the lowest to the highest.

    logs: tables of `training_log`, of any games and algorithms; x: "frames" or "seconds".
    The single runs are drawn thinly, to their ends; the mean only where all of them are. Grey
    lines are a person's score and that of random play, where the game's are known.
    Raises ValueError if there is nothing to draw.
    """
    return curves_figure(curves(logs, x, seed), x)


def curves_figure(drawn: Sequence[LearningCurve], x: str = "frames") -> Figure:
    """`learning_curves` of curves that are there; x: what they are over."""
    games = list(dict.fromkeys(curve.game for curve in drawn))
    labels = list(dict.fromkeys(curve.label for curve in drawn))
    columns = min(ceil(sqrt(len(games))), COLUMNS)
    rows = ceil(len(games) / columns)
    scale = 1.0 if columns == 1 else SMALLER
    size = (
        PANEL_WIDTH * scale * columns,
        PANEL_HEIGHT * scale * rows + 0.3 * ceil(len(labels) / COLUMNS),
    )
    figure = Figure(figsize=size, dpi=DPI, layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for panel, name in zip(panels, games, strict=False):
        placed = {labels.index(curve.label): curve for curve in drawn if curve.game == name}
        _panel(panel, name, placed, x)
    for panel in panels[len(games) :]:
        panel.remove()
    _legend(figure, drawn, labels)
    return figure


@checked
def save_curves(
    logs: Sequence[pandas.DataFrame], path: str | Path, x: str = "frames", seed: int = 0
) -> None:
    """Writes `learning_curves` as a PNG, SVG or PDF file, by the name's ending.

    Raises ValueError for another ending.
    """
    check_ending(path, *SUFFIXES)
    figure = learning_curves(logs, x, seed)
    with written_whole(path) as beside:
        figure.savefig(beside, format=Path(path).suffix[1:].lower())


def _panel(panel: Axes, name: str, placed: Mapping[int, LearningCurve], x: str) -> None:
    """One game; the curves by their place in the legend."""
    longest = max(reached[-1] for curve in placed.values() for reached, _ in curve.runs)
    unit, title = next((pair for pair in UNITS[x] if longest >= pair[0]), UNITS[x][-1])
    for place, curve in placed.items():
        _draw(panel, curve, unit, OKABE_ITO[place % len(OKABE_ITO)], _dashes(place))
    panel.set_title(name, loc="left", color=TEXT_COLOUR, fontsize=12, fontweight="bold")
    panel.set_xlabel(title, color=TEXT_COLOUR)
    panel.set_ylabel("mean score of an episode", color=TEXT_COLOUR)
    panel.set_xlim(left=0)
    panel.xaxis.set_major_formatter(FuncFormatter(_readable))
    panel.yaxis.set_major_formatter(FuncFormatter(_readable))
    panel.yaxis.set_major_locator(MaxNLocator(nbins=7))
    panel.grid(axis="y", color=GRID_COLOUR, linewidth=0.8)
    panel.spines[["top", "right"]].set_visible(False)
    panel.tick_params(colors=TEXT_COLOUR)
    scores = [score for curve in placed.values() for _, score in curve.runs]
    try:
        game = find_game(name)
    except UnknownGame:
        return  # nothing tells the log's game: no scores to compare with
    low, high = min(s.min() for s in scores), max(s.max() for s in scores)
    add_reference_lines(panel, game, float(low), float(high))


def _draw(panel: Axes, curve: LearningCurve, unit: float, colour: str, dashes: str) -> None:
    if len(curve.runs) > 1:
        for reached, score in curve.runs:
            panel.plot(reached / unit, score, color=colour, alpha=0.3, linewidth=0.6)
        band: dict[str, Any] = {"color": colour, "alpha": 0.2, "linewidth": 0}
        panel.fill_between(curve.x / unit, curve.low, curve.high, **band)
    marker = "o" if len(curve.x) == 1 else ""
    line: dict[str, Any] = {"color": colour, "linewidth": 1.8, "marker": marker}
    panel.plot(curve.x / unit, curve.mean, dashes, label=curve.label, **line)


def _dashes(place: int) -> str:
    return DASHES[place // len(OKABE_ITO) % len(DASHES)]


def _readable(value: float, _: int | None = None) -> str:
    return f"{value:,.10g}"


def _legend(figure: Figure, drawn: Sequence[LearningCurve], labels: Sequence[str]) -> None:
    """Below the panels: each algorithm with how many runs it has, and what the bands are."""
    handles: dict[str, Any] = {}
    for panel in figure.axes:
        handles |= dict(zip(*reversed(panel.get_legend_handles_labels()), strict=True))
    counts = {label: [len(c.runs) for c in drawn if c.label == label] for label in labels}
    runs = [len(curve.runs) for curve in drawn]
    legend = figure.legend(
        [handles[label] for label in labels],
        [f"{label}, {_runs(counts[label])}" for label in labels],
        loc="outside lower center",
        ncols=min(len(labels), COLUMNS),
        frameon=False,
        title=_bands(runs),
        title_fontsize=9,
        labelcolor=TEXT_COLOUR,
    )
    legend.get_title().set_color(TEXT_COLOUR)


def _bands(runs: Sequence[int]) -> str | None:
    """What the bands are, of curves of so many runs."""
    words = []
    if max(runs) >= FEW:
        words.append(f"{CONFIDENCE:.0%} bootstrap of the mean over runs")
    if any(1 < count < FEW for count in runs):
        words.append("from the lowest to the highest of 2 or 3 runs")
    return f"bands: {'; '.join(words)}" if words else None


def _runs(counts: Sequence[int]) -> str:
    few, many = min(counts), max(counts)
    if few != many:
        return f"{few} to {many} runs"
    return f"{few} run" if few == 1 else f"{few} runs"
