"""Sparse features beside their controls, and the strongest of them with their top moments."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from atari_zoo.analysis.results import Result, picture
from atari_zoo.converters.files import encodable
from atari_zoo.viz.plots import (
    CONTROL,
    DOTS,
    FAINT,
    INK,
    PAGE,
    STYLE,
    agent_styles,
    footnote,
    label,
)

MEASURES = {  # and their titles
    "fvu": "variance unexplained",
    "dead": "dead, share",
    "agreement": "same action, share",
    "score": "score in play",
}
ROWS = {
    "intact": "intact",
    "sparse autoencoder": "sparse autoencoder",
    "principal components": "principal components",
    "random directions": "random directions",
    "untrained network": "untrained network's",
}
SHEET = 8  # features that are shown, of all agents together
MOMENT, PANELS = 0.72, 1.9  # inches: of a moment's side, and the height of the panels


@picture("sparse_features")
def draw_sparse_features(result: Result) -> Figure:
    """What each dictionary gives back, and what the strongest features were active at."""
    table = result.table
    agents: list[str] = list(dict.fromkeys(table["agent"]))
    shown = _shown(result, agents)
    height = PANELS + 0.12 * len(agents) + (MOMENT + 0.1) * len(shown) + 0.7
    with rc_context(STYLE):
        figure = Figure(figsize=(PAGE, height), dpi=DOTS, layout="constrained")
        above, below = figure.subfigures(  # type: ignore[misc]  # two of them
            2, 1, height_ratios=[PANELS + 0.12 * len(agents), (MOMENT + 0.1) * max(1, len(shown))]
        )
        _draw_measures(above, table[table["feature"] == -1], agents)
        _draw_sheet(below, result, shown)
        made = result.made.parameters
        footnote(
            figure,
            f"Layer {made.get('layer')}, at most {made.get('k')} features at once; seed "
            f"{made.get('seed')}. Bars: 95 % bootstrap over {_episodes(table)} whole new episodes, "
            "where there are enough. Grey: controls that learnt nothing of what features mean. "
            "Below, newest frames of the moments at which a feature was most active; r: with the "
            "game's memory, in new episodes (by chance: shifted in time).",
        )
    return figure


def _draw_measures(figure: SubFigure, table: pandas.DataFrame, agents: list[str]) -> None:
    panels = figure.subplots(1, len(MEASURES), sharey=True)
    styles = agent_styles(agents)
    names = list(ROWS)
    for panel, (measure, title) in zip(panels, MEASURES.items(), strict=True):
        for number, agent in enumerate(agents):
            some = table[(table["agent"] == agent) & (table["measure"] == measure)]
            _draw_agent(panel, some, names, (number + 1) / (len(agents) + 1) - 0.5, styles[agent])
        label(panel, title, grid="x")
        panel.set_xlim(left=0) if measure != "score" else None
    panels[0].set_yticks(range(len(names)), list(ROWS.values()))
    panels[0].set_ylim(len(names) - 0.5, -0.5)
    for tick, name in zip(panels[0].get_yticklabels(), names, strict=True):
        tick.set_color(INK if name in ("intact", "sparse autoencoder") else CONTROL)
    handles = [panels[0].plot([], [], **styles[a] | {"linestyle": ""})[0] for a in agents]
    figure.legend(
        handles, list(map(encodable, agents)), loc="outside upper left", ncols=4, borderaxespad=0
    )


def _draw_agent(
    panel: Axes, rows: pandas.DataFrame, names: list[str], offset: float, style: dict[str, Any]
) -> None:
    rows = rows[rows["dictionary"].isin(names)]
    places = np.array([names.index(name) for name in rows["dictionary"]]) + 0.8 * offset
    value, low, high = (rows[name].to_numpy(float) for name in ("value", "low", "high"))
    reach = np.nan_to_num(np.abs(np.stack([value - low, high - value])))
    drawn = style | {"linestyle": ""}
    panel.errorbar(value, places, xerr=reach, capsize=2, elinewidth=0.9, **drawn)


def _shown(result: Result, agents: list[str]) -> list[tuple[str, int]]:
    """Agents and the places of the features that there is room for, the strongest of each."""
    each = max(1, SHEET // len(agents))
    return [
        (agent, number)
        for agent in agents[:SHEET]
        for number in range(min(each, len(result.arrays[f"{agent}/features"])))
    ]


def _draw_sheet(figure: SubFigure, result: Result, shown: list[tuple[str, int]]) -> None:
    if not shown:
        return
    columns = result.arrays[f"{shown[0][0]}/screens"].shape[1]
    widths = [2.2, *[1.0] * columns]
    panels = figure.subplots(len(shown), columns + 1, squeeze=False, width_ratios=widths)
    for row, (agent, number) in zip(panels, shown, strict=True):
        row[0].text(
            *(0, 0.5), _words(result, agent, number), va="center", fontsize=7, linespacing=1.35
        )
        places = result.arrays[f"{agent}/top_moments"][number]
        screens = result.arrays[f"{agent}/screens"][number]
        for panel, (step, _), screen in zip(row[1:], places, screens, strict=True):
            if step >= 0:
                panel.imshow(screen, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
                panel.set_title(f"step {step}", fontsize=6, color=FAINT, loc="center", pad=1.5)
        for panel in row:
            panel.set_axis_off()


def _words(result: Result, agent: str, number: int) -> str:
    """What is known of a feature, in a few short lines."""
    feature = int(result.arrays[f"{agent}/features"][number])
    table = result.table
    rows = table[(table["agent"] == agent) & (table["feature"] == feature)]
    own = rows[rows["dictionary"] == "sparse autoencoder"].set_index("measure")
    chance = rows[rows["dictionary"].str.endswith("shifted")]["value"].iloc[0]
    lines = [f"{agent}, feature {feature}", f"active at {own.loc['active', 'value']:.0%}"]
    correlate = own.loc["correlation"]
    if correlate["what"]:
        lines.append(f"{correlate['what']}: r {correlate['value']:.2f} (by chance {chance:.2f})")
    effect = own.loc["effect"]
    if effect["what"]:
        lines.append(f"raises {effect['what']} by {effect['value']:.3g}")
        without = 1 - own.loc["agreement", "value"]
        lines.append(f"without it {without:.0%} of choices change")
    return encodable("\n".join(lines))


def _episodes(table: pandas.DataFrame) -> int:
    scores = table[table["measure"] == "score"]["n"]
    return int(scores.max()) if len(scores) else 0
