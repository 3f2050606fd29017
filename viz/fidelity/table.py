"""A table of attribution methods for one agent: how true each one is to the network."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from math import nan

import pandas
from torch import Tensor

from atari_zoo.converters.arguments import checked
from atari_zoo.converters.network.foreign import Network
from atari_zoo.converters.network.stateful import is_unheld
from atari_zoo.observations import ObservationsLike
from atari_zoo.viz.attribution.attribution import methods
from atari_zoo.viz.attribution.cases import attributed, case_for
from atari_zoo.viz.attribution.registry import AttributionMethod, Case, method_named
from atari_zoo.viz.attribution.targets import DECISION, TargetLike
from atari_zoo.viz.fidelity.fidelity import check_substrate, deletion, insertion
from atari_zoo.viz.fidelity.infidelity import infidelity, sensitivity
from atari_zoo.viz.fidelity.randomization import cascade


@dataclass(frozen=True)
class Fidelity:
    """What one method scores, the mean over the observations.

    insertion, deletion: areas, in units of the target; large, and small, are good.
    top, all: rank correlation with the attribution after the output layer, and every layer, is
        randomized; near 0 is good.
    infidelity: share of the falls under hidden squares that is left unexplained; small is good.
    sensitivity: largest relative change under small noise; small is good.
    seconds: for one observation. refused: why the method is not right here, and no number then.
    """

    method: str
    insertion: float = nan
    deletion: float = nan
    top: float = nan
    all: float = nan
    infidelity: float = nan
    sensitivity: float = nan
    seconds: float = nan
    refused: str = ""


HEADINGS = [field.name for field in fields(Fidelity)][:-1]


@checked
def fidelity_table(
    network: Network,
    observations: ObservationsLike,
    names: Sequence[str] = (),
    target: TargetLike = DECISION,
    substrate: str = "black",
    seed: int = 0,
    progress: Callable[[int, int, str], None] = lambda done, total, text: None,
) -> list[Fidelity]:
    """The methods called `names`, all if none is given, each with its defaults; best insertion
    first, those that are refused last.

    Methods that take no target, or an action's output alone, are measured on the choice.
    progress: called with the methods done, those there are, and the next one's name.
    Raises ValueError for an unknown method, target or substrate, or without observations.
    """
    check_substrate(substrate)
    if not len(observations):
        raise ValueError("no observations: there is nothing to measure on")
    if is_unheld(network):
        raise ValueError(
            f"{network.card.name} has a state in each moment, and a table is of several moments in "
            "one: hold it at one state (zoo.as_it_was), or explain single decisions"
        )
    chosen = [method_named(name) for name in names] or methods()
    rows = []
    for done, method in enumerate(chosen):
        progress(done, len(chosen), method.name)
        wanted = target if method.target else DECISION
        case = case_for(network, observations, method, wanted, seed=seed)
        try:
            rows.append(measured(method, case, substrate))
        except ValueError as refusal:
            rows.append(Fidelity(method.name, refused=str(refusal)))
    progress(len(chosen), len(chosen), "")
    return sorted(rows, key=lambda row: (row.refused != "", -row.insertion))


def measured(method: AttributionMethod, case: Case, substrate: str = "black") -> Fidelity:
    """One row: slopes are ordered by their size, evidence with its sign."""
    started = time.perf_counter()
    values = attributed(method, case).values
    seconds = (time.perf_counter() - started) / max(1, len(values))
    ordered = values if method.evidence else values.abs()
    correlations = list(cascade(method, case, values=values).values())
    return Fidelity(
        method.name,
        _mean(insertion(case, ordered, substrate).area),
        _mean(deletion(case, ordered, substrate).area),
        _mean(correlations[0]),
        _mean(correlations[-1]),
        _mean(infidelity(method, case, values)),
        _mean(sensitivity(method, case, values)),
        seconds,
    )


def as_frame(rows: Sequence[Fidelity]) -> pandas.DataFrame:
    """The rows as a data frame, which writes itself as CSV."""
    return pandas.DataFrame([asdict(row) for row in rows])


def as_markdown(rows: Sequence[Fidelity]) -> str:
    """The rows as a table in Markdown, with what was refused below it."""
    lines = [f"| {' | '.join(HEADINGS)} |", "| --- " + "| ---: " * (len(HEADINGS) - 1) + "|"]
    for row in rows:
        if not row.refused:
            numbers = [f"{getattr(row, name):.3f}" for name in HEADINGS[1:]]
            lines.append(f"| {' | '.join([row.method, *numbers])} |")
    refused = [f"- {row.refused}" for row in rows if row.refused]
    return "\n".join([*lines, "", *refused]).rstrip() + "\n"


def _mean(values: Tensor) -> float:
    return float(values.double().mean())
