"""Interventions, drawn: what each unit's change costs, beside its controls."""

from __future__ import annotations

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
    control_line,
    footnote,
    label,
    plot,
)

SHOWN = 16  # units of an agent, those that change the actions most
# measures with a panel, and what their axis is called
PANELS = {
    "score_change": "change of score",
    "agreement": "same best action (share)",
    "value": "change of value",
}
UNTOUCHED = {"score_change": 0.0, "agreement": 1.0, "value": 0.0}


@picture("interventions")
def draw_interventions(result: Result) -> Figure:
    """A row of panels for each agent: units from the strongest effect on actions down."""
    table = result.table
    agents = list(dict.fromkeys(table["agent"]))
    there = [name for name in PANELS if table.loc[table["measure"] == name, "value"].notna().any()]
    styles = agent_styles(agents)
    most = max(len(_order(table[table["agent"] == agent])) for agent in agents)
    height = 1.0 + 0.19 * max(4, most)
    with plot(len(agents), len(there), PAGE, height) as (figure, panels):
        for agent, row in zip(agents, panels, strict=True):
            own = table[table["agent"] == agent]
            order = _order(own)
            for number, (panel, name) in enumerate(zip(row, there, strict=True)):
                _panel(panel, own[own["measure"] == name], order, styles[agent]["color"])
                control_line(panel, UNTOUCHED[name], "intact", axis="x")
                panel.set_yticks(range(len(order)), map(encodable, order) if not number else [])
                panel.set_ylim(len(order) - 0.5, -0.6)
                label(
                    panel, x=PANELS[name], title=_title(own, agent) if not number else "", grid="x"
                )
        footnote(figure, _words(result, table))
    return figure


def _order(rows: pandas.DataFrame) -> list[str]:
    """The changed units, those first whose change leaves fewest actions as they were."""
    ablated = rows[(rows["role"] == "ablated") & (rows["measure"] == "agreement")]
    return list(dict.fromkeys(ablated.sort_values("value")["units"]))[:SHOWN]


def _panel(panel: Axes, rows: pandas.DataFrame, order: list[str], colour: str) -> None:
    for role, column, shade, shift in (
        ("control", "of", CONTROL, 0.2),
        ("ablated", "units", colour, -0.1),
    ):
        some = rows[(rows["role"] == role) & rows[column].isin(order)]
        place = np.array([order.index(name) for name in some[column]], float) + shift
        ends = np.nan_to_num(np.abs(some[["low", "high"]].to_numpy().T - some["value"].to_numpy()))
        panel.errorbar(
            some["value"], place, xerr=ends, fmt="o", color=shade, capsize=2, elinewidth=0.9
        )


def _title(rows: pandas.DataFrame, agent: str) -> str:
    intact = rows[(rows["role"] == "intact") & (rows["measure"] == "score")]
    score = f", intact score {intact['value'].iloc[0]:.4g}" if len(intact) else ""
    return f"{agent}{score}"


def _words(result: Result, table: pandas.DataFrame) -> str:
    set_ = result.made.parameters
    played = table.loc[table["measure"] == "score", "n"]
    amount = f" by {set_['amount']:g}" if set_["amount"] is not None else ""
    return (
        f"Units changed: {set_['kind']}{amount}. In colour the unit, in grey control units of the "
        f"same layer and about the same mean activity. Bars: 95% bootstrap over episodes "
        f"({int(played.max()) if len(played) else 0} played each; actions and values on "
        f"{int(table['n'].max())} states of the intact agent's play), seed {set_['seed']}."
    )
