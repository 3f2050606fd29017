"""Highlights, drawn: how much each choice mattered along the play, and the moments' screens."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from atari_zoo.analysis.results import Result, picture
from atari_zoo.converters.files import encodable
from atari_zoo.viz.plots import CONTROL, FAINT, PAGE, footnote, label, plot

# colour and marker of each kind; the last one is the control
KINDS = {
    "critical": ("#D55E00", "o", "critical choice"),
    "gain": ("#009E73", "^", "gain: better than its value had said"),
    "loss": ("#0072B2", "v", "loss: worse than its value had said"),
    "random": (CONTROL, "s", "drawn at random"),
}
FEW = 2  # agents, of more the rows of gains and losses are left out
MOST = 5  # screens in a row
SCREEN, CURVE = 1.95, 1.5  # inches of height


@picture("highlights")
def draw_highlights(result: Result) -> Figure:
    """For each agent its importance along the play with the moments marked, and their screens."""
    table, frames = result.table, result.arrays.get("frames")
    agents = list(dict.fromkeys(table["agent"]))
    shown = [kind for kind in KINDS if len(agents) <= FEW or kind in ("critical", "random")]
    rows: list[tuple[int, str]] = []  # an agent's number, and a kind; "" of its curve
    for number, agent in enumerate(agents):
        there = set(table[table["agent"] == agent]["kind"])
        screens = [kind for kind in shown if kind in there] if frames is not None else []
        rows += [(number, kind) for kind in ["", *screens]]
    heights = [SCREEN if kind else CURVE for _, kind in rows]
    columns = min(MOST, int(table.groupby(["agent", "kind"]).size().max())) if len(table) else 1
    ratios = {"height_ratios": heights}
    mean = float(np.mean(heights))
    with plot(len(rows), columns, PAGE, mean, gridspec_kw=ratios) as (figure, panels):
        for row, (number, kind) in enumerate(rows):
            own = table[table["agent"] == agents[number]]
            if kind:
                assert frames is not None  # else there are no such rows
                _screens(panels[row], own[own["kind"] == kind], frames)
                continue
            for panel in panels[row]:
                panel.remove()
            whole = figure.add_subplot(panels[row, 0].get_gridspec()[row, :])
            _curve(whole, own, result.arrays[f"importance {number}"], agents[number], number == 0)
        footnote(figure, _words(result))
    return figure


def _curve(panel: Axes, own: pandas.DataFrame, importance: Any, agent: str, first: bool) -> None:
    panel.plot(importance, color=FAINT, linewidth=0.5, zorder=1)
    for kind, (colour, marker, words) in KINDS.items():
        part = own[own["kind"] == kind]
        panel.plot(
            part["step"], part["importance"], marker, color=colour, label=words, linestyle="none"
        )
    label(panel, "step", "importance", agent)
    panel.set_xlim(0, len(importance))
    panel.set_ylim(bottom=0)
    if first:
        panel.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2, fontsize=6.5)


def _screens(line: np.ndarray, part: pandas.DataFrame, frames: np.ndarray) -> None:
    for panel in line:
        panel.axis("off")
    for panel, (place, row) in zip(line, part.head(len(line)).iterrows(), strict=False):
        colour, _, words = KINDS[row["kind"]]
        panel.axis("on")
        panel.imshow(frames[place], interpolation="nearest")
        panel.set_xticks([])
        panel.set_yticks([])
        panel.spines[:].set(visible=True, color=colour, linewidth=1.5)
        said = f"{row['action']}\nover {row['second']}\nby {row['importance']:.2g}"
        if row["kind"] in ("gain", "loss"):
            said = f"{row['taken']}\nadvantage {row['advantage']:+.2g}\nvalue {row['value']:.2g}"
        panel.set_xlabel(encodable(f"step {row['step']}\n{said}"), fontsize=6.5)
        if panel is line[0]:
            panel.set_ylabel(words.partition(":")[0], color=colour)


def _words(result: Result) -> str:
    made = result.made.parameters
    other = "second best" if made.get("against", "second") == "second" else "worst"
    alike = (
        f"; critical ones are further apart than {made['diversity']:.0%} of the play's pairs"
        if made.get("diversity")
        else ""
    )
    return (
        f"Importance: the best action's output less the {other} one's, in the agent's own units. "
        f"At least {made.get('apart', 0)} steps apart within an episode{alike}. Gains and losses: "
        "generalized advantages of what was done. Grey: moments drawn at random, seed "
        f"{made.get('seed', 0)}, to compare with."
    )
