"""`atari-zoo train`."""

from __future__ import annotations

import shlex
from math import isfinite, isnan
from pathlib import Path
from typing import Annotated

import typer

from atari_zoo.cli.options import Device, Json, Settings, assignments
from atari_zoo.cli.tables import print_facts
from atari_zoo.cli.verbs import verb
from atari_zoo.progress import progress_bar


@verb(
    "atari-zoo train a2c Pong --frames 14000000 --output runs/a2c-Pong-1",
    "atari-zoo train rainbow Seaquest --hours 10 --device cuda",
    "atari-zoo train impala Breakout --preset paper",
    "atari-zoo train a2c Seaquest --envs 32 --set threads=4 --set learning_rate=1e-3",
)
def train(
    algorithm: Annotated[str, typer.Argument(help="a2c, impala, dqn, rainbow, apex, es or ga.")],
    game: Annotated[str, typer.Argument(help="A game, in any spelling.")],
    frames: Annotated[
        int | None, typer.Option(help="Emulator frames in all; else the preset's.", min=1)
    ] = None,
    hours: Annotated[
        float | None, typer.Option(help="Stop after this much training, if not before.", min=0)
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="The run's folder; resumed if it is there."),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Of weights, games and actions; else 1.")] = None,
    preset: Annotated[
        str, typer.Option(help="Hyper-parameters: workstation, or the paper's.")
    ] = "workstation",
    envs: Annotated[int | None, typer.Option(help="Copies of the game.", min=1)] = None,
    settings: Settings = None,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Trains an agent; a run that was stopped goes on where it was saved. Ctrl-C saves."""
    from atari_zoo.games import game as find_game
    from atari_zoo.models import device_named
    from atari_zoo.training import registry

    make = registry.trainer(algorithm)
    if hours is not None and not isfinite(hours):
        raise ValueError(f"hours is {hours}; leave it out to train until the frames are done")
    if device != "auto":
        device_named(device)
    found = find_game(game)
    options = {"rom": found.rom, "frames": frames, "seed": seed, "envs": envs}
    given = assignments(settings or ())
    if twice := [name for name in given if options.get(name) is not None]:
        raise ValueError(f"--set {twice[0]}= is given another way too: leave one of them out")
    config = registry.config(algorithm, preset, **options | given)
    folder = output or Path("runs") / f"{algorithm}-{found.name}-{config.seed}"
    with progress_bar("training", "frames") as update:
        make(
            folder,
            config,
            accelerator=device,
            progress=lambda done, score: update(
                done, config.frames, "" if isnan(score) else f"score {score:.1f}"
            ),
            hours=hours,
        ).train()
    print_facts(
        {"output": str(folder), "algorithm": algorithm, "game": found.name},
        as_json,
        str(folder),
        f"look inside it: atari-zoo tour {shlex.quote(str(folder))}",
    )
