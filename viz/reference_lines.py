"""Grey lines in a plot of scores: what a person scores, and what random play scores."""

from __future__ import annotations

from matplotlib.axes import Axes

from atari_zoo.games import Game

REFERENCE_COLOUR = "#8a8f99"
LEAST = 0.4  # of the height, what the curves keep where a person's score is far above them


def add_reference_lines(panel: Axes, game: Game, low: float, high: float) -> None:
    """Draws both lines, named to the right of the panel, and sets its limits.

    low, high: the smallest and the largest score of the curves. A person's score that would
    flatten them is left out of sight, its name at the top with an arrow.
    """
    if game.human is None or game.random is None:
        return
    low, high = min(low, game.random), max(high, game.random)
    reach = (high - low) or 1.0
    flattened = reach < LEAST * (game.human - low)
    bottom, top = min(low, game.human), high if flattened else max(high, game.human)
    panel.set_ylim(bottom - 0.04 * (top - bottom), top + 0.06 * (top - bottom))
    for who, score in (("a person", game.human), ("random play", game.random)):
        panel.axhline(
            score, color=REFERENCE_COLOUR, linewidth=1, linestyle=(0, (4, 3)), zorder=1, gid=who
        )
        hidden = score > top
        panel.annotate(
            f"{who}\n{score:,.10g}" + (" ↑" if hidden else ""),
            (1, 1 if hidden else score),
            xycoords="axes fraction" if hidden else panel.get_yaxis_transform(),
            xytext=(5, 0),
            textcoords="offset points",
            # one stands above its line, the other below: they cannot meet
            va="top" if hidden or score == min(game.human, game.random) else "bottom",
            color=REFERENCE_COLOUR,
            fontsize=9,
            annotation_clip=False,
        )
