"""`atari-zoo push`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from atari_zoo.cli.options import Model
from atari_zoo.cli.verbs import verb


@verb(
    "atari-zoo push a2c/Pong/1 me/a2c-Pong-1",
    "atari-zoo push agent.onnx me/agent --private",
    "atari-zoo push agent.onnx me/agent --dry-run pages/agent",
)
def push(
    model: Model,
    repo: Annotated[str, typer.Argument(help="A repository of the Hub, as user/name.")],
    private: Annotated[bool, typer.Option("--private", help="For nobody else to see.")] = False,
    dry_run: Annotated[
        Path | None, typer.Option(help="Write the files into this folder; upload nothing.")
    ] = None,
) -> None:
    """Publishes a model on the Hugging Face Hub, as ONNX and as weights, with a page."""
    from atari_zoo import publishing

    if dry_run is None:
        print(publishing.push(model, repo, private=private))
        return
    for path in publishing.build_repository(model, dry_run, repo):
        print(path)
