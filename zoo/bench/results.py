"""Results of a measurement: rates as a tidy table, remarks, the settings that are recommended."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from atari_zoo.bench.cases import BOUND, PLAY, BenchCase, CaseRate, rate_of
from atari_zoo.bench.groups import REACH
from atari_zoo.converters.files import written_whole
from atari_zoo.play.tuned import TunedSettings

if TYPE_CHECKING:
    import pandas


@dataclass(frozen=True)
class GroupRates:
    """The rates of a group of cases that took turns."""

    kind: str
    title: str
    rates: tuple[CaseRate, ...]

    @property
    def share_of_bound(self) -> float | None:
        """What play reaches of the bound; None where they were not measured together."""
        play, most = rate_of(self.rates, PLAY), rate_of(self.rates, BOUND)
        return None if play is None or most is None else play.gain(most)

    def rows(self) -> list[dict[str, Any]]:
        """A row for each rate, as JSON has them."""
        return [_row(self, rate) for rate in self.rates]


@dataclass(frozen=True)
class Throughput:
    """How fast an agent plays on a machine.

    model, architecture, game: who plays what. machine, versions: on what, and with what.
    groups: of rates, in the order in which they were measured. remarks: what was not, and why.
    envs: environments that play fastest, with more than which little is won; 0 where unknown.
    settings: the fastest ways to play, for each number of environments that others were tried of.
    advice: the recommendation in sentences.
    """

    model: str
    architecture: str
    game: str
    machine: str
    versions: str
    groups: tuple[GroupRates, ...] = ()
    remarks: tuple[str, ...] = ()
    envs: int = 0
    settings: tuple[TunedSettings, ...] = ()
    advice: tuple[str, ...] = ()

    @property
    def uncertainty(self) -> str:
        """How sure the rates are."""
        return (
            "rate: the median of slices of time that took turns with those of the same group; low, "
            "high: the slowest and the fastest slice"
        )

    @property
    def table(self) -> pandas.DataFrame:
        """A row for each rate: its group, what it is of, settings, rate, low, high, slices, the
        processor's milliseconds of a step, and what play reaches of the bound."""
        import pandas

        return pandas.DataFrame([row for group in self.groups for row in group.rows()])

    def reach(self) -> list[GroupRates]:
        """The groups in which play stands beside its bound, by environments."""
        found = [group for group in self.groups if group.kind == REACH]
        return sorted(found, key=lambda group: group.rates[0].case.envs)

    def to_json(self) -> str:
        """Everything, as `open_throughput` reads it."""
        return json.dumps(asdict(self), indent=1)

    def save(self, path: str | Path) -> None:
        """Writes it as JSON. Raises OSError where it cannot be written."""
        with written_whole(path) as beside:
            beside.write_text(self.to_json() + "\n", "utf-8")


def open_throughput(path: str | Path) -> Throughput:
    """A result that was saved. Raises ValueError if there is none in the file."""
    try:
        facts = json.loads(Path(path).read_text("utf-8"))
        groups = tuple(_group(group) for group in facts.pop("groups"))
        settings = tuple(TunedSettings(**one) for one in facts.pop("settings"))
        texts: dict[str, Any] = {name: tuple(facts.pop(name)) for name in ("remarks", "advice")}
        return Throughput(**facts, **texts, groups=groups, settings=settings)
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise ValueError(
            f"{path}: no result of `atari-zoo bench`, or a damaged one: {error}"
        ) from error


def _group(facts: dict[str, Any]) -> GroupRates:
    rates = [
        CaseRate(BenchCase(**rate["case"]), tuple(rate["slices"]), rate["processor"])
        for rate in facts["rates"]
    ]
    return GroupRates(facts["kind"], facts["title"], tuple(rates))


def _row(group: GroupRates, rate: CaseRate) -> dict[str, Any]:
    share = group.share_of_bound if rate is rate_of(group.rates, PLAY) else None
    return {
        "group": group.kind,
        **asdict(rate.case),
        "rate": rate.rate,
        "low": rate.low,
        "high": rate.high,
        "slices": len(rate.slices),
        "processor_ms": rate.processor,
        "share_of_bound": share,
    }


def fastest_play(groups: Sequence[GroupRates]) -> list[CaseRate]:
    """Play's rate in each group where it stands beside its bound."""
    found = (rate_of(group.rates, PLAY) for group in groups if group.kind == REACH)
    return [rate for rate in found if rate is not None]
