"""`atari-zoo`: each verb is a few lines over the library."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from atari_zoo.cli import analyses as analyses_cli
from atari_zoo.cli import attribute as attribution_cli
from atari_zoo.cli import fetch as fetching_cli
from atari_zoo.cli import freeze as freezing_cli
from atari_zoo.cli import logs as logs_cli
from atari_zoo.cli import maximize as maximizing_cli
from atari_zoo.cli import patches as patches_cli
from atari_zoo.cli import play as playing_cli
from atari_zoo.cli import push as publishing_cli
from atari_zoo.cli import sweep as sweeping_cli
from atari_zoo.cli import train as training_cli
from atari_zoo.progress import progress_bar

app = typer.Typer(
    name="atari-zoo",
    help="Load any Atari agent, play it in the real emulator, and look inside it.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Model = Annotated[
    str, typer.Argument(help="A name, such as a2c/Pong/1, or the path of a model's file.")
]
Game = Annotated[str | None, typer.Option(help="A game, in any spelling.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object, for scripts.")]


def examples(*lines: str) -> str:
    """An epilog of `--help`."""
    return "[bold]Examples[/bold]\n\n" + "\n\n".join(f"  $ {line}" for line in lines)


@app.command(
    "list",
    epilog=examples(
        "atari-zoo list",
        "atari-zoo list --game Pong --algorithm a2c",
        "atari-zoo list --collection dopamine --json",
        "atari-zoo list --offline",
    ),
)
def list_(
    game: Game = None,
    algorithm: Annotated[str | None, typer.Option(help="An algorithm, such as a2c.")] = None,
    collection: Annotated[
        str | None, typer.Option(help="A collection, such as uber, sb3 or starter.")
    ] = None,
    run: Annotated[str | None, typer.Option(help="A run, such as 1.")] = None,
    tag: Annotated[str | None, typer.Option(help="A checkpoint, such as 400M or final.")] = None,
    offline: Annotated[bool, typer.Option("--offline", help="Only those that are here.")] = False,
    as_json: Json = False,
) -> None:
    """The models there are; without a filter, the package's own and how many others."""
    from atari_zoo.catalog.catalog import collections, list_models

    given = (game, algorithm, run, tag, collection)
    alone = not any(given) and not offline and not as_json
    cards = list_models(*(given if not alone else (*given[:4], "starter")), offline=offline)
    if as_json:
        print(json.dumps([json.loads(card.to_json()) | {"name": card.name} for card in cards]))
        return
    table = Table("model", "frames trained", "score", "preprocessing")
    for card in cards:
        score = card.scores.get("mean")
        table.add_row(
            card.name,
            f"{card.frames:,}" if card.frames else "",
            "" if score is None else f"{score:.1f}",
            card.preprocessing.name,
        )
    Console().print(table)
    if alone:
        others = {name: count for name, count in collections().items() if name != "starter"}
        print(f"and {sum(others.values()):,} published by others, fetched when they are loaded:")
        print(", ".join(f"{name} {count:,}" for name, count in others.items()))
        print("`atari-zoo list --collection uber --game Pong` shows some of them")


@app.command(epilog=examples("atari-zoo info a2c/Pong/1", "atari-zoo info agent.onnx --json"))
def info(model: Model, as_json: Json = False) -> None:
    """What is known of a model: its card and its layers."""
    import atari_zoo as zoo
    from atari_zoo.catalog.catalog import measured

    network = zoo.load(model)
    facts = json.loads(network.card.to_json()) | {"name": network.card.name}
    facts["scores"] = facts["scores"] | measured(model)
    facts["living_units"] = facts["scores"].pop("living_units", {})
    facts["parameters"] = sum(p.numel() for p in network.parameters())
    facts["layers"] = list(network.layers)
    if as_json:
        print(json.dumps(facts))
        return
    living = facts["living_units"].items()
    facts["living_units"] = {name: f"{some} of {units}" for name, (some, units) in living}
    table = Table(show_header=False)
    for name in sorted(facts):
        if facts[name] not in ("", [], {}, 0):
            table.add_row(name, _readable(facts[name]))
    Console().print(table)


@app.command(
    epilog=examples(
        "atari-zoo convert graph.pb --game Seaquest",
        "atari-zoo convert dqn/Pong/1/checkpoints --game Pong -o dqn.onnx",
        "atari-zoo convert policy.safetensors --algorithm ppo --game Breakout -o ppo.onnx",
        "atari-zoo convert agent.zip --game Pong --report json > report.json",
        "atari-zoo convert agent.onnx -o policy.pth --report none",
    )
)
def convert(
    source: Annotated[
        Path,
        typer.Argument(help="A model's file or folder, of any format in docs/formats.md."),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            help=".onnx, .safetensors, .npz, or .pth (for Stable-Baselines3); beside the source "
            "if not given.",
        ),
    ] = None,
    algorithm: Annotated[
        str | None, typer.Option(help="What trained it, such as a2c, if the file does not tell.")
    ] = None,
    game: Game = None,
    run: Annotated[str | None, typer.Option(help="Which run of it; 1 if not given.")] = None,
    preprocessing: Annotated[
        str | None, typer.Option(help="vector, deepmind, dopamine or modern.")
    ] = None,
    action: Annotated[str | None, typer.Option(help="argmax, sample or epsilon-greedy.")] = None,
    float16: Annotated[bool, typer.Option(help="Store the weights in half the bytes.")] = False,
    report: Annotated[
        str, typer.Option(help="How to tell what was found: text, json or none.")
    ] = "text",
) -> None:
    """A model's file to ONNX, its card inside, or to other libraries' files.

    Says what it found, and checks it layer by layer.
    """
    from atari_zoo.converters.saving import check_suffix, save_as
    from atari_zoo.models import convert as convert_model

    if report not in ("text", "json", "none"):
        raise ValueError(f"no report '{report}'; there are text, json and none")
    output = output or (source if source.name else source.resolve()).with_suffix(".onnx")
    if output.exists() and source.exists() and output.samefile(source):
        raise ValueError(f"{output} is the source itself; give another file with -o")
    check_suffix(output)
    given = {"algorithm": algorithm, "game": game, "preprocessing": preprocessing}
    done = convert_model(source, float16=float16, action_rule=action, run=run, **given)
    save_as(done.model, output)
    if report == "json":
        print(json.dumps(done.report.to_dict() | {"output": str(output), "name": done.card.name}))
        return
    if report == "text":
        table = Table(show_header=False)
        for name, words in done.report.rows():
            table.add_row(name, words)
        Console().print(table)
    print(f"{output}: {done.card.name}, {output.stat().st_size / 1e6:.1f} MB")


@app.command(epilog=examples("atari-zoo verify agent.onnx", "atari-zoo verify a2c/Pong/1 --json"))
def verify(
    model: Model,
    tolerance: Annotated[float, typer.Option(help="The largest difference allowed.")] = 1e-4,
    seed: Annotated[int, typer.Option(help="Of the random observations.")] = 0,
    as_json: Json = False,
) -> None:
    """onnxruntime against torch, at every named layer, on random and on real observations."""
    from atari_zoo.verification import verify_model

    rows = verify_model(model, seed)
    worst = max(row["difference"] for row in rows)
    if as_json:
        print(json.dumps({"model": model, "difference": worst, "layers": rows}))
    else:
        table = Table("layer", "shape", "largest value", "largest difference")
        for row in rows:
            shape = "x".join(map(str, row["shape"]))
            table.add_row(
                row["layer"], shape, f"{row['magnitude']:.3g}", f"{row['difference']:.1e}"
            )
        Console().print(table)
        verdict = "within" if worst <= tolerance else "OVER"
        print(f"largest difference {worst:.1e}, {verdict} {tolerance:.0e}")
    if not worst <= tolerance:
        raise typer.Exit(1)


@app.command(epilog=examples("atari-zoo tour", "atari-zoo tour agent.onnx -o agent.html --no-open"))
def tour(
    model: Annotated[
        str, typer.Argument(help="A name or a file; the package's own agent if not given.")
    ] = "a2c/Pong/1",
    output: Annotated[Path, typer.Option("-o", "--output", help="The page to write.")] = Path(
        "atari-zoo-tour.html"
    ),
    seed: Annotated[int, typer.Option(help="The same seed shows the same games.")] = 0,
    show: Annotated[
        bool, typer.Option("--open/--no-open", help="Open it where there is a screen.")
    ] = True,
) -> None:
    """Plays an agent, looks inside it, and writes one page that shows what was found."""
    from atari_zoo.viz.pages.tour import tour as make_tour

    with progress_bar("touring", "steps") as update:
        make_tour(model, output, seed=seed, progress=update)
    print(f"{output.resolve()}")
    if show and sys.stdout.isatty():
        typer.launch(str(output.resolve()))


for verbs in (
    playing_cli,
    training_cli,
    freezing_cli,
    fetching_cli,
    patches_cli,
    sweeping_cli,
    attribution_cli,
    maximizing_cli,
):
    for verb, words in verbs.EXAMPLES.items():
        app.command(epilog=examples(*words))(getattr(verbs, verb))
app.command(epilog=examples(*logs_cli.EXAMPLES))(logs_cli.logs)
app.command(epilog=examples(*publishing_cli.EXAMPLES))(publishing_cli.push)
analyses_cli.add_verbs(app)


def _readable(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{k} {v}" for k, v in value.items())
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)
