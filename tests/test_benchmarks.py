"""The form of the benchmarks' rows; nothing is timed here."""

from __future__ import annotations

import importlib
import json
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent.parent / "benchmarks"


@pytest.fixture(scope="module")
def rows():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(FOLDER)
        yield importlib.import_module("rows")


@pytest.mark.parametrize(
    "unit, ours, theirs, ratio",
    [
        ("s", [4.0, 2.0, 30.0], [8.0], 2.0),
        ("MiB", [300.0], [100.0, 150.0, 200.0], 0.5),
        ("steps/s", [100.0], [400.0], 0.25),
    ],
)
def test_the_ratio_says_how_many_times_better_ours_is(rows, unit, ours, theirs, ratio):
    assert rows.row("load", "case", "peer", ours, theirs, unit).ratio == ratio


def test_json_is_one_object_a_row(rows, capsys):
    made = [rows.row("load", case, "peer", [1.0], [2.0], "s") for case in ("one", "two")]
    rows.show(made, as_json=True)
    printed = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [list(line) for line in printed] == [
        ["benchmark", "case", "peer", "ours", "theirs", "unit", "ratio"]
    ] * 2
    assert [line["case"] for line in printed] == ["one", "two"]
    assert printed[0]["ratio"] == 2


def test_the_table_has_the_numbers(rows, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    rows.show([rows.row("load", "memory", "peer", [812.25], [1024.0], "MiB")], as_json=False)
    printed = capsys.readouterr().out
    assert all(text in printed for text in ("memory", "812.2", "1,024", "MiB", "1.26"))


def test_contenders_run_by_turns(rows):
    order: list[str] = []
    ours, theirs = rows.by_turns(
        lambda: order.append("ours") or 1, lambda: order.append("theirs") or 2, 3
    )
    assert (ours, theirs) == ([1, 1, 1], [2, 2, 2])
    assert order == ["ours", "theirs"] * 3
