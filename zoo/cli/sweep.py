"""`atari-zoo sweep`."""

from __future__ import annotations

import json
import sys
from typing import Annotated

import typer

from atari_zoo.cli.options import Json, Settings, assignments
from atari_zoo.cli.verbs import verb
from atari_zoo.progress import progress_bar


@verb(
    "atari-zoo sweep score --models '*/Seaquest/*' --seeds 3 -o scores",
    "atari-zoo sweep record --models 'uber:a2c/*@final' --workers 8 -o play",
    "atari-zoo sweep noise --models a2c/Pong/1 --set kind=observation --set levels=[0,0.1]",
    "atari-zoo sweep score --models agent.onnx --scheduler tcp://head:8786 -o s3://lab/scores",
    "atari-zoo sweep my_jobs:histogram --models '*/Pong/1' --workers 2",
)
def sweep(
    job: Annotated[str, typer.Argument(help="record, score, noise, maximize, or MODULE:FUNCTION.")],
    models: Annotated[
        list[str], typer.Option("--models", help="A name, a pattern of names, or a path.")
    ],
    output: Annotated[
        str, typer.Option("-o", "--output", help="A folder or s3://..., gone on with.")
    ] = "",
    seeds: Annotated[int, typer.Option(help="How many seeds, from 0.", min=1)] = 1,
    settings: Settings = None,
    workers: Annotated[
        int, typer.Option(help="Processes on this machine; 0 for this one.", min=0)
    ] = 0,
    scheduler: Annotated[
        str, typer.Option(help="A Dask cluster's, such as tcp://host:8786, instead.")
    ] = "",
    retries: Annotated[int, typer.Option(help="Of what fails for a reason that may pass.")] = 1,
    as_json: Json = False,
) -> None:
    """Does one job for many models and seeds; one that fails does not stop the others."""
    from dataclasses import asdict

    from atari_zoo.play.tuned import settings_here
    from atari_zoo.sweeps.sweeps import sweep as run

    given = assignments(settings or (), "steps=500")
    if not scheduler and (kept := settings_here()):
        print(f"tuned settings are taken where they fit: {kept}", file=sys.stderr)
    sys.path.insert(0, "")  # jobs of the user's own, in the folder that the command is given in
    with progress_bar("sweeping", "tasks") as update:
        done = run(
            job,
            models,
            output or f"sweep-{job.replace(':', '-')}",
            range(seeds),
            given,
            workers=workers,
            scheduler=scheduler,
            retries=retries,
            progress=update,
        )
    if as_json:
        for outcome in done.outcomes:
            print(json.dumps(asdict(outcome)))
    else:
        print(done.report(), end="")
        print(f"{len(done.outcomes) - len(done.failed)} of {len(done.outcomes)} in {done.place}")
    if done.failed:
        raise typer.Exit(1)
