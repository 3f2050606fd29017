"""Similarity of layers as matrices of colours, with the untrained networks' beside them."""

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
    INK,
    PAGE,
    footnote,
    heat_map,
    intervals_at,
    label,
    plot,
    short_names,
)

MEASURE, AGREEMENT = "cka", "action_agreement"
CHANCE = "same action; below: chance"  # of shuffled states: the untrained choose one for ever
LEGIBLE = 12  # rows of a matrix up to which its numbers are written into it
COLUMNS = 3


@picture("similarity")
def draw_similarity(result: Result) -> Figure:
    """Of two agents every layer with every layer; of more, a matrix of agents for each layer.

    Debiased CKA by colour, 0..1; the same of the untrained networks is drawn beside it, or below
    the diagonal.
    """
    table = result.table[result.table["measure"] == MEASURE]
    agents = list(dict.fromkeys([*table["agent_a"], *table["agent_b"]]))
    figure = _pair(table) if len(agents) < 3 else _agents(result.table, agents)
    width = float((table["high"] - table["low"]).median())
    sure = f"half of the 95 % intervals are narrower than {width:.2f}; " if width > 0 else ""
    footnote(figure, f"debiased linear CKA; {sure}{result.uncertainty.partition('; ')[2]}")
    return figure


def _pair(table: pandas.DataFrame) -> Figure:
    layers = [list(dict.fromkeys(table[name])) for name in ("layer_a", "layer_b")]
    names = [table[name].iloc[0] for name in ("agent_a", "agent_b")]
    with plot(1, 3, PAGE, 2.6) as (figure, panels):
        for panel, column, words in (
            (panels[0, 0], "value", "trained"),
            (panels[0, 1], "untrained", "control: both untrained"),
        ):
            whole = table.pivot(index="layer_a", columns="layer_b", values=column)
            values = whole.loc[layers[0], layers[1]].to_numpy()
            image = heat_map(panel, values, layers[0], layers[1], (0, 1))
            _numbers(panel, values)
            label(panel, names[1], names[0], words, grid="")
        panels[0, 1].set_ylabel("")
        figure.colorbar(image, ax=list(panels[0, :2]), label="debiased CKA", shrink=0.8)
        _like_layers(panels[0, 2], table[table["layer_a"] == table["layer_b"]])
    return figure


def _like_layers(panel: Axes, table: pandas.DataFrame) -> None:
    """Layers with their like: the value with its interval, and the controls."""
    x = np.arange(len(table), dtype=float)
    value, low, high = (table[name].to_numpy() for name in ("value", "low", "high"))
    intervals_at(panel, x, value, low, high, color=INK, marker="o", label="trained")
    grey: dict[str, Any] = {"color": CONTROL, "linewidth": 0.9}
    panel.plot(x, table["untrained"], "s--", **grey, label="both untrained")
    panel.plot(x, table["one_untrained"], "v:", **grey, label="one untrained")
    panel.plot(x, table["shuffled"], "x", **grey, label="states shuffled")
    panel.set_xticks(x, table["layer_a"], rotation=45, ha="right")
    panel.set_ylim(min(-0.05, float(np.nanmin(low, initial=0))), 1.05)
    label(panel, "layer", "debiased CKA", "each with its like")
    panel.legend(loc="lower left", bbox_to_anchor=(0, 0.08), fontsize=6.5)


def _agents(table: pandas.DataFrame, agents: Sequence[str]) -> Figure:
    """Above the diagonal the agents, below it the same agents untrained."""
    cka = table[table["measure"] == MEASURE]
    parts = {layer: cka[cka["layer_a"] == layer] for layer in dict.fromkeys(cka["layer_a"])}
    agreement = table[table["measure"] == AGREEMENT]
    if agreement["value"].notna().any():
        parts[CHANCE] = agreement.assign(untrained=agreement["shuffled"])
    rows = -(-len(parts) // COLUMNS)
    columns = min(len(parts), COLUMNS)
    game, shown = short_names(agents)
    with plot(rows, columns, PAGE, 2.3, sharex=True, sharey=True) as (figure, panels):
        for panel, (name, part) in zip(panels.flat, parts.items(), strict=False):
            values = _both_halves(part, agents)
            image = heat_map(panel, values, shown, shown, (0, 1))
            _numbers(panel, values)
            label(panel, title=name if name == CHANCE else f"{name}, CKA", grid="")
        for panel in panels.flat[len(parts) :]:
            panel.remove()
        figure.colorbar(image, ax=list(panels.flat), label="CKA, or share of states", shrink=0.6)
        figure.suptitle(
            f"{game}   above the diagonal: trained; below it, the control: both untrained",
            x=0.01,
            ha="left",
            fontsize=9,
            color=INK,
            parse_math=False,
        )
    return figure


def _both_halves(part: pandas.DataFrame, agents: Sequence[str]) -> np.ndarray:
    values = np.full((len(agents), len(agents)), np.nan)
    places = {name: place for place, name in enumerate(agents)}
    for a, b, value, blank in part[["agent_a", "agent_b", "value", "untrained"]].to_numpy():
        row, column = sorted((places[a], places[b]))
        values[row, column], values[column, row] = value, blank
    return values


def _numbers(panel: Axes, values: np.ndarray) -> None:
    """The numbers in a matrix's cells, where they can be read."""
    if len(values) > LEGIBLE:
        return
    for (row, column), value in np.ndenumerate(values):
        if np.isfinite(value):
            words = f"{value:.2f}".replace("0.", ".", 1)
            colour = "black" if value > 0.6 else "white"
            size = 7 if len(values) < 7 else 5
            panel.text(column, row, words, ha="center", va="center", color=colour, fontsize=size)
