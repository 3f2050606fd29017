"""`atari-zoo fetch`, `atari-zoo cache` and `atari-zoo mirror`."""

from __future__ import annotations

import sys
from collections.abc import Sized
from pathlib import Path
from typing import Annotated

import typer

from atari_zoo.catalog.entries import Entry
from atari_zoo.cli.options import Algorithm, Collection, Game, Run, Tag
from atari_zoo.cli.tables import print_table
from atari_zoo.cli.verbs import verb

Kinds = Annotated[
    list[str] | None,
    typer.Option("--with", help="What was published beside it too: log, play, video ..."),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Tell what would be fetched.")]


@verb(
    "atari-zoo fetch a2c/Seaquest/3@400M dopamine-jax:iqn/Pong/1",
    "atari-zoo fetch --collection sb3 --game Breakout",
    "atari-zoo fetch --game Pong --algorithm a2c --tag final --with log --with play",
    "atari-zoo fetch --collection cleanrl --dry-run",
)
def fetch(
    names: Annotated[list[str] | None, typer.Argument(help="Models' names.")] = None,
    game: Game = None,
    algorithm: Algorithm = None,
    collection: Collection = None,
    run: Run = None,
    tag: Tag = None,
    kinds: Kinds = None,
    dry_run: DryRun = False,
) -> None:
    """Fetches models into the cache; what is there already is not asked for again."""
    chosen = _chosen(names or [], (game, algorithm, run, tag, collection))
    _fetch(chosen, kinds or [], None, dry_run)


@verb(
    "atari-zoo mirror zoo-mirror --game Pong",
    "atari-zoo mirror /mnt/shared/zoo --collection dopamine-jax --dry-run",
)
def mirror(
    folder: Annotated[
        Path, typer.Argument(help="The folder to fill; gone on with if it is there.")
    ],
    names: Annotated[list[str] | None, typer.Argument(help="Models' names.")] = None,
    game: Game = None,
    algorithm: Algorithm = None,
    collection: Collection = None,
    run: Run = None,
    tag: Tag = None,
    kinds: Kinds = None,
    dry_run: DryRun = False,
) -> None:
    """Lays out a folder that any web server can serve to others: `ATARI_ZOO_MIRROR=https://...`."""
    chosen = _chosen(names or [], (game, algorithm, run, tag, collection))
    _fetch(chosen, kinds or [], folder, dry_run)


@verb("atari-zoo cache", "atari-zoo cache --verify", "atari-zoo cache 'uber:*Pong*' --prune")
def cache(
    matching: Annotated[
        str, typer.Argument(help="A part of the names, or a pattern such as 'uber:*Pong*'.")
    ] = "",
    verify: Annotated[bool, typer.Option("--verify", help="Read every file again.")] = False,
    prune: Annotated[bool, typer.Option("--prune", help="Remove these models.")] = False,
    forget: Annotated[
        bool, typer.Option("--forget", help="Accept another content when fetched again.")
    ] = False,
) -> None:
    """What is in the cache: models, sizes, when they came."""
    from atari_zoo.downloads import cache as kept

    if forget:
        for place in kept.forget(matching):
            print(f"forgot {place}")
        return
    models = kept.cached_models(matching)
    text = f"{_counted(models, 'model')}, {sum(model.size for model in models) / 1e6:.1f} MB"
    if prune:
        for model in models:
            kept.prune(model)
            print(f"removed {model.name}")
        print(f"{text} removed from {kept.root()}")
    elif verify:
        lines = [line for model in models for line in kept.damaged(model)]
        for line in lines:
            print(line, file=sys.stderr)
        print(f"{text}: {_counted(lines, 'damaged file')}")
        if lines:
            print(
                "`atari-zoo cache MODEL --prune` removes a model; fetch it again", file=sys.stderr
            )
            raise typer.Exit(1)
    else:
        rows = [
            (model.name, str(len(model.files)), f"{model.size / 1e6:.1f}", model.fetched)
            for model in models
        ]
        print_table(rows, "model", "files", "MB", "fetched")
        print(f"{text} in {kept.root()}")


def _chosen(names: list[str], filters: tuple[str | None, ...]) -> list[Entry]:
    """The models that are named, and those that the filters leave; not those that need no file."""
    from atari_zoo.catalog.catalog import entries, find

    if not names and not any(filters):
        raise ValueError(
            "which models? Name them, or narrow them down with --game, --algorithm, "
            "--collection, --run or --tag"
        )
    found = [find(name) for name in names]
    if any(filters):
        found += entries(*filters)
    if not found:
        raise ValueError("there are no such models; `atari-zoo list` shows those there are")
    return [entry for entry in found if entry.files]


def _fetch(chosen: list[Entry], kinds: list[str], folder: Path | None, dry_run: bool) -> None:
    from atari_zoo.catalog.fetching import fetch_all, wanted_files
    from atari_zoo.downloads.bars import download_bars
    from atari_zoo.downloads.cache import root

    base = folder or root()
    files = wanted_files(chosen, kinds)
    missing = [wanted for wanted in files if not (base / wanted.file.place).exists()]
    if dry_run:
        for wanted in missing:
            print(f"{wanted.entry.card.name}  {wanted.file.urls[0]}")
        names = {w.entry.card.name: w.entry.megabytes for w in missing if w.file in w.entry.files}
        print(
            f"{_counted(missing, 'file')} to fetch, {_counted(names, 'model')} of about "
            f"{sum(names.values()):,.0f} MB; {_counted(files, 'file')} with those in {base}"
        )
        return
    failed = size = 0
    with download_bars() as update:
        for wanted, error in fetch_all(
            missing, lambda w, *sizes: update(w.file.place, *sizes), folder
        ):
            if error is not None:
                failed += 1
                print(f"atari-zoo: {error}", file=sys.stderr)
                continue
            path = base / wanted.file.place
            size += path.stat().st_size
            print(f"{wanted.entry.card.name}  {path}")
    print(f"{len(missing) - failed} of {_counted(files, 'file')} fetched, {size / 1e6:.1f} MB")
    if failed:
        raise typer.Exit(1)


def _counted(things: Sized, what: str) -> str:
    return f"{len(things)} {what}{'' if len(things) == 1 else 's'}"
