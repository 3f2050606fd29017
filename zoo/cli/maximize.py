"""`atari-zoo maximize`: what a unit, an output, or any objective would like to see best."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from atari_zoo.cli.effects import effect_notes
from atari_zoo.cli.objectives import shown_in_place
from atari_zoo.cli.options import (
    STEPS,
    Device,
    Force,
    Iterations,
    Json,
    Model,
    Output,
    Played,
    Seed,
    seen_play,
)
from atari_zoo.cli.outputs import check_file
from atari_zoo.cli.tables import print_table
from atari_zoo.cli.verbs import verb
from atari_zoo.interrupts import stop_requests
from atari_zoo.progress import progress_bar

if TYPE_CHECKING:
    from torch import Tensor

    from atari_zoo.converters.network.foreign import Network
    from atari_zoo.viz.objectives.objectives import Objective
    from atari_zoo.viz.render.ascent import Settings
    from atari_zoo.viz.render.results import Rendered

KEPT = 0.6  # as the library has it, which is slow to import
MADE = (
    "{how}, {settings.steps} steps, jitter of {jitter} pixels; each image as smooth as it can be "
    "while it keeps {settings.kept} of what it gains otherwise. Framed: the same of the network "
    "before training."
)
FPS = 15  # of the movie
MOVIE_PICTURES = 90  # at most, of the optimization


@verb(
    'atari-zoo maximize rainbow/Seaquest/1 "atoms:0,0"    # figure 4 of the paper',
    'atari-zoo maximize a2c/Pong/1 "conv3:38 - 1e-6*tv" "output:RIGHT" -o wanted.png',
    'atari-zoo maximize dqn/Seaquest/1 "fc:0..15" --parameterization fourier --movie fc.mp4',
    'atari-zoo maximize agent.onnx "fc:*" --iterations 256 --steps 0 --json',
)
def maximize(
    model: Model,
    objectives: Annotated[
        list[str],
        typer.Argument(help='Such as "conv3:38 - 1e-6*tv", "output:RIGHT", "value", "fc:0..15".'),
    ],
    output: Output = Path("maximized.png"),
    iterations: Iterations = 256,
    parameterization: Annotated[
        str, typer.Option(help="pixels, fourier, cppn, pyramid, shared, present or maco.")
    ] = "fourier",
    jitter: Annotated[
        int, typer.Option(help="Pixels by which the image moves at each iteration.", min=0)
    ] = 6,
    kept: Annotated[
        float,
        typer.Option(
            help="Share of what can be gained that is kept, while the image is made as smooth as "
            "that allows; 1: nothing smooths it.",
            min=0,
            max=1,
        ),
    ] = KEPT,
    control: Annotated[
        bool, typer.Option("--control/--no-control", help="An untrained network's image first.")
    ] = True,
    rate: Annotated[
        float | None, typer.Option("--lr", help="Learning rate; what suits if not given.")
    ] = None,
    copies: Annotated[
        int, typer.Option(help="Images of each, from other random starts.", min=1)
    ] = 1,
    seed: Seed = 0,
    movie: Annotated[Path | None, typer.Option(help="An mp4 of the optimization.")] = None,
    steps: Annotated[
        int | None,
        typer.Option("--steps", help=f"{STEPS} 0 for none.", min=0, show_default="500"),
    ] = None,
    recording: Played = None,
    device: Device = "cpu",
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Makes images that raise objectives, as smooth as that allows, and says how far they get.

    Units of the first convolution are shown as their weights.
    Ctrl-C ends the optimization and keeps what is reached.
    """
    import atari_zoo as zoo
    from atari_zoo.converters.network.foreign import observation_shape
    from atari_zoo.viz.objectives.joining import joined
    from atari_zoo.viz.objectives.text import parse
    from atari_zoo.viz.parameterizations.parameterizations import parameterization_named
    from atari_zoo.viz.render.ascent import Settings
    from atari_zoo.viz.render.first_filters import asked_filters
    from atari_zoo.viz.render.pictures import save_optimization, save_rendered
    from atari_zoo.viz.render.rendering import render
    from atari_zoo.viz.render.transforms import Jitter, check_transforms

    check_file(output, force, ".png")
    if movie is not None:
        check_file(movie, force, ".mp4")
    network = zoo.load(model, device)
    every = max(1, iterations // MOVIE_PICTURES)
    with shown_in_place():
        wanted = [parse(text, network) for text in objectives]
    transforms = (Jitter(jitter),) if jitter else ()
    check_transforms(transforms, observation_shape(network))  # before the play
    seen, player, notes = _seen(network, recording, steps, seed, wanted)
    settings = Settings(
        parameterization=parameterization_named(parameterization, seen),
        transforms=transforms,
        steps=iterations,
        rate=rate,
        kept=None if kept == 1 else kept,
        seed=seed,
        snapshots=() if movie is None else range(0, iterations + 1, every),
    )
    with stop_requests() as stopping, progress_bar("maximizing", "steps") as update:
        rendered = render(
            network,
            wanted,
            settings,
            copies=copies,
            observations=seen,
            progress=update,
            stopped=stopping.is_set,
        )
        shown = control and not stopping.is_set()
        begun, why = _control(network, wanted, settings) if shown else (None, "")
    notes += [why] * bool(why)
    save_rendered(
        rendered,
        output,
        control=begun,
        filters=asked_filters(network, joined([joined(wanted)] * copies)),
        title=f"{network.card.name}: images that raise its units",
        notes=[MADE.format(settings=settings, how=parameterization, jitter=jitter), *notes],
    )
    if movie is not None:
        save_optimization(rendered, movie, FPS)
    files = [output] if movie is None else [output, movie]
    if player not in ("", network.card.name):
        notes.append(f"compared with play of {player}")
    _tell(model, rendered, begun, files, as_json, player, notes)


def _seen(
    network: Network,
    recording: Path | None,
    steps: int | None,
    seed: int,
    wanted: list[Objective],
) -> tuple[Tensor | None, str, list[str]]:
    """What an agent saw in the recording or in some steps of play, and which agent; None where that
    is none, or its game is not known. And what is to be said of the layers that are asked."""
    if recording is None and (steps == 0 or not network.card.game):
        return None, "", []
    import torch

    play = seen_play(network, recording, steps, seed, usual=500)
    envs = range(play.starts.shape[1])
    seen = torch.cat([play.observations(env) for env in envs])
    own = [r.layer for one in wanted for r in one.references if r.network is None]
    return seen, play.card.name, effect_notes(network, play, own)


def _control(
    network: Network, wanted: list[Objective], settings: Settings
) -> tuple[Rendered | None, str]:
    """Of each layer that is asked, the first sample's image of a network before training; or why
    there is none."""
    from dataclasses import replace

    from atari_zoo.analysis.responses import untrained_control
    from atari_zoo.viz.render.first_filters import asked_filters
    from atari_zoo.viz.render.rendering import render

    firsts: dict[tuple[str, ...], Objective] = {}
    for objective in wanted:
        one = objective.of_samples(slice(0, 1))
        own = all(reference.network is None for reference in one.references)
        if own and not one.couples and one.references and not asked_filters(network, one):
            firsts.setdefault(tuple(reference.layer for reference in one.references), one)
    if not firsts:
        return None, ""
    begun, why = untrained_control(network, settings.seed)
    if begun is None:
        return None, why
    return render(begun, list(firsts.values()), replace(settings, snapshots=())), ""


def _tell(
    model: str,
    rendered: Rendered,
    begun: Rendered | None,
    files: list[Path],
    as_json: bool,
    player: str,
    notes: list[str],
) -> None:
    rows = [_row(rendered, index) for index in range(len(rendered.names))]
    controls = [] if begun is None else [_row(begun, index) for index in range(len(begun.names))]
    names = [str(file) for file in files]
    if as_json:
        facts = {"model": model, "player": player, "images": rows, "untrained": controls}
        print(json.dumps(facts | {"notes": notes, "files": names}))
        return
    rows += [row | {"name": f"{row['name']} before training"} for row in controls]
    heads = "objective", "activation", "after ReLU", "play's most", "% of play", "if not smooth", ""
    print_table(map(_cells, rows), *heads)
    for note in notes:
        print(note)
    print("\n".join(names))


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    keys = ("activation", "rectified", "played", "percentile", "reach")
    words = ["" if row[key] is None else f"{row[key]:.4g}" for key in keys]
    return row["name"], *words, row["failure"]


def _row(rendered: Rendered, index: int) -> dict[str, Any]:
    def number(values: Tensor) -> float | None:
        return None if values[index].isnan() else float(values[index])

    return {
        "name": rendered.names[index],
        "objective": number(rendered.objective),
        "activation": number(rendered.activation),
        "rectified": number(rendered.rectified),
        "reread": number(rendered.reread),
        "rose": bool(rendered.rose[index]),
        "held": bool(rendered.held[index]),
        "percentile": number(rendered.percentile),
        "played": number(rendered.played),
        "reach": number(rendered.reach),
        "weight": float(rendered.weights[index]),
        "failure": rendered.failures[index],
        "steps": int(rendered.steps[index]),
    }
