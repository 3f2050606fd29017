"""Concepts: how well each layer tells them, and whether decisions depend on them."""

from __future__ import annotations

import numpy as np
import pandas
from matplotlib.figure import Figure

from atari_zoo.analysis.results import Result, picture
from atari_zoo.viz.plots import (
    ALGORITHM_COLOURS,
    CONTROL,
    PAGE,
    control_line,
    footnote,
    intervals_at,
    label,
    plot,
)

COLOURS = [ALGORITHM_COLOURS[name] for name in ("a2c", "dqn", "es", "rainbow", "apex")]


@picture("concepts")
def draw_concepts(result: Result) -> Figure:
    """For each agent two panels: accuracy of the directions, and TCAV's score, by layers."""
    groups = list(result.table.groupby("agent", sort=False))
    with plot(len(groups), 2, PAGE, 2.5) as (figure, panels):
        for row, (agent, table) in zip(panels, groups, strict=True):
            layers = list(dict.fromkeys(table["layer"]))
            concepts = list(dict.fromkeys(table["concept"]))
            for number, concept in enumerate(concepts):
                own = table[table["concept"] == concept].set_index("layer").reindex(layers)
                colour = COLOURS[number % len(COLOURS)]
                x = np.arange(len(layers)) + (number - (len(concepts) - 1) / 2) * 0.15
                row[0].plot(x, own["accuracy"], "o", color=colour, label=concept)
                row[0].plot(x, own["random_accuracy"], "o", color=CONTROL, mfc="none", ms=3)
                _scores(row[1], x, own, colour)
            for panel in row:
                panel.set_xticks(range(len(layers)), layers, rotation=30, ha="right")
                panel.set_ylim(-0.03, 1.03)
                control_line(panel, 0.5, "chance")
            label(row[0], y="accuracy, held-out half", title=agent)
            target = result.made.parameters["target"]
            label(row[1], y="share of moments raised", title=f"TCAV, target {target}")
            row[0].legend(loc="lower left")
        footnote(
            figure,
            "Directions between moments at which a condition holds and at which not, one for each "
            "random half of the play. TCAV: the share of moments at which more of it would "
            "raise the target; bars: the middle 95 % of the halves; filled: the direction is "
            "more accurate than 95 % of random concepts. Grey: random concepts, the same at other "
            "times, and the middle 95 % of their scores; a score within tells nothing.",
        )
    return figure


def _scores(panel: object, x: np.ndarray, own: pandas.DataFrame, colour: str) -> None:
    known = own["told"].fillna(False).to_numpy(bool)
    value, low, high = (own[name].to_numpy(float) for name in ("score", "low", "high"))
    for chosen, face in ((known, colour), (~known, "none")):
        intervals_at(
            panel,  # type: ignore[arg-type]
            x[chosen],
            value[chosen],
            low[chosen],
            high[chosen],
            fmt="o",
            color=colour,
            mfc=face,
        )
    panel.plot(x, own["random_score"], "o", color=CONTROL, mfc="none", ms=3)  # type: ignore[attr-defined]
    panel.vlines(x, own["random_low"], own["random_high"], color=CONTROL, lw=3, alpha=0.3)  # type: ignore[attr-defined]
