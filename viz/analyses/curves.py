"""Learning curves, drawn from their analysis."""

from __future__ import annotations

from matplotlib.figure import Figure

from atari_zoo.analysis.learning_curves import curves_of
from atari_zoo.analysis.results import Result, picture
from atari_zoo.viz.curves import curves_figure


@picture("learning_curves")
def draw_learning(result: Result) -> Figure:
    """A panel for each game: see `atari_zoo.viz.curves.learning_curves`."""
    return curves_figure(curves_of(result), result.made.parameters["x"])
