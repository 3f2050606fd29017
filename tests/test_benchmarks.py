"""The form of the benchmarks' rows, and whether they are marked that are older than their code;
nothing is timed here."""

from __future__ import annotations

import dataclasses
import importlib
import json
import shutil
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from generated_tables import with_table

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


def test_the_table_has_the_numbers(rows, capsys):
    rows.show([rows.row("load", "memory", "peer", [812.25], [1024.0], "MiB")], as_json=False)
    printed = capsys.readouterr().out
    assert all(text in printed for text in ("memory", "812.2", "1,024", "MiB", "1.26"))


@pytest.mark.parametrize("as_json", [False, True])
def test_a_row_is_printed_before_the_next_one_is_measured(rows, capsys, as_json):
    def measured():
        for case in ("one", "two"):
            yield rows.row("load", case, "peer", [1.0], [2.0], "s")
            assert case in capsys.readouterr().out

    rows.show(measured(), as_json)


def test_contenders_run_by_turns(rows):
    order: list[str] = []
    ours, theirs = rows.by_turns(
        lambda: order.append("ours") or 1, lambda: order.append("theirs") or 2, 3
    )
    assert (ours, theirs) == ([1, 1, 1], [2, 2, 2])
    assert order == ["ours", "theirs"] * 3


def test_quick_ones_are_not_repeated_for_ever(rows, monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(rows.time, "monotonic", lambda: now[0])
    end = rows.until(quick=True)
    assert end == 1000 + rows.QUICK < 1000 + 120 and rows.until(quick=False) == float("inf")

    def takes(seconds: float) -> float:
        now[0] += seconds
        return seconds

    found = rows.in_turns({"a": lambda: takes(20), "b": lambda: takes(21)}, 9, end)
    assert found == {"a": [20] * 3, "b": [21] * 3}  # begun at 0, 41 and 82 seconds
    assert rows.in_turns({"a": lambda: takes(1)}, 9, end) == {"a": [1]}


@pytest.fixture(scope="module")
def latest_rows(rows):
    return importlib.import_module("latest_rows")


@pytest.fixture(scope="module")
def regenerate(latest_rows):
    return importlib.import_module("regenerate")


def test_rows_older_than_the_code_they_measure_are_marked(latest_rows, regenerate):
    page = regenerate.PAGE.read_text()
    tables = latest_rows.tables(latest_rows.latest(), latest_rows.codes_now())
    assert with_table(page, tables, regenerate.SOURCE) == page, (
        "run `python benchmarks/regenerate.py --mark`"
    )


def run_of(latest_rows, rows, code: str):
    made = rows.row("load", "memory", "peer", [812.25], [1024.0], "MiB")
    facts = "load", "Z80, 1 core", "torch 9", "2026-11-28", "--quick"
    return latest_rows.LatestRows(*facts, code, (made, dataclasses.replace(made, case="time")))


def test_the_mark_is_on_each_row_of_other_code(latest_rows, rows):
    run = run_of(latest_rows, rows, "new")
    fresh, old = (latest_rows.tables([run], {"load": code}) for code in ("new", "other"))
    assert "**load**: Z80, 1 core; torch 9; --quick; 2026-11-28\n" in fresh
    assert "| memory | peer | 812.2 | 1,024 | MiB | 1.26 |" in fresh and "†" not in fresh
    assert old == fresh.replace("| memory", "| † memory").replace("| time", "| † time")


def test_code_is_other_code_where_a_file_changed_or_came(latest_rows, tmp_path):
    for place in ("benchmarks/load.py", "zoo/models.py", "converters/a.py", "zoo/catalog/b.py"):
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).write_text("1")
    codes = [latest_rows.code_of("load", tmp_path)]
    for place in ("converters/a.py", "zoo/models.py", "benchmarks/load.py", "converters/new.py"):
        (tmp_path / place).write_text("2")
        codes.append(latest_rows.code_of("load", tmp_path))
    assert len(set(codes)) == 5
    (tmp_path / "zoo/elsewhere.py").write_text("3")
    assert latest_rows.code_of("load", tmp_path) == codes[-1]


def test_every_benchmark_is_regenerated_and_its_code_is_there(latest_rows):
    scripts = {p.name for p in FOLDER.glob("*.py") if "arguments(" in p.read_text()}
    scripts |= {p.name for p in FOLDER.glob("*.py") if "from processes import" in p.read_text()}
    scripts -= {"rows.py", "processes.py"}
    assert {benchmark.script for benchmark in latest_rows.BENCHMARKS.values()} == scripts
    for benchmark in latest_rows.BENCHMARKS.values():
        assert all((FOLDER.parent / place).exists() for place in benchmark.code)


def test_what_is_measured_is_kept_and_written(latest_rows, regenerate, rows, tmp_path):
    made = run_of(latest_rows, rows, "").rows
    printed = "".join(f"{json.dumps(dataclasses.asdict(row))}\n" for row in made)
    asked: list[list[str]] = []

    def run(words):
        asked.append(list(words))
        return CompletedProcess(words, 0, f"a library says hello\n{printed}")

    found = regenerate.measure("load", ["--quick"], run)
    assert asked == [[str(FOLDER / "load.py"), "--quick", "--json"]]
    assert found.rows == made and found.code == latest_rows.code_of("load")
    assert "core" in found.machine and "torch" in found.versions and found.settings == "--quick"
    found.save(tmp_path)
    assert latest_rows.latest(tmp_path) == [found]
    page = shutil.copy(regenerate.PAGE, tmp_path / "README.md")
    regenerate.write_tables(page, tmp_path)
    assert f"**load**: {found.machine}" in page.read_text()
    assert "| memory | peer |" in page.read_text() and "**rollout**: AMD" not in page.read_text()


@pytest.mark.parametrize("status, printed", [(1, "{}"), (0, ""), (0, "no rows")])
def test_a_script_that_fails_leaves_the_rows_there_are(regenerate, status, printed):
    with pytest.raises(ValueError, match=f"load: its script ended with {status}"):
        regenerate.measure("load", [], lambda words: CompletedProcess(words, status, printed))
