"""Throughput drawn: steps a second against environments, play beside what bounds it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from atari_zoo.bench.cases import BOUND, EMULATOR, NETWORK, PLAY, RECORDING, CaseRate, rate_of
from atari_zoo.bench.peers import PEERS
from atari_zoo.bench.results import Throughput
from atari_zoo.converters.files import encodable
from atari_zoo.viz.plots import CONTROL, INK, PAGE, footnote, intervals_at, label, plot

# what is drawn, in this order: its colour, line and marker
STYLES: dict[str, dict[str, Any]] = {
    EMULATOR: {"color": "#0072B2", "marker": "^"},
    NETWORK: {"color": "#E69F00", "marker": "v"},
    BOUND: {"color": INK, "linestyle": "--", "marker": ""},
    PLAY: {"color": "#D55E00", "marker": "o", "linewidth": 2},
    RECORDING: {"color": "#CC79A7", "marker": "s", "linestyle": "", "markersize": 5},
}
WORDS = {
    EMULATOR: "emulator alone",
    NETWORK: "network alone",
    BOUND: "bound: both without a pause",
    PLAY: "play",
    RECORDING: "play, everything recorded",
}
PEER_MARKERS = "DPX*"
APART = 0.05  # of a doubling of environments, between the points of two curves


def draw_throughput(result: Throughput) -> Figure:
    """Agent steps a second by number of environments: emulator, network, their bound, play.

    Raises ValueError if play and its bound were measured in no number of environments.
    """
    curves = rates_by_envs(result)
    if not curves[PLAY]:
        raise ValueError("no picture: play was not measured; give it more time (--minutes)")
    with plot(1, 1, PAGE, 3.4) as (figure, panels):
        panel = panels[0, 0]
        drawn = [*STYLES.items(), *_peer_styles()]
        for number, (what, style) in enumerate(drawn):
            aside = 2 ** (APART * (number - len(drawn) // 2))
            _draw(panel, curves.get(what, {}), aside, label=WORDS.get(what, what), **style)
        _axes(panel, sorted({envs for curve in curves.values() for envs in curve}))
        title = f"{result.model} playing {result.game}"
        label(panel, "environments (logarithmic axis)", "agent steps a second", title)
        figure.legend(loc="outside right upper")
        footnote(figure, _footnote(result))
    return figure


def rates_by_envs(result: Throughput) -> dict[str, dict[int, CaseRate]]:
    """Each curve's rates by environments; a network's stand where play's that asks it stands.

    Of what was measured in several groups the first counts.
    """
    found: dict[str, dict[int, CaseRate]] = {what: {} for what in STYLES}
    for group in result.reach():
        for rate in group.rates:
            found[rate.case.what].setdefault(group.rates[0].case.envs, rate)
    for group in result.groups:
        for what in (RECORDING, *PEERS):
            first = rate_of(group.rates, what)
            if first is not None:
                found.setdefault(what, {}).setdefault(first.case.envs, first)
    return found


def _draw(panel: Axes, curve: dict[int, CaseRate], aside: float, **style: Any) -> None:
    if not curve:
        return
    envs = sorted(curve)
    numbers = [(curve[n].rate, curve[n].low, curve[n].high) for n in envs]
    value, low, high = (np.array(column) for column in zip(*numbers, strict=True))
    intervals_at(panel, np.array(envs) * aside, value, low, high, **style)


def _peer_styles() -> list[tuple[str, dict[str, Any]]]:
    return [
        (name, {"color": CONTROL, "marker": marker, "linestyle": "", "markersize": 6})
        for name, marker in zip(PEERS, PEER_MARKERS, strict=True)
    ]


def _axes(panel: Axes, envs: Sequence[int]) -> None:
    panel.set_xscale("log", base=2)
    panel.set_xlim(min(envs) / 2**0.5, max(envs) * 2**0.5)
    panel.set_xticks(list(envs), [f"{count:,}" for count in envs])
    panel.minorticks_off()
    panel.set_ylim(bottom=0)
    panel.yaxis.set_major_formatter("{x:,.0f}")


def _footnote(result: Throughput) -> str:
    slices = {len(rate.slices) for group in result.groups for rate in group.rates}
    turns = f"{min(slices)} to {max(slices)}" if len(slices) > 1 else f"{max(slices)}"
    plays = [rate.case for g in result.reach() if (rate := rate_of(g.rates, PLAY)) is not None]
    settings = "; ".join(dict.fromkeys(case.settings for case in plays))
    words = (
        f"Points: medians of {turns} slices of time in turn, bars: slowest and fastest; those of "
        "the same environments stand side by side. "
        f"{result.architecture}; play: {settings}. {result.machine}; {result.versions}. "
        "Other work on the machine slows all of it."
    )
    return encodable(words)
