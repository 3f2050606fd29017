"""Units: the most telling ones, by how much more they tell of one thing than of the next best."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from atari_zoo.analysis.results import Result, picture
from atari_zoo.viz.plots import CONTROL, PAGE, algorithm_style, footnote, label, plot

MOST = 16  # rows of an agent


@picture("units")
def draw_units(result: Result) -> Figure:
    """A panel for each agent, a row for each unit and what it answers to."""
    groups = [(name, part.head(MOST)) for name, part in result.table.groupby("agent", sort=False)]
    if not groups:
        groups = [("no unit answers to anything", result.table)]
    longest = max(len(part) for _, part in groups)
    with plot(len(groups), 1, PAGE, 0.9 + 0.19 * longest, sharex=True) as (figure, panels):
        for panel, (agent, part) in zip(panels[:, 0], groups, strict=True):
            places = np.arange(len(part))[::-1]
            style = algorithm_style(str(part["algorithm"].iloc[0])) if len(part) else {}
            panel.barh(places, part["share"], color=style.get("color"), height=0.6, label="share")
            panel.plot(
                part["next_share"], places, "|", color="#222222", ms=9, mew=1.6, label="next best"
            )
            panel.plot(
                part["untrained"], places, "D", color=CONTROL, ms=3.5, label="best before training"
            )
            names = [
                f"{row.unit}  {row.variable}{' (place)' if row.aspect == 'place' else ''}"
                for row in part.itertuples()
            ]
            panel.set_yticks(places, names)
            panel.set_xlim(0, 1)
            label(panel, "share of what could be known", title=agent, grid="x")
        panels[0, 0].legend(loc="lower right")
        footnote(
            figure,
            "Bars: mutual information of the unit and the variable, more than with the variable "
            "shuffled in time, of the variable's entropy; (place): how far above the rest of its "
            "map a unit is where the object is, more than where it was at other times. Mark: the "
            "same of the next best variable. Diamond: the best unit of the layer before "
            "training.",
        )
    return figure
