"""`atari-zoo bench`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from atari_zoo.cli.options import Device, Force, Json
from atari_zoo.cli.outputs import check_file
from atari_zoo.cli.tables import print_table, printable
from atari_zoo.cli.verbs import verb
from atari_zoo.interrupts import stop_requests
from atari_zoo.play.plans import FLAT
from atari_zoo.progress import progress_bar

if TYPE_CHECKING:
    from atari_zoo.bench.results import GroupRates, Throughput

PICTURES = ".png", ".svg", ".pdf"
HEADS = "", "envs", "settings", "steps/s", "slowest to fastest", "processor, ms a step"


@verb(
    "atari-zoo bench",
    "atari-zoo bench apex/Seaquest/1 --tune",
    "atari-zoo bench impala-resnet Breakout --envs 16 --envs 64 --minutes 5 -o bench.png",
    "atari-zoo bench a2c Pong --peers --json > rows.jsonl",
)
def bench(
    model: Annotated[
        str,
        typer.Argument(
            help="An agent's name, path or address, or an architecture with random weights: a2c, "
            "dqn, rainbow, apex, es, mnih2013 or impala-resnet."
        ),
    ] = "a2c",
    game: Annotated[
        str | None, typer.Argument(help="If not the model's own; of an architecture Seaquest.")
    ] = None,
    minutes: Annotated[float, typer.Option(help="For all measurements together.")] = 2.0,
    envs: Annotated[
        list[int] | None,
        typer.Option("--envs", help="Copies of the game at once."),
    ] = None,
    threads: Annotated[
        list[int] | None,
        typer.Option("--threads", help=FLAT["threads"].about.help),
    ] = None,
    backend: Annotated[str, typer.Option(help=FLAT["backend"].about.help)] = "auto",
    dtype: Annotated[str, typer.Option(help=FLAT["dtype"].about.help)] = "float32",
    peers: Annotated[
        bool, typer.Option("--peers", help="EnvPool, Gymnasium and SB3 too, where installed.")
    ] = False,
    tune: Annotated[
        bool, typer.Option("--tune", help="Keep the fastest settings for play, record and sweep.")
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="A picture (PNG, SVG or PDF), or all as JSON (.json)."),
    ] = None,
    device: Device = "cpu",
    force: Force = False,
    as_json: Json = False,
) -> None:
    """How fast an agent plays here, what bounds it, and which settings are fastest."""
    from atari_zoo.bench.measuring import Watch, throughput
    from atari_zoo.bench.options import BenchOptions

    if output is not None:
        check_file(output, force, *PICTURES, ".json")
    options = BenchOptions(minutes, envs or (), threads or (), backend, dtype, peers)
    with stop_requests() as stopping, progress_bar("measuring", "s") as update:
        watch = Watch(
            found=lambda group: _tell(group, as_json),
            remark=lambda line: print(f"atari-zoo: {printable(line)}", file=sys.stderr),
            progress=lambda done, total, text="": update(round(done), round(total), text),
            stopped=stopping.is_set,
        )
        result = throughput(model, game, options, device=device, watch=watch)
    if output is not None:
        _write(result, output)
    kept = _kept(result) if tune else ""
    if as_json:
        print(json.dumps({**_facts(result), "tuned": kept}))
    else:
        _conclude(result, output, kept)


def _tell(group: GroupRates, as_json: bool) -> None:
    """Prints a group's rates as soon as they are there."""
    if as_json:
        for row in group.rows():
            print(json.dumps(row), flush=True)
        return
    print(f"\n{group.title}")
    print_table(
        (
            (
                rate.case.what,
                str(rate.case.envs or ""),
                rate.case.settings,
                f"{rate.rate:,.0f}",
                f"{rate.low:,.0f} to {rate.high:,.0f}",
                "" if rate.processor is None else f"{rate.processor:.2f}",
            )
            for rate in group.rates
        ),
        *HEADS,
    )
    if (share := group.share_of_bound) is not None:
        print(f"play reaches {share:.2f} of its bound")
    sys.stdout.flush()


def _write(result: Throughput, output: Path) -> None:
    if output.suffix.lower() == ".json":
        result.save(output)
        return
    from atari_zoo.viz.throughput import draw_throughput

    draw_throughput(result).savefig(output)


def _kept(result: Throughput) -> str:
    """Keeps the settings; a line about them."""
    from atari_zoo.play.tuned import keep_tuned

    if not result.settings:
        return (
            "nothing kept: no other settings were measured; they are for the automatic backend in "
            "float32, and take more --minutes"
        )
    path = keep_tuned(result.settings)
    if not any(one.words for one in result.settings):
        return f"nothing to keep in {path}: the usual settings are the fastest"
    return f"kept in {path}: play, record and sweep take it, unless told otherwise"


def _facts(result: Throughput) -> dict[str, object]:
    names = "model architecture game machine versions envs remarks advice".split()
    return {name: getattr(result, name) for name in names}


def _conclude(result: Throughput, output: Path | None, kept: str) -> None:
    print(f"\n{result.model}: {result.architecture}; on {result.machine}")
    print(result.uncertainty)
    for line in [*result.advice, *filter(None, [kept]), *filter(None, [output])]:
        print(printable(str(line)))
