"""Peaks of a layer's units in play, from the strongest unit to the weakest."""

from __future__ import annotations

from matplotlib.figure import Figure

from atari_zoo.analysis.results import Result, picture
from atari_zoo.converters.files import encodable
from atari_zoo.viz.curves import DPI, OKABE_ITO, PANEL_HEIGHT, PANEL_WIDTH, TEXT_COLOUR


@picture("peaks")
def draw_peaks(result: Result) -> Figure:
    """The mean peak of each unit with its interval, and above it the largest."""
    table = result.table.sort_values("mean", ascending=False, ignore_index=True)
    figure = Figure(figsize=(PANEL_WIDTH, PANEL_HEIGHT), dpi=DPI, layout="constrained")
    panel = figure.subplots()
    panel.fill_between(table.index, table["low"], table["high"], color=OKABE_ITO[0], alpha=0.3)
    panel.plot(table.index, table["mean"], color=OKABE_ITO[0], label="mean")
    panel.plot(
        table.index, table["largest"], ".", color=OKABE_ITO[1], markersize=3, label="largest"
    )
    (model, player), layer = result.made.inputs.values(), result.made.parameters["layer"]
    whose = "" if player == model else f", play of {player}"
    title = encodable(f"{model}{whose}   {layer}")
    panel.set_title(title, loc="left", color=TEXT_COLOUR, parse_math=False)
    panel.set_xlabel("units, by their mean peak", color=TEXT_COLOUR)
    panel.set_ylabel("peak: the largest of a unit's map", color=TEXT_COLOUR)
    panel.spines[["top", "right"]].set_visible(False)
    panel.legend(frameon=False)
    return figure
