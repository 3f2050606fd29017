"""`atari-zoo push`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from atari_zoo.cli.options import DryRun, Force, Json, Model
from atari_zoo.cli.outputs import check_folder
from atari_zoo.cli.tables import print_facts
from atari_zoo.cli.verbs import verb


@verb(
    "atari-zoo push a2c/Pong/1 me/a2c-Pong-1",
    "atari-zoo push agent.onnx me/agent --private",
    "atari-zoo push agent.onnx me/agent --dry-run -o pages/agent",
)
def push(
    model: Model,
    repo: Annotated[str, typer.Argument(help="A repository of the Hub, as user/name.")],
    private: Annotated[bool, typer.Option("--private", help="For nobody else to see.")] = False,
    dry_run: DryRun = False,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="With --dry-run, a folder to write the files into."),
    ] = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Publishes a model on the Hugging Face Hub, as ONNX and as weights, with a page."""
    from atari_zoo import publishing

    if dry_run != (output is not None):
        raise ValueError("--dry-run and -o FOLDER go together: the files are written there instead")
    if output is None:
        page = publishing.push(model, repo, private=private)
        print_facts({"model": model, "page": page}, as_json, page)
        return
    check_folder(output, force)
    files = list(map(str, publishing.build_repository(model, output, repo)))
    print_facts({"model": model, "files": files}, as_json, *files)
