"""First-layer filters: their weight over the frames, their Gabor fits and symmetries."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from atari_zoo.analysis.results import Result, picture
from atari_zoo.viz.plots import (
    CONTROL,
    PAGE,
    agent_styles,
    footnote,
    interval_band,
    intervals_at,
    label,
    plot,
)

PROFILES = {
    "relative_square": ("mean square by frame", "over the present frame's"),
    "relative_magnitude": ("mean magnitude by frame", "over the present frame's"),
}
MIRRORS = {"left_right": "left-right", "up_down": "up-down", "point": "point"}
ALL = "all"


@picture("filters")
def draw_filters(result: Result) -> Figure:
    """Profiles over the frames, Gabor fits by frame, symmetries; grey: filters without a shape."""
    table = result.table[result.table["of"] == "filters"]
    styles = agent_styles(list(table["agent"]))
    with plot(2, 2, PAGE, 2.4) as (figure, panels):
        for panel, (measure, (title, y)) in zip(panels[0], PROFILES.items(), strict=True):
            _over_frames(panel, table[table["measure"] == measure], styles)
            label(panel, "frame of the observation", y, title)
        gabor = table[(table["measure"] == "gabor_r2") & (table["frame"] != ALL)]
        _over_frames(panels[1, 0], gabor, styles)
        label(panels[1, 0], "frame of the observation", "share of variance", "Gabor fit, R2")
        _symmetries(panels[1, 1], table, styles)
        label(panels[1, 1], "mirror", "correlation", "symmetry, all frames")
        handles, words = panels[0, 0].get_legend_handles_labels()
        figure.legend(handles, words, loc="outside upper left", ncols=4, fontsize=7.5)
        counts = sorted(set(table["n"]))
        sizes = str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
        footnote(figure, f"{sizes} filters an agent; {result.uncertainty}")
    return figure


def _over_frames(panel: Axes, table: pandas.DataFrame, styles: dict[str, Any]) -> None:
    """A curve for each agent, and a grey one for its random filters."""
    frames = list(dict.fromkeys(table["frame"]))
    x = np.arange(len(frames), dtype=float)
    for agent in dict.fromkeys(table["agent"]):
        rows = table[table["agent"] == agent].set_index("frame").reindex(frames)
        value, low, high = (rows[name].to_numpy(float) for name in ("value", "low", "high"))
        panel.plot(x, rows["random"], color=CONTROL, linewidth=0.9, zorder=1)
        if rows["shuffled"].notna().any():
            panel.plot(x, rows["shuffled"], ":", color=CONTROL, linewidth=0.9, zorder=1)
        panel.plot(x, value, **styles[agent], label=agent)
        interval_band(panel, x, low, high, styles[agent]["color"])
    panel.plot([], [], color=CONTROL, linewidth=0.9, label="random filters")
    panel.plot([], [], ":", color=CONTROL, linewidth=0.9, label="own weights, shuffled")
    panel.set_xticks(x, frames)
    panel.set_ylim(bottom=0)


def _symmetries(panel: Axes, table: pandas.DataFrame, styles: dict[str, Any]) -> None:
    """Agents side by side at each mirror, and their random filters as grey dashes."""
    agents: Sequence[str] = list(styles)
    for place, agent in enumerate(agents):
        rows = table[(table["agent"] == agent) & (table["frame"] == ALL)].set_index("measure")
        rows = rows.reindex(list(MIRRORS))
        x = np.arange(len(MIRRORS)) + 0.7 * ((place + 0.5) / len(agents) - 0.5)
        panel.plot(x, rows["random"], "_", color=CONTROL, markersize=5, zorder=1)
        value, low, high = (rows[name].to_numpy(float) for name in ("value", "low", "high"))
        intervals_at(panel, x, value, low, high, **styles[agent] | {"linestyle": ""})
    panel.axhline(0, color=CONTROL, linewidth=0.6, zorder=0)
    panel.set_xticks(range(len(MIRRORS)), list(MIRRORS.values()))
