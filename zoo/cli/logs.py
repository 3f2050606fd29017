"""`atari-zoo logs`."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from atari_zoo.cli.options import Csv, Force, Json
from atari_zoo.cli.outputs import check_file
from atari_zoo.cli.tables import print_table, printable
from atari_zoo.cli.verbs import verb

AXES = {"frames": "frames", "hours": "seconds"}
ENDINGS = ".png", ".svg", ".pdf"


@verb(
    "atari-zoo logs a2c/Pong/1 -o curves.png",
    "atari-zoo logs --game Seaquest --algorithm a2c --algorithm impala -o curves.png",
    "atari-zoo logs run/ logs/0.monitor.csv --x hours -o curves.svg",
    "atari-zoo logs a2c/Pong/1 --csv > log.csv",
)
def logs(
    sources: Annotated[
        list[str] | None,
        typer.Argument(help="Models' names, files of logs, runs' folders."),
    ] = None,
    game: Annotated[
        str | None, typer.Option(help="All runs in a game whose logs were published.")
    ] = None,
    algorithms: Annotated[
        list[str] | None,
        typer.Option("--algorithm", help="Of this algorithm alone; as often as wanted."),
    ] = None,
    collection: Annotated[
        str | None, typer.Option(help="Of this collection alone, such as uber.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="A picture to write: PNG, SVG or PDF.")
    ] = None,
    x: Annotated[str, typer.Option("--x", help="Of the picture: frames or hours.")] = "frames",
    force: Force = False,
    as_csv: Csv = False,
    as_json: Json = False,
) -> None:
    """How agents learned: training logs of any program as one table, and learning curves."""
    if x not in AXES:
        raise ValueError(f"no axis '{x}'; there are {', '.join(AXES)}")
    if as_csv and as_json:
        raise ValueError("--csv and --json are two ways to print: give one of them")
    if output is not None:
        check_file(output, force, *ENDINGS)
    chosen = _chosen(list(sources or []), game, list(algorithms or []), collection)
    tables = _tables(chosen)
    if output is not None:
        from atari_zoo.viz.curves import save_curves

        save_curves(tables, output, AXES[x])
        print(output, file=sys.stderr if as_csv or as_json else sys.stdout)
    if as_csv:
        print(_together(tables).to_csv(index=False), end="")
    elif as_json:
        rows = _together(tables).astype(object)
        print(json.dumps({"rows": rows.where(rows.notna(), None).to_dict("records")}))
    elif output is None:
        _summary(tables)
    if len(tables) < len(chosen):
        raise typer.Exit(1)


def _chosen(
    sources: list[str], game: str | None, algorithms: list[str], collection: str | None
) -> list[str]:
    """The sources that were named, and the runs that the game, the algorithms and the collection
    stand for."""
    from atari_zoo.converters.algorithms import ALGORITHMS
    from atari_zoo.games import game as find_game
    from atari_zoo.logs.logs import logged

    if game is None:
        if algorithms or collection:
            raise ValueError("--algorithm and --collection narrow a game down: give --game too")
        if not sources:
            raise ValueError("give a model's name, a log or a run's folder, or --game")
        return sources
    algorithms = [name.lower() for name in algorithms]
    if unknown := [name for name in algorithms if name not in ALGORITHMS]:
        raise ValueError(f"no algorithm '{unknown[0]}'; there are {', '.join(ALGORITHMS)}")
    wanted: list[str | None] = [*algorithms] or [None]
    runs = [run for name in wanted for run in logged(game, name, collection)]
    if not runs:
        narrowed = f" of {', '.join(algorithms)}" if algorithms else ""
        raise ValueError(f"no training logs{narrowed} in {find_game(game).name} were published")
    return sources + runs


def _tables(sources: Sequence[str]) -> list[Any]:
    """The logs; of several, one that cannot be had gets a line, and the others are shown.

    Raises the last one's error if none can be had.
    """
    from atari_zoo.logs.logs import training_log

    tables: list[Any] = []
    for source in sources:
        try:
            tables.append(training_log(source))
        except (ValueError, OSError) as error:
            if source == sources[-1] and not tables:
                raise
            print(f"atari-zoo: {printable(' '.join(str(error).split()))}", file=sys.stderr)
    return tables


def _together(tables: Sequence[Any]) -> Any:
    import pandas

    return pandas.concat([table.assign(source=table.attrs["source"]) for table in tables])


def _summary(tables: Sequence[Any]) -> None:
    """A line for each run."""
    print_table(
        (
            (table.attrs["source"], *map(str, run), *_numbers(rows))
            for table in tables
            for run, rows in table.groupby(["algorithm", "game", "run"], sort=False)
        ),
        *("source", "algorithm", "game", "run", "million frames", "hours", "best", "last"),
    )


def _numbers(rows: Any) -> list[str]:
    """Million frames, hours, the best score and the last of one run's log."""
    score = rows["score"].dropna()
    last = score.iloc[-1] if len(score) else float("nan")
    values = rows["frames"].max() / 1e6, rows["seconds"].max() / 3600, score.max(), last
    return ["" if value != value else f"{value:,.1f}" for value in values]
