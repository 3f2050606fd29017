"""`atari-zoo fetch`, `atari-zoo cache` and `atari-zoo mirror`."""

from __future__ import annotations

import sys
from collections.abc import Sized
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from atari_zoo.catalog.entries import Entry
from atari_zoo.cli.options import Algorithm, Collection, DryRun, Game, Json, Run, Tag
from atari_zoo.cli.tables import print_facts, print_table
from atari_zoo.cli.verbs import verb

if TYPE_CHECKING:
    from atari_zoo.catalog.fetching import Wanted
    from atari_zoo.downloads.cache import CachedModel

Kinds = Annotated[
    list[str] | None,
    typer.Option("--with", help="What was published beside it too: log, play, video ..."),
]


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
    as_json: Json = False,
) -> None:
    """Fetches models into the cache; what is there already is not asked for again."""
    chosen = _chosen(names or [], (game, algorithm, run, tag, collection))
    _fetch(chosen, kinds or [], None, dry_run, as_json)


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
    as_json: Json = False,
) -> None:
    """Lays out a folder that any web server can serve to others: `ATARI_ZOO_MIRROR=https://...`."""
    chosen = _chosen(names or [], (game, algorithm, run, tag, collection))
    _fetch(chosen, kinds or [], folder, dry_run, as_json)


@verb(
    "atari-zoo cache",
    "atari-zoo cache --verify",
    "atari-zoo cache 'uber:*Pong*' --prune",
    "atari-zoo cache 'play:*' --prune",
)
def cache(
    matching: Annotated[
        str, typer.Argument(help="A part of the names, or a pattern such as 'uber:*Pong*'.")
    ] = "",
    verify: Annotated[bool, typer.Option("--verify", help="Read every file again.")] = False,
    prune: Annotated[bool, typer.Option("--prune", help="Remove these models.")] = False,
    forget: Annotated[
        bool, typer.Option("--forget", help="Accept another content when fetched again.")
    ] = False,
    as_json: Json = False,
) -> None:
    """What is in the cache: models and kept play, sizes, when they came."""
    from atari_zoo.downloads import cache as kept

    if forget:
        places = list(map(str, kept.forget(matching)))
        if places or as_json:
            print_facts({"forgotten": places}, as_json, *(f"forgot {place}" for place in places))
        return
    models, play = kept.cached_models(matching), kept.cached_play(matching)
    both = [*models, *play]
    text = _counted(models, "model") + (f", {_counted(play, 'recording')}" if play else "")
    text = f"{text}, {sum(each.size for each in both) / 1e6:.1f} MB"
    facts = {
        "folder": str(kept.root()),
        "models": [_facts(model) for model in models],
        "play": [_facts(recording) for recording in play],
    }
    if prune:
        _ask(matching, text)
        for each in both:
            kept.prune(each)
        lines = [f"removed {each.name}" for each in both]
        print_facts(facts, as_json, *lines, f"{text} removed from {kept.root()}")
    elif verify:
        damaged = [line for model in models for line in kept.damaged(model)]
        for line in damaged:
            print(line, file=sys.stderr)
        damage = _counted(damaged, "damaged file")
        print_facts(facts | {"damaged": damaged}, as_json, f"{text}: {damage}")
        if damaged:
            print(
                "`atari-zoo cache MODEL --prune` removes a model; fetch it again", file=sys.stderr
            )
            raise typer.Exit(1)
    elif as_json:
        print_facts(facts, as_json)
    else:
        rows = [
            (each.name, str(len(each.files)), f"{each.size / 1e6:.1f}", each.fetched)
            for each in both
        ]
        print_table(rows, "model or play", "files", "MB", "since")
        print(f"{text} in {kept.root()}")


def _ask(matching: str, text: str) -> None:
    """Before all of the cache is removed; raises ValueError where nobody can answer."""
    if matching:
        return
    if not sys.stdin.isatty():
        raise ValueError(f"{text} would be removed: name a part of them, or '*' for all")
    typer.confirm(f"Remove all of them, {text}?", abort=True)


def _facts(model: CachedModel) -> dict[str, Any]:
    facts = {"name": model.name, "bytes": model.size, "fetched": model.fetched}
    return facts | {"files": [str(file) for file in model.files]}


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


def _fetch(
    chosen: list[Entry], kinds: list[str], folder: Path | None, dry_run: bool, as_json: bool
) -> None:
    from atari_zoo.catalog.fetching import wanted_files
    from atari_zoo.downloads.cache import root

    base = folder or root()
    files = wanted_files(chosen, kinds)
    missing = [wanted for wanted in files if not (base / wanted.file.place).exists()]
    if dry_run:
        names = {w.entry.card.name: w.entry.megabytes for w in missing if w.file in w.entry.files}
        facts = [{"name": w.entry.card.name, "url": w.file.urls[0]} for w in missing]
        print_facts(
            {"missing": facts, "megabytes": sum(names.values()), "folder": str(base)},
            as_json,
            *(f"{fact['name']}  {fact['url']}" for fact in facts),
            f"{_counted(missing, 'file')} to fetch, {_counted(names, 'model')} of about "
            f"{sum(names.values()):,.0f} MB; {_counted(files, 'file')} with those in {base}",
        )
        return
    fetched = _fetched(missing, folder, as_json)
    size = sum(path.stat().st_size for _, path in fetched)
    print_facts(
        {"fetched": [{"name": name, "path": str(path)} for name, path in fetched]}
        | {"failed": len(missing) - len(fetched), "bytes": size},
        as_json,
        f"{len(fetched)} of {_counted(files, 'file')} fetched, {size / 1e6:.1f} MB",
    )
    if len(fetched) < len(missing):
        raise typer.Exit(1)


def _fetched(missing: list[Wanted], folder: Path | None, as_json: bool) -> list[tuple[str, Path]]:
    """The files that came, each with its model's name; a line for each, as it comes or fails."""
    from atari_zoo.catalog.fetching import fetch_all
    from atari_zoo.downloads.bars import download_bars
    from atari_zoo.downloads.cache import root

    found: list[tuple[str, Path]] = []
    with download_bars() as update:
        for wanted, error in fetch_all(
            missing, lambda w, *sizes: update(w.file.place, *sizes), folder
        ):
            if error is not None:
                print(f"atari-zoo: {error}", file=sys.stderr)
                continue
            found.append((wanted.entry.card.name, (folder or root()) / wanted.file.place))
            if not as_json:
                print(f"{found[-1][0]}  {found[-1][1]}")
    return found


def _counted(things: Sized, what: str) -> str:
    return f"{len(things)} {what}{'' if len(things) == 1 else 's'}"
