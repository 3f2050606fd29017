"""Memory, drawn: what agents do otherwise without each past frame, and what it costs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from atari_zoo.analysis.results import Result, picture
from atari_zoo.converters.files import encodable
from atari_zoo.viz.plots import (
    CONTROL,
    PAGE,
    agent_styles,
    footnote,
    intervals_at,
    label,
    plot,
)


@picture("memory")
def draw_memory(result: Result) -> Figure:
    """Actions that stay, on recorded states; the score; what the past tells of the action."""
    table = result.table
    agents = list(dict.fromkeys(table["agent"]))
    styles = agent_styles(agents)
    played = (table["measure"] == "score").any()
    informed = (table["measure"] == "information").any()
    with plot(1, 1 + played + informed, PAGE, 2.6 + 0.12 * len(agents)) as (figure, panels):
        row = list(panels[0])
        changed = row.pop(0)
        _over_frames(changed, table, "agreement", "recorded", styles)
        control = table[(table["where"] == "untrained") & (table["measure"] == "agreement")]
        mean = control.groupby("replaced", sort=False)["value"].mean()
        changed.plot(range(len(mean)), mean, ":", color=CONTROL, label="untrained (mean)")
        label(changed, "frame replaced by the present", "same best action (share)")
        changed.set_ylim(0, 1.04)
        if played:
            _over_frames(scores := row.pop(0), table, "score", "played", styles)
            label(scores, "frame replaced during play", "score")
        if informed:
            _information(row.pop(0), table, agents, styles)
        handles, names = changed.get_legend_handles_labels()
        figure.legend(handles, names, loc="outside upper left", ncols=4)
        footnote(figure, _words(result, table))
    return figure


def _over_frames(
    panel: Axes,
    table: pandas.DataFrame,
    measure: str,
    where: str,
    styles: dict[str, dict[str, Any]],
) -> None:
    rows = table[(table["measure"] == measure) & (table["where"] == where)]
    ticks = list(dict.fromkeys(rows["replaced"]))
    for number, (agent, some) in enumerate(rows.groupby("agent", sort=False)):
        shift = 0.3 * ((number + 0.5) / rows["agent"].nunique() - 0.5)
        x = np.array([ticks.index(name) for name in some["replaced"]], float) + shift
        values = (some[name].to_numpy(float) for name in ("value", "low", "high"))
        intervals_at(panel, x, *values, label=encodable(str(agent)), **styles[str(agent)])
    panel.set_xticks(range(len(ticks)), ticks)


def _information(
    panel: Axes, table: pandas.DataFrame, agents: list[str], styles: dict[str, dict[str, Any]]
) -> None:
    for number, agent in enumerate(agents):
        own = table[table["agent"] == agent].set_index("measure")
        for measure, colour, shift in (
            ("shuffled", CONTROL, 0.18),
            ("information", styles[agent]["color"], -0.1),
        ):
            row = own.loc[[measure]].iloc[0]
            ends = np.abs([[row["value"] - row["low"]], [row["high"] - row["value"]]])
            marker = styles[agent]["marker"] if measure == "information" else "o"
            panel.errorbar(
                row["value"],
                number + shift,
                xerr=np.nan_to_num(ends),
                fmt=marker,
                color=colour,
                capsize=2,
                elinewidth=0.9,
            )
    panel.axvline(0, color=CONTROL, linewidth=0.8, linestyle=(0, (4, 3)))
    panel.set_yticks([])
    panel.set_ylim(len(agents) - 0.4, -0.6)
    label(
        panel, "past frames tell of the action (bits)", "", "grey: past shifted in time", grid="x"
    )


def _words(result: Result, table: pandas.DataFrame) -> str:
    states = int(table.loc[table["where"] == "recorded", "n"].min())
    played = table.loc[table["measure"] == "score", "n"]
    count = f"{int(played.max())} episodes each. " if len(played) else ""
    return (
        "T-1 is the frame before the present one; none: frames replaced by themselves. "
        f"{states} states of each agent's own play. {count}"
        f"Bars: 95% bootstrap over episodes, seed {result.made.parameters['seed']}. "
        "Bits are a lower bound, as far as a softmax regression finds them."
    )
