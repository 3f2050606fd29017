"""Maps of moments, and beside each its control: the first two principal components."""

from __future__ import annotations

from typing import Any

import pandas
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from atari_zoo.analysis.embedding.methods import METHODS
from atari_zoo.analysis.embedding.quality import quality_of
from atari_zoo.analysis.results import Result, picture
from atari_zoo.converters.files import encodable
from atari_zoo.viz.plots import (
    CONTROL,
    PAGE,
    UNSIGNED,
    agent_styles,
    footnote,
    label,
    plot,
)

HEIGHT = 3.4
DRAWN = 40_000  # area of all points together, in square dots
FEWEST, MOST = 2.0, 12.0  # of one point
LAYERS = 10
WRITTEN = {"tsne": "t-SNE", "umap": "UMAP"}
PLACES = ("x", "y"), ("pca_x", "pca_y")


@picture("embeddings")
def draw_embeddings(result: Result, colour: str = "") -> Figure:
    """A row for each map: it, and the control.

    colour: agent, or score (the episode's before the step); if not given, agent where several are
        on one map.
    """
    table = result.table
    if colour not in ("", "agent", "score"):
        raise ValueError(f"no colouring '{colour}'; there are agent, score")
    names = list(dict.fromkeys(table["map"]))
    shared = len(names) == 1 and table["agent"].nunique() > 1
    by_agent = colour == "agent" or (not colour and shared)
    with plot(len(names), 2, PAGE, HEIGHT) as (figure, panels):
        for row, name in zip(panels, names, strict=True):
            for panel, places in zip(row, PLACES, strict=True):
                drawn = _draw(panel, table[table["map"] == name], places, by_agent, table["score"])
                _title(panel, result, str(name), places)
        if by_agent:
            _legend(figure, table)
        else:
            bar = figure.colorbar(drawn, ax=panels, shrink=0.6 / len(names), aspect=25)
            bar.set_label("score of the episode so far")
        footnote(figure, _words(result))
    return figure


def _draw(
    panel: Axes, rows: pandas.DataFrame, places: tuple[str, str], by_agent: bool, scores: Any
) -> Any:
    """Old moments in grey where new ones were placed among them; these in colour."""
    x, y = places
    size = min(MOST, max(FEWEST, DRAWN / len(rows) / 4))
    looks: dict[str, Any] = {"s": size, "linewidths": 0, "rasterized": True}
    if rows["placed"].any():
        old = rows[~rows["placed"]]
        panel.scatter(old[x], old[y], color=CONTROL, alpha=0.3, **looks)
        rows = rows[rows["placed"]]
    rows = rows.sample(frac=1, random_state=0)
    if not by_agent:
        limits = {"vmin": scores.min(), "vmax": scores.max()}
        return panel.scatter(rows[x], rows[y], c=rows["score"], cmap=UNSIGNED, **limits, **looks)
    styles = agent_styles(sorted(set(rows["agent"])))
    drawn = None
    for begin in range(LAYERS):  # so that no agent lies over all others
        for name, own in rows[begin::LAYERS].groupby("agent"):
            style = {key: styles[str(name)][key] for key in ("color", "marker")}
            drawn = panel.scatter(own[x], own[y], alpha=0.7, **style, **looks)
    return drawn


def _title(panel: Axes, result: Result, name: str, places: tuple[str, str]) -> None:
    quality = quality_of(result)
    whose = "map" if places == PLACES[0] else "PCA"
    own = quality[(quality["map"] == name) & (quality["places"] == whose)]
    trust = own[own["measure"] == "trustworthiness"]["value"].iloc[0]
    method = WRITTEN[result.made.parameters["method"]]
    words = method if whose == "map" else "control: first two components"
    of = "" if name == "all" or whose != "map" else f"{encodable(name)}   "
    label(panel, title=f"{of}{words}, trustworthiness {trust:.3f}", grid="")
    panel.set_xticks([])
    panel.set_yticks([])
    panel.set_aspect("equal" if whose == "map" else "auto", "datalim")
    panel.spines[["left", "bottom"]].set_visible(False)


def _legend(figure: Figure, table: pandas.DataFrame) -> None:
    shown = table[table["placed"]] if table["placed"].any() else table
    styles = agent_styles(sorted(set(shown["agent"])))
    looks = [
        (name, {"color": own["color"], "marker": own["marker"]}) for name, own in styles.items()
    ]
    handles = [Line2D([], [], linestyle="", label=encodable(name), **look) for name, look in looks]
    if len(shown) < len(table):
        handles.append(
            Line2D([], [], linestyle="", marker="o", color=CONTROL, label="placed among")
        )
    figure.legend(handles=handles, loc="outside upper left", ncols=4)


def _words(result: Result) -> str:
    made, table = result.made.parameters, result.table
    space = {"ram": "128 bytes of RAM", "bits": "1,024 bits of RAM"}.get(
        made["space"], f"activations of {made['space']}"
    )
    every = f", every {made['every']} steps" * (made["every"] > 1)
    iterations = made["iterations"] or METHODS[made["method"]].iterations
    words = (
        f"{len(table):,} moments{every}, by {space}; perplexity {made['perplexity']:g}, "
        f"{iterations:,} iterations, seed {made['seed']}. Axes have no unit: neighbours are alike, "
        f"other distances say nothing. {result.uncertainty}."
    )
    return words[0].upper() + words[1:]
