"""Edits of the console's memory, drawn: what each changes, and how many states held."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from atari_zoo.analysis.results import Result, picture
from atari_zoo.converters.files import encodable
from atari_zoo.viz.plots import PAGE, agent_styles, footnote, intervals_at, label, plot

PANELS = {
    "agreement": "same best action (share)",
    "value": "change of value",
    "held": "states that held (share)",
}


@picture("ram_edits")
def draw_ram_edits(result: Result) -> Figure:
    """A panel for actions, for values, and for what became of the edited states."""
    table = result.table
    agents, edits = (list(dict.fromkeys(table[name])) for name in ("agent", "edit"))
    styles = agent_styles(agents)
    with plot(1, len(PANELS), PAGE, 2.8) as (figure, panels):
        for panel, (measure, words) in zip(panels[0], PANELS.items(), strict=True):
            for number, agent in enumerate(agents):
                rows = table[(table["agent"] == agent) & (table["measure"] == measure)]
                shift = 0.3 * ((number + 0.5) / len(agents) - 0.5)
                x = np.array([edits.index(edit) for edit in rows["edit"]], float) + shift
                values = [rows[name].to_numpy(float) for name in ("value", "low", "high")]
                if measure == "held":
                    values = [some / rows["n"].to_numpy(float) for some in values]
                style = styles[agent] | {"linestyle": "none"}
                intervals_at(panel, x, *values, label=encodable(agent), **style)
            panel.set_xticks(range(len(edits)), map(encodable, edits), rotation=30, ha="right")
            panel.set_xlim(-0.5, len(edits) - 0.5)
            if measure != "value":
                panel.set_ylim(0, 1.05)
            label(panel, "", words)
        handles, names = panels[0, 0].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside upper left", ncols=3)
        tried = int(table.loc[table["measure"] == "held", "n"].max())
        footnote(
            figure,
            f"Bytes of the console's memory set in {tried} states of each agent's own play; none: "
            "the control, the same states with nothing set. Bars: 95% bootstrap over episodes, of "
            "the states whose bytes held.",
        )
    return figure
