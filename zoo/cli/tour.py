"""`atari-zoo tour`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from atari_zoo.cli.options import Device, Force, Json, Model, Output, Seed
from atari_zoo.cli.outputs import check_file
from atari_zoo.cli.tables import print_facts
from atari_zoo.cli.verbs import verb
from atari_zoo.progress import progress_bar


@verb(
    "atari-zoo tour",
    "atari-zoo tour agent.onnx -o agent.html --no-open",
    "atari-zoo tour runs/a2c-Pong-1",
)
def tour(
    model: Model = "apex/Seaquest/1",
    output: Output = Path("atari-zoo-tour.html"),
    seed: Seed = 0,
    show: Annotated[
        bool, typer.Option("--open/--no-open", help="Open it where there is a screen.")
    ] = True,
    device: Device = "cpu",
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Plays an agent, looks inside it, and writes one page that shows what was found."""
    from atari_zoo.viz.pages.tour import tour as make_tour

    check_file(output, force, ".html", ".htm")
    with progress_bar("touring", "steps") as update:
        make_tour(model, output, seed=seed, device=device, progress=update)
    print_facts({"model": model, "output": str(output)}, as_json, str(output.resolve()))
    if show and not as_json and sys.stdout.isatty():
        typer.launch(str(output.resolve()))
