"""Scores under noise, drawn: a panel for each kind."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from atari_zoo.analysis.results import Result, picture
from atari_zoo.converters.files import encodable
from atari_zoo.intervals import FEW
from atari_zoo.viz.plots import (
    PAGE,
    agent_styles,
    control_line,
    footnote,
    interval_band,
    label,
    plot,
    short_names,
)

COLUMNS = 3
NAMES = {
    "observation": "observation noise, anew\nat each step (sd, pixels 0 to 1)",
    "frame": "observation noise, a frame\nkeeps its own (sd, pixels 0 to 1)",
    "relative": "weight noise (parts of each\nlayer's spread)",
    "parameters": "weight noise (sd, absolute)\n",
    "actions": "random actions (share)\n",
    "sticky": "sticky actions (probability)\n",
}


@picture("noise_robustness")
def draw_noise(result: Result) -> Figure:
    """Shares of each agent's own clean score, one axis for all kinds."""
    table = result.table
    kinds = [kind for kind in dict.fromkeys(table["kind"]) if kind in NAMES]
    agents = list(dict.fromkeys(table["agent"]))
    styles = agent_styles(agents)
    game, short = short_names(agents)
    names = dict(zip(agents, short, strict=True))
    rows = -(-len(kinds) // COLUMNS)
    columns = min(COLUMNS, len(kinds))
    across = 5 if game else 3  # in the legend
    height = 2.35 + (0.45 + 0.18 * -(-len(agents) // across)) / rows
    with plot(rows, columns, PAGE, height, sharey=True) as (figure, panels):
        for panel in panels.flat[len(kinds) :]:
            panel.set_visible(False)
        for number, (panel, kind) in enumerate(zip(panels.flat, kinds, strict=False)):
            some = table[(table["kind"] == kind) & (table["measure"] == "own")]
            some = some[some.groupby("agent")["value"].transform("count") > 0]
            for agent, curve in some.groupby("agent", sort=False):
                _curve(panel, curve, names[agent], styles[agent])
            _log_axis(panel, some["level"].to_numpy(float))
            control_line(panel, 0.0, "random play" if number == 0 else "", at_start=True)
            left = "share of clean score" if number % columns == 0 else ""
            label(panel, NAMES[kind], left, ", ".join(dict.fromkeys(table["game"])) * (not number))
        handles, shown = panels.flat[0].get_legend_handles_labels()
        figure.legend(handles, shown, loc="outside upper left", ncols=across)
        footnote(figure, _words(result, table))
    return figure


def _curve(panel: Axes, curve: pandas.DataFrame, agent: str, style: dict[str, Any]) -> None:
    curve = curve.sort_values("level")
    x = _places(curve["level"].to_numpy(float))
    value, low, high = (curve[name].to_numpy(float) for name in ("value", "low", "high"))
    interval_band(panel, x, low, high, style["color"])
    panel.plot(x, value, label=encodable(agent), **style)


def _places(levels: np.ndarray) -> np.ndarray:
    """Level 0 stands half a decade before the smallest, where a logarithm has no place for it."""
    positive = levels[levels > 0]
    least = positive.min() if len(positive) else 1.0
    return np.where(levels > 0, levels, least / 10**0.5)


def _log_axis(panel: Axes, levels: np.ndarray) -> None:
    panel.set_xscale("log")
    shown = np.unique(levels)
    turned = 45 if len(shown) > 4 else 0  # side by side they would touch
    panel.set_xticks(_places(shown), [f"{level:g}" for level in shown], rotation=turned)
    panel.minorticks_off()


def _words(result: Result, table: pandas.DataFrame) -> str:
    scores = table[table["measure"] == "score"]
    without = [
        str(agent)
        for agent, rows in table[table["measure"] == "own"].groupby("agent", sort=False)
        if rows["value"].isna().all()
    ]
    left = f" Left out, being no better than random play: {', '.join(without)}." * bool(without)
    draws = int(scores["draws"].max())
    bands = "95% bootstrap" if draws >= FEW else "lowest and highest draw"
    return (
        f"1: clean play, 0: random play of the same agent's game. Logarithmic axes, 0 set apart. "
        f"Bands: {bands if draws > 1 else 'none'}; {int(scores['n'].max())} episodes at each "
        f"level, in {draws} draws, seed {result.made.parameters.get('seed', 0)}.{left}"
    )
