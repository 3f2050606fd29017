"""`atari-zoo freeze`."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Annotated, Any

import typer

from atari_zoo.cli.options import Force, Json
from atari_zoo.cli.outputs import check_folder
from atari_zoo.cli.tables import print_table
from atari_zoo.cli.verbs import verb

UNITS = {"k": 10**3, "M": 10**6, "B": 10**9}


@verb(
    "atari-zoo freeze runs/a2c-Pong-1",
    "atari-zoo freeze runs/a2c-Pong-1 -o models --at-hours 1,2 --at-frames 1M,5M,2.5M",
    "atari-zoo freeze dqn/Pong/1 --at-frames 50M --json",
)
def freeze(
    run: Annotated[Path, typer.Argument(help="A run's folder: the zoo's, Dopamine's or SB3's.")],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="For the files; RUN/frozen if not given.")
    ] = None,
    hours: Annotated[
        str, typer.Option("--at-hours", help="Of training, with commas between.")
    ] = "1,2,4,6,10",
    frames: Annotated[
        str,
        typer.Option("--at-frames", help="Of the emulator, with commas between, such as 5M."),
    ] = "400M,1B",
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Picks models from a run's checkpoints: the untrained, some on the way, the first at a
    person's level, the last."""
    marks = [_number(word) for word in _words(hours)]
    samples = [round(_number(word)) for word in _words(frames)]
    if output is not None:
        check_folder(output, force)
    from atari_zoo.training.freeze import freeze as freeze_run

    rows = [row.facts for row in freeze_run(run, output, marks, samples)]
    if as_json:
        print(json.dumps({"run": str(run), "frozen": rows}))
        return
    print_table(map(_cells, rows), "tag", "frames", "hours", "score", "file")
    if any(row["file"] is None for row in rows):
        print("not reached: the run ended before, or kept no checkpoint near it")


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    frames = "not reached" if row["file"] is None else f"{row['frames']:,}"
    hours = "" if row["hours"] is None else f"{row['hours']:.2f}"
    score = "" if row["score"] is None else f"{row['score']:.1f}"
    return row["tag"], frames, hours, score, row["file"] or ""


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
