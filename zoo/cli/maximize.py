"""`atari-zoo maximize`: what a unit, an output, or any objective would like to see best."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

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
    from atari_zoo.viz.render.results import Rendered

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
    iterations: Iterations = 512,
    parameterization: Annotated[
        str, typer.Option(help="pixels, fourier, cppn, pyramid, shared, present or maco.")
    ] = "pixels",
    jitter: Annotated[
        int, typer.Option(help="Pixels by which the image moves at each iteration.", min=0)
    ] = 3,
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
    """Makes images that raise objectives as far as they go, and says how far that is.

    Ctrl-C ends the optimization and keeps what is reached.
    """
    import atari_zoo as zoo
    from atari_zoo.converters.network.foreign import observation_shape
    from atari_zoo.viz.objectives.text import parse
    from atari_zoo.viz.parameterizations.parameterizations import parameterization_named
    from atari_zoo.viz.render.ascent import Settings
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
    seen, player = _seen(network, recording, steps, seed)
    settings = Settings(
        parameterization=parameterization_named(parameterization, seen),
        transforms=transforms,
        steps=iterations,
        rate=rate,
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
    save_rendered(rendered, output)
    if movie is not None:
        save_optimization(rendered, movie, FPS)
    files = [output] if movie is None else [output, movie]
    _tell(model, rendered, files, as_json, player)
    if player not in ("", network.card.name) and not as_json:
        print(f"compared with play of {player}")


def _seen(
    network: Network, recording: Path | None, steps: int | None, seed: int
) -> tuple[Tensor | None, str]:
    """What an agent saw in the recording or in some steps of play, and which agent; None where that
    is none, or its game is not known."""
    if recording is None and (steps == 0 or not network.card.game):
        return None, ""
    import torch

    play = seen_play(network, recording, steps, seed, usual=500)
    envs = range(play.starts.shape[1])
    return torch.cat([play.observations(env) for env in envs]), play.card.name


def _tell(model: str, rendered: Rendered, files: list[Path], as_json: bool, player: str) -> None:
    rows = [_row(rendered, index) for index in range(len(rendered.names))]
    names = [str(file) for file in files]
    if as_json:
        facts = {"model": model, "player": player, "images": rows, "files": names}
        print(json.dumps(facts))
        return
    heads = "objective", "activation", "after ReLU", "play's most", "% of play", "held", "steps"
    print_table(map(_cells, rows), *heads)
    print("\n".join(names))


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    numbers = [row["activation"], row["rectified"], row["played"], row["percentile"]]
    words = ["" if number is None else f"{number:.4g}" for number in numbers]
    held = "yes" if row["held"] else "no" if row["rose"] else "no: it did not rise"
    return row["name"], *words, held, str(row["steps"])


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
        "steps": int(rendered.steps[index]),
    }
