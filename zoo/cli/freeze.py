"""`atari-zoo freeze`."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from atari_zoo.training.freeze import Frozen

EXAMPLES = {
    "freeze": (
        "atari-zoo freeze runs/a2c-Pong-1",
        "atari-zoo freeze runs/a2c-Pong-1 -o models --hours 1,2 --frames 1M,5M,2.5M",
        "atari-zoo freeze dqn/Pong/1 --frames 50M --json",
    ),
}
UNITS = {"k": 10**3, "M": 10**6, "B": 10**9}


def freeze(
    run: Annotated[Path, typer.Argument(help="A run's folder: the zoo's, Dopamine's or SB3's.")],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="For the files; RUN/frozen if not given.")
    ] = None,
    hours: Annotated[str, typer.Option(help="Of training, with commas between.")] = "1,2,4,6,10",
    frames: Annotated[
        str, typer.Option(help="Of the emulator, with commas between, such as 5M.")
    ] = "400M,1B",
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object, for scripts.")
    ] = False,
) -> None:
    """Picks models from a run's checkpoints: the untrained, some on the way, the first at a
    person's level, the last."""
    marks = [_number(word) for word in _words(hours)]
    samples = [round(_number(word)) for word in _words(frames)]
    from atari_zoo.training.freeze import freeze as freeze_run

    rows = [_facts(row) for row in freeze_run(run, output, marks, samples)]
    if as_json:
        print(json.dumps({"run": str(run), "frozen": rows}))
        return
    table = Table("tag", "frames", "hours", "score")
    table.add_column("file", overflow="fold")
    for row in rows:
        played = "not reached" if row["file"] is None else f"{row['frames']:,}"
        table.add_row(
            row["tag"],
            played,
            "" if row["hours"] is None else f"{row['hours']:.2f}",
            "" if row["score"] is None else f"{row['score']:.1f}",
            row["file"],
        )
    Console().print(table)
    if any(row["file"] is None for row in rows):
        print("not reached: the run ended before, or kept no checkpoint near it")


def _facts(row: Frozen) -> dict[str, Any]:
    at = row.checkpoint
    if at is None:
        return {"tag": row.tag, "frames": None, "hours": None, "score": None, "file": None}
    return {
        "tag": row.tag,
        "frames": at.frames,
        "hours": _known(at.seconds / 3600),
        "score": _known(at.score),
        "file": str(row.file),
    }


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None  # NaN is no JSON


def _words(text: str) -> list[str]:
    return text.replace(",", " ").split()


def _number(word: str) -> float:
    """A number, perhaps of thousands, millions or billions: 400M."""
    unit = UNITS.get(word[-1], 1)
    try:
        value = float(word[:-1] if word[-1] in UNITS else word) * unit
    except ValueError:
        value = 0.0
    if not 0 < value < math.inf:
        raise ValueError(f"'{word}' is no number above 0, such as 10, 2.5M or 1B")
    return value
