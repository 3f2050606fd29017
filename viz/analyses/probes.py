"""Probes: what each layer tells of each variable, more than before training."""

from __future__ import annotations

import numpy as np
import pandas
from matplotlib.figure import Figure

from atari_zoo.analysis.results import Result, picture
from atari_zoo.viz.plots import COLUMN, PAGE, footnote, heat_map, label, plot, short_names

MEASURES = ("r2", "balanced_accuracy")  # one for each variable
MOST = 4  # agents in a row
SHUFFLED = "shuffled labels"  # the control's panel
WORDS = {"r2": "R²", "balanced_accuracy": "balanced accuracy"}


@picture("probes")
def draw_probes(result: Result) -> Figure:
    """A heat map of the gain for each agent; beside them the most that shuffled labels reach."""
    table = result.table[result.table["measure"].isin(MEASURES)]
    agents = list(dict.fromkeys(table["agent"]))
    layers = list(dict.fromkeys(table["layer"]))
    names = list(dict.fromkeys(table.sort_values(["measure", "kind"], kind="stable")["variable"]))
    panels = [*agents, ""]
    columns = min(len(panels), MOST)
    rows = -(-len(panels) // columns)
    height = 0.9 + 0.155 * len(names)
    width = COLUMN if columns == 1 else PAGE
    with plot(rows, columns, width, height, sharey=True, sharex=False) as (figure, axes):
        shown = [_title(name, table) for name in names]
        game, short = short_names(agents)
        for axis, agent, title in zip(axes.flat, panels, [*short, SHUFFLED], strict=False):
            own = table[table["agent"] == agent] if agent else table
            values = _control(own, names, layers) if not agent else _gain(own, names, layers)
            image = heat_map(axis, values, shown, layers, (-1, 1), signed=True)
            label(axis, title=title, grid="")
        for axis in list(axes.flat)[len(panels) :]:
            axis.set_visible(False)
        bar = figure.colorbar(image, ax=axes, shrink=0.6, pad=0.01)
        bar.set_label("gain over the untrained network")
        footnote(figure, f"{game}: {_words(result, table)}" if game else _words(result, table))
    return figure


def _gain(table: pandas.DataFrame, names: list[str], layers: list[str]) -> np.ndarray:
    wide = table.pivot_table("gain", "variable", "layer", dropna=False)
    return wide.reindex(index=names, columns=layers).to_numpy(float)


def _control(table: pandas.DataFrame, names: list[str], layers: list[str]) -> np.ndarray:
    """What shuffled labels reach over chance; the largest of agents."""
    chance = np.where(table["measure"] == "r2", 0.0, 1 / table["classes"])
    worst = np.maximum(table["shuffled"] - chance, 0)
    wide = table.assign(worst=worst).pivot_table("worst", "variable", "layer", aggfunc="max")
    return wide.reindex(index=names, columns=layers).to_numpy(float)


def _title(name: str, table: pandas.DataFrame) -> str:
    measure = table[table["variable"] == name]["measure"].iloc[0]
    return name if measure == "r2" else f"{name} *"


def _words(result: Result, table: pandas.DataFrame) -> str:
    episodes = sorted(set(table["episodes"]))
    span = f"{episodes[0]}" if len(episodes) == 1 else f"{episodes[0]} to {episodes[-1]}"
    probe = result.made.parameters.get("probe", "")
    return (
        f"{probe} probes, tested on episodes that they were not fitted on ({span} an agent, "
        f"{int(table['n'].max()):,} moments at most). R², or balanced accuracy where there is a *, "
        "less that of the same layer before training; negative R² counts as 0. Shuffled labels: "
        "what a probe makes of them over chance, the most of all agents. Grey: not known."
    )
