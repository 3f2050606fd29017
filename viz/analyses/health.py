"""Health of networks over the frames that they were trained for, from the untrained ones on."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from atari_zoo.analysis.results import Result, picture
from atari_zoo.viz.plots import (
    CONTROL,
    PAGE,
    agent_styles,
    control_line,
    footnote,
    intervals_at,
    label,
    plot,
)

MILLION = 1e6


class HealthPanel(NamedTuple):
    """measure and threshold: of the rows that are drawn. dense: of the last dense layer, not of
    all layers together."""

    measure: str
    title: str
    y: str
    threshold: float = np.nan
    dense: bool = False


PANELS = (
    HealthPanel("dormant", "dormant, all layers", "share of units", 0.025),
    HealthPanel("always_on", "always on, all layers", "share of units"),
    HealthPanel("drift", "drift of the weights", "|w - w0| / |w0|"),
    HealthPanel("srank", "rank, 99 % of singular values", "directions", dense=True),
    HealthPanel("entropy_rank", "rank by entropy", "directions", dense=True),
    HealthPanel("participation_ratio", "participation ratio", "directions", dense=True),
)


@picture("health")
def draw_health(result: Result) -> Figure:
    """A panel for each measure: checkpoints of each run over frames, grey where training began."""
    table = result.table
    kinds = set(table["states"])
    shown = "shared" if "shared" in kinds else "own"
    table = table[table["states"].isin([shown, ""])]
    runs = list(dict.fromkeys(table["run"]))
    styles = agent_styles(runs)
    with plot(2, 3, PAGE, 2.1) as (figure, panels):
        for panel, what in zip(panels.flat, PANELS, strict=True):
            for run in runs:
                _draw(panel, table[table["run"] == run], what, run, styles[run])
            label(panel, "million frames of training", what.y, what.title)
            panel.set_ylim(bottom=0)
        for panel in panels[0]:
            panel.set_xlabel("")
        handles, words = panels[0, 0].get_legend_handles_labels()
        figure.legend(handles, words, loc="outside upper left", ncols=4, fontsize=7.5)
        which = "each its own play" if shown == "own" else "play of all, the same for all"
        footnote(
            figure,
            f"grey, at 0 frames: the untrained network, where every line begins; dormant: mean "
            f"magnitude at most 0.025 of the layer's mean; ranks: of the last dense layer; states: "
            f"{which}, {_counts(table)}; {result.uncertainty.partition(': ')[2].split('; ')[0]}",
        )
    return figure


def _draw(panel: Axes, table: pandas.DataFrame, what: HealthPanel, run: str, style: Any) -> None:
    rows = table[table["measure"] == what.measure]
    if not np.isnan(what.threshold):
        rows = rows[rows["threshold"] == what.threshold]
    layer = rows["layer"].iloc[-1] if what.dense and len(rows) else "all"
    rows = rows[(rows["layer"] == layer) & rows["value"].notna()].sort_values("frames")
    if rows.empty:
        return
    x = rows["frames"].fillna(0).to_numpy() / MILLION
    value, low, high = (rows[name].to_numpy(float) for name in ("value", "low", "high"))
    begun = 0.0 if what.measure == "drift" else float(rows["control"].iloc[0])
    trained = x > 0
    if np.isfinite(begun):
        panel.plot([0, *x[trained][:1]], [begun, *value[trained][:1]], color=CONTROL, zorder=1)
        panel.plot(0, begun, "o", color=CONTROL, zorder=3)
    if what.measure == "drift" and not panel.texts:
        control_line(panel, float(rows["control"].iloc[0]), "between two untrained networks")
    if trained.any():
        parts = (part[trained] for part in (x, value, low, high))
        intervals_at(panel, *parts, **style, label=run)


def _counts(table: pandas.DataFrame) -> str:
    seen = table[table["moments"] > 0]
    words = []
    for name in ("moments", "episodes"):
        few, many = int(seen[name].min()), int(seen[name].max())
        words.append(f"{few} {name}" if few == many else f"{few} to {many} {name}")
    return " of ".join(words)
