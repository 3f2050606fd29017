"""`atari-zoo list`, `info`, `convert` and `verify`."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from atari_zoo.cli.options import (
    Algorithm,
    Collection,
    Force,
    Game,
    Json,
    Model,
    Run,
    Seed,
    Tag,
)
from atari_zoo.cli.outputs import check_file
from atari_zoo.cli.preprocessing_options import with_preprocessing
from atari_zoo.cli.tables import print_table
from atari_zoo.cli.verbs import verb
from atari_zoo.play.plans import FLAT


@verb(
    "atari-zoo list",
    "atari-zoo list --game Pong --algorithm a2c",
    "atari-zoo list --collection dopamine --json",
    "atari-zoo list --offline",
)
def list_(
    game: Game = None,
    algorithm: Algorithm = None,
    collection: Collection = None,
    run: Run = None,
    tag: Tag = None,
    offline: Annotated[bool, typer.Option("--offline", help="Only those that are here.")] = False,
    as_json: Json = False,
) -> None:
    """The models there are; without a filter, the package's own and how many others."""
    from atari_zoo.catalog.catalog import collections, list_models
    from atari_zoo.catalog.model_lists import HEADS

    given = (game, algorithm, run, tag, collection)
    alone = not any(given) and not offline and not as_json
    cards = list_models(*(given if not alone else (*given[:4], "starter")), offline=offline)
    if as_json:
        print(json.dumps([json.loads(card.to_json()) | {"name": card.name} for card in cards]))
        return
    if not cards:
        print("there are no such models; with fewer options there are", file=sys.stderr)
        return
    print_table(cards.rows, *HEADS)
    if alone:
        others = {name: count for name, count in collections().items() if name != "starter"}
        print(f"and {sum(others.values()):,} published by others, fetched when they are loaded:")
        print(", ".join(f"{name} {count:,}" for name, count in others.items()))
        print("`atari-zoo list --collection uber --game Pong` shows some of them")


@verb(
    "atari-zoo info a2c/Pong/1",
    "atari-zoo info agent.onnx --json",
    "atari-zoo info runs/a2c-Pong-1",
)
def info(model: Model, as_json: Json = False) -> None:
    """What is known of a model: its card and its layers."""
    from atari_zoo.models import facts_about

    facts = facts_about(model)
    if as_json:
        print(json.dumps(facts))
        return
    living = facts["living_units"].items()
    facts["living_units"] = {name: f"{some} of {units}" for name, (some, units) in living}
    known = sorted(name for name in facts if facts[name] not in ("", [], {}, 0))
    print_table((name, _readable(facts[name])) for name in known)


@verb(
    "atari-zoo convert graph.pb --game Seaquest",
    "atari-zoo convert dqn/Pong/1/checkpoints --game Pong -o dqn.onnx",
    "atari-zoo convert policy.safetensors --algorithm ppo --game Breakout -o ppo.onnx",
    "atari-zoo convert agent.zip --game Pong --json > report.json",
    "atari-zoo convert unscaled.pth --game Pong --input-range 0..255",
    "atari-zoo convert agent.onnx -o policy.pth --quiet",
    "atari-zoo convert drqn.onnx --game Pong --preprocessing dopamine --resize linear --stack 1",
    "atari-zoo convert hf:sb3/ppo-PongNoFrameskip-v4 -o pong.onnx",
)
@with_preprocessing
def convert(
    source: Annotated[
        str,
        typer.Argument(
            help="A model's file or folder, of any format in docs/formats.md, a name such as "
            "a2c/Pong/1, hf:owner/repo on the Hugging Face Hub, or an address."
        ),
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
    algorithm: Algorithm = None,
    game: Game = None,
    run: Run = None,
    preprocessing: Mapping[str, Any] | str | None = None,
    action: Annotated[str | None, typer.Option(help=FLAT["action"].about.help)] = None,
    actions: Annotated[
        str | None,
        typer.Option(help="Its outputs in order, if not the game's own: NOOP,FIRE,LEFT,RIGHT."),
    ] = None,
    input_range: Annotated[
        str | None,
        typer.Option(help="Pixels that it takes, where the file does not tell: 0..1 or 0..255."),
    ] = None,
    keras_backend: Annotated[
        str | None,
        typer.Option(help="What Keras ran on, where its file does not tell, such as theano."),
    ] = None,
    action_output: Annotated[
        str | None,
        typer.Option(help="The name of the graph's output that rates the actions, of several."),
    ] = None,
    value_output: Annotated[
        str | None, typer.Option(help="The name of the graph's output that is the state's value.")
    ] = None,
    float16: Annotated[bool, typer.Option(help="Store the weights in half the bytes.")] = False,
    force: Force = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Do not tell what was found.")] = False,
    as_json: Json = False,
) -> None:
    """A model's file to ONNX, its card inside, or to other libraries' files.

    Says what it found, and checks it layer by layer. The options say what the file does not tell.
    """
    from atari_zoo.catalog.names import file_name
    from atari_zoo.converters.registry import is_prefix
    from atari_zoo.converters.saving import ENDINGS, save_as
    from atari_zoo.models import convert as convert_model
    from atari_zoo.remote.references import is_remote

    place = Path(source)
    if is_remote(source) or not (place.exists() or is_prefix(place)):  # a name: into this folder
        output = output or Path(f"{file_name(source)}.onnx")
    else:
        output = output or (place if place.name else place.resolve()).with_suffix(".onnx")
        if output.exists() and place.exists() and output.samefile(place):
            raise ValueError(f"{output} is the source itself; give another file with -o")
    check_file(output, force, *ENDINGS)
    roles = {"output": action_output, "value": value_output}
    done = convert_model(
        source,
        algorithm=algorithm,
        game=game,
        run=run,
        preprocessing=preprocessing,
        action_rule=action,
        actions=[name.strip() for name in actions.split(",")] if actions else None,
        float16=float16,
        input_range=input_range,
        keras_backend=keras_backend,
        outputs={role: name for role, name in roles.items() if name},
    )
    save_as(done.model, output)
    if as_json:
        print(json.dumps(done.report.to_dict() | {"output": str(output), "name": done.card.name}))
        return
    if not quiet:
        print_table(done.report.rows())
    print(f"{output}: {done.card.name}, {output.stat().st_size / 1e6:.1f} MB")


@verb("atari-zoo verify agent.onnx", "atari-zoo verify a2c/Pong/1 --json")
def verify(
    model: Model,
    tolerance: Annotated[float, typer.Option(help="The largest difference allowed.")] = 1e-4,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """onnxruntime against torch, at every named layer, on random and on real observations."""
    from atari_zoo.verification import verify_model

    if not 0 < tolerance < math.inf:
        raise ValueError(f"tolerance is {tolerance}; expected a number above 0, such as 1e-4")
    rows = verify_model(model, seed)
    worst = max(row["difference"] for row in rows)
    if as_json:
        print(json.dumps({"model": model, "difference": worst, "layers": rows}))
    else:
        cells = [
            (row["layer"], "x".join(map(str, row["shape"])))
            + (f"{row['magnitude']:.3g}", f"{row['difference']:.1e}")
            for row in rows
        ]
        print_table(cells, "layer", "shape", "largest value", "largest difference")
        verdict = "within" if worst <= tolerance else "OVER"
        print(f"largest difference {worst:.1e}, {verdict} {tolerance:.0e}")
    if not worst <= tolerance:
        raise typer.Exit(1)


def _readable(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{k} {v}" for k, v in value.items())
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)
