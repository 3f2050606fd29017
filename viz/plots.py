"""Plots' house look: sizes, colours, axes, intervals and controls, for every figure of an analysis.

Colours of algorithms are those of Okabe and Ito (https://jfly.uni-koeln.de/color); runs of one
algorithm are told apart by markers. Whatever learnt nothing is grey.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from atari_zoo.converters.algorithms import ALGORITHMS
from atari_zoo.converters.files import encodable

COLUMN, PAGE = 3.4, 7.0  # inches: one column of a paper, and two
DOTS = 200  # in an inch
INK, FAINT, GRID, CONTROL = "#222222", "#666666", "#e6e8ec", "#767676"
ALGORITHM_COLOURS = {
    "a2c": "#0072B2",
    "impala": "#56B4E9",
    "dqn": "#D55E00",
    "rainbow": "#CC79A7",
    "apex": "#E69F00",
    "es": "#009E73",
    "ga": "#117733",
}
OTHERS = "#882255", "#332288", "#000000"  # of algorithms that have no colour of their own
DASHED = {"ga"}  # near another's colour
MARKERS = "osD^vP*X"  # of runs
SIGNED, UNSIGNED = "RdBu_r", "viridis"  # colour maps; the signed one's limits are symmetric
BAND = 0.2  # opacity of an interval
STYLE: Any = {
    "font.size": 8.5,
    "axes.titlesize": 9,
    "axes.titlelocation": "left",
    "axes.labelsize": 8.5,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.unicode_minus": False,
    "text.parse_math": False,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "lines.linewidth": 1.2,
    "lines.markersize": 4,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "savefig.dpi": DOTS,
    "svg.hashsalt": "atari-zoo",
}


@contextmanager
def plot(
    rows: int = 1, columns: int = 1, width: float = COLUMN, height: float = 2.4, **options: Any
) -> Iterator[tuple[Figure, np.ndarray]]:
    """A figure in the house look, and its panels, (rows, columns), to be drawn within.

    width: inches of the whole. height: inches of a row. options: of matplotlib's `subplots`, such
        as sharey=True.
    """
    with rc_context(STYLE):
        figure = Figure(figsize=(width, height * rows), dpi=DOTS, layout="constrained")
        yield figure, figure.subplots(rows, columns, squeeze=False, **options)


def algorithm_style(algorithm: str, run: int = 0) -> dict[str, Any]:
    """Colour, line and marker of an algorithm's run, for matplotlib's `plot` and `errorbar`."""
    other = OTHERS[sum(algorithm.encode()) % len(OTHERS)]
    return {
        "color": ALGORITHM_COLOURS.get(algorithm, other),
        "linestyle": "--" if algorithm in DASHED else "-",
        "marker": MARKERS[run % len(MARKERS)],
    }


def agent_styles(names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """A style for each name, `algorithm/Game/run`: runs of one algorithm differ in marker."""
    runs: dict[str, int] = {}
    found = {}
    for name in dict.fromkeys(names):
        algorithm = name.rpartition(":")[2].partition("/")[0]
        found[name] = algorithm_style(algorithm, runs.setdefault(algorithm, 0))
        runs[algorithm] += 1
    return found


def title_of(algorithm: str) -> str:
    """How an algorithm is written in a picture: A2C, Ape-X."""
    known = ALGORITHMS.get(algorithm)
    return known.title if known else encodable(algorithm)


def short_names(agents: Sequence[str]) -> tuple[str, list[str]]:
    """The game of all, and what they are called beside it: A2C 1. No game, and whole names, where
    there are several games, or two would be called alike.

    >>> short_names(["a2c/Pong/1", "apex/Pong/2"])
    ('Pong', ['A2C 1', 'Ape-X 2'])
    """
    parts = [name.rpartition(":")[2].split("/") for name in agents]
    if any(len(part) != 3 or part[1] != parts[0][1] for part in parts):
        return "", list(agents)
    short = [f"{title_of(algorithm)} {run}" for algorithm, _, run in parts]
    return (parts[0][1], short) if len(set(short)) == len(short) else ("", list(agents))


def label(panel: Axes, x: str = "", y: str = "", title: str = "", grid: str = "y") -> None:
    """Names a panel's axes, with units, and its title; a light grid on the axis that is read."""
    panel.set_xlabel(encodable(x))
    panel.set_ylabel(encodable(y))
    panel.set_title(encodable(title))
    if grid:
        panel.grid(axis=grid, color=GRID, linewidth=0.8)  # type: ignore[arg-type]


def interval_band(
    panel: Axes,
    x: Float[np.ndarray, "points"],
    low: Float[np.ndarray, "points"],
    high: Float[np.ndarray, "points"],
    colour: str,
) -> None:
    """The interval around a curve; nothing where it is not known."""
    panel.fill_between(x, low, high, color=colour, alpha=BAND, linewidth=0)


def intervals_at(
    panel: Axes,
    x: Float[np.ndarray, "points"],
    value: Float[np.ndarray, "points"],
    low: Float[np.ndarray, "points"],
    high: Float[np.ndarray, "points"],
    **style: Any,
) -> None:
    """Points with bars and caps for their intervals; without, where those are not known."""
    reach = np.nan_to_num(np.abs(np.stack([value - low, high - value])))
    panel.errorbar(x, value, yerr=reach, capsize=2, elinewidth=0.9, **style)


def control_line(
    panel: Axes, value: float, words: str, axis: str = "y", at_start: bool = False
) -> None:
    """A grey line where an agent that learnt nothing would be, and what it is, beside its end.

    at_start: of a level line, whether the words stand at its beginning.
    """
    if not np.isfinite(value):
        return
    draw = panel.axhline if axis == "y" else panel.axvline
    draw(value, color=CONTROL, linewidth=1, linestyle=(0, (4, 3)), zorder=1)
    place = panel.get_yaxis_transform() if axis == "y" else panel.get_xaxis_transform()
    at = (0.0 if at_start else 1.0, value) if axis == "y" else (value, 1.0)
    beside = {"ha": "left" if at_start else "right", "va": "bottom"}
    sides: Any = beside if axis == "y" else {"ha": "left", "va": "top"}
    panel.text(*at, f" {words}", transform=place, color=CONTROL, fontsize=7.5, **sides)


def heat_map(
    panel: Axes,
    values: Float[np.ndarray, "rows columns"],
    rows: Sequence[str],
    columns: Sequence[str],
    limits: tuple[float, float],
    signed: bool = False,
) -> Any:
    """A matrix as colours with its rows' and columns' names; the image, for a colour bar.

    limits: of the colours: one pair for all panels that are compared. Missing values are grey.
    """
    from matplotlib import colormaps

    colours = colormaps[SIGNED if signed else UNSIGNED].with_extremes(bad="#d9d9d9")
    image = panel.imshow(values, cmap=colours, vmin=limits[0], vmax=limits[1], aspect="auto")
    panel.set_xticks(range(len(columns)), list(map(encodable, columns)), rotation=45, ha="right")
    panel.set_yticks(range(len(rows)), list(map(encodable, rows)))
    panel.spines[:].set_visible(False)
    panel.tick_params(length=0)
    return image


def footnote(figure: Figure, words: str) -> None:
    """What the picture cannot carry, in a sentence under it: n, seed, interval, control."""
    width = int(figure.get_figwidth() * 19)
    text = "\n".join(textwrap.wrap(encodable(words), width))
    figure.supxlabel(text, x=0.01, ha="left", fontsize=7, color=FAINT, parse_math=False)
