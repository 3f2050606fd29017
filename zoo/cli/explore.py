"""`atari-zoo explore`."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from atari_zoo.cli.options import Env, Force, Json, Layers, Seed
from atari_zoo.cli.outputs import check_folder
from atari_zoo.cli.tables import print_facts
from atari_zoo.cli.verbs import verb
from atari_zoo.progress import progress_bar


@verb(
    "atari-zoo explore apex/Seaquest/1 -o page",
    "atari-zoo explore apex/Seaquest/1 rainbow/Seaquest/1 -o page",
    "atari-zoo explore apex/Seaquest/1 --ablate conv3:26 -o page",
    "atari-zoo explore '*/Seaquest/*' --embedding where -o page    # of `atari-zoo embed`",
    "atari-zoo explore play.zarr --steps 500 --saliency lrp --iterations 0 -o page",
)
def explore(
    models: Annotated[
        list[str],
        typer.Argument(
            help="Agents of one game: names, patterns such as '*/Seaquest/*', models' files, "
            "recordings with screens, frames and RAM."
        ),
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="The folder to write.")] = Path(
        "explorer"
    ),
    steps: Annotated[
        int, typer.Option("--steps", help="Of each agent's play, its first ones; 0 for all.", min=0)
    ] = 0,
    env: Env = 0,
    layers: Layers = None,
    methods: Annotated[
        list[str] | None,
        typer.Option(
            "--saliency",
            help="A method of attribution, as often as wanted, or 'none'.",
            show_default="integrated_gradients and greydanus",
        ),
    ] = None,
    every: Annotated[
        int, typer.Option(help="Methods without gradients explain one of so many steps.", min=1)
    ] = 10,
    ablate: Annotated[
        list[str] | None,
        typer.Option(help="Units of the first agent to silence, as conv3:26, in an agent more."),
    ] = None,
    embedding: Annotated[
        Path | None, typer.Option(help="A saved embedding of these agents' RAM.")
    ] = None,
    iterations: Annotated[
        int, typer.Option(help="Of the map of all moments; 0 for no map.", min=0)
    ] = 1000,
    units: Annotated[
        bool, typer.Option("--dictionary/--no-dictionary", help="Make that of all units.")
    ] = True,
    images: Annotated[
        int, typer.Option(help="Iterations that make an image for each unit; 0 for none.", min=0)
    ] = 0,
    seed: Seed = 0,
    show: Annotated[
        bool, typer.Option("--open/--no-open", help="Open it where there is a screen.")
    ] = True,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """A page to look around in: play, activations, saliency, units and a map of all moments."""
    from atari_zoo.analysis.subjects import as_subjects
    from atari_zoo.viz.explorer.explorer import explore as write_explorer
    from atari_zoo.viz.explorer.settings import ExplorerSettings

    check_folder(output, force)
    usual = ExplorerSettings()
    chosen = tuple(methods or usual.methods)
    settings = ExplorerSettings(
        steps=steps,
        env=env,
        layers=tuple(layers or ()),
        methods=() if chosen == ("none",) else chosen,
        every=every,
        embedding=embedding,
        iterations=iterations,
        units=units,
        images=images,
        seed=seed,
    )
    again = _again(models, settings, usual, ablate or [])
    agents = as_subjects(models)
    with progress_bar("exploring", "parts") as update:
        page = write_explorer(agents, output, settings, ablate or [], again, update)
    size = sum(file.stat().st_size for file in output.rglob("*") if file.is_file())
    facts = {"models": models, "output": str(page), "bytes": size}
    print_facts(facts, as_json, f"{page.resolve()}: {size / 1e6:.1f} MB")
    if show and not as_json and sys.stdout.isatty():
        typer.launch(str(page.resolve()))


def _again(models: list[str], settings: object, usual: object, ablate: list[str]) -> str:
    """The command that makes the page again, with the options that are not as usual."""
    words = ["atari-zoo", "explore", *models]
    words += [word for units in ablate for word in ("--ablate", units)]
    several = {"layers": "--layer", "methods": "--saliency"}
    for name, value in vars(settings).items():
        if value == getattr(usual, name):
            continue
        if name in several:
            words += [word for one in value or ["none"] for word in (several[name], one)]
        else:
            words += ["--no-dictionary"] if name == "units" else [f"--{name}", str(value)]
    return shlex.join(words)
