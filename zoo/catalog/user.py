"""A user's own rows of the catalogue: the JSON file that `ATARI_ZOO_CATALOG` names.

{
 "models": [
  {"name": "lab:dqn/Pong/7@best", "urls": ["https://lab.example/pong.onnx"], "sha256": "9f86..."}
 ],
 "collections": [...]      as in the zoo's own data/collections.json
}

A row needs a name and urls; it may have sha256, files (more urls, a list for each further file),
format, preprocessing, action_rule, licence, source, frames. A list of rows alone will do too.
"""

from __future__ import annotations

import json
import os
import re
from functools import cache
from pathlib import Path
from typing import Any

from atari_zoo.catalog.entries import Entry, Listed, RemoteFile, model_place
from atari_zoo.catalog.groups import ModelGroup
from atari_zoo.catalog.names import Name
from atari_zoo.catalog.published import groups
from atari_zoo.converters.algorithms import ALGORITHMS
from atari_zoo.converters.cards import ACTION_RULES, PREPROCESSINGS, ModelCard
from atari_zoo.games import game as find_game

COLLECTION = "user"  # of rows whose names have none
FIELDS = "name urls files sha256 format preprocessing action_rule licence source frames".split()


class BadCatalog(ValueError):
    """A user's catalogue that cannot be used; the message says which row, and why."""


def user_catalog() -> tuple[ModelGroup | Listed, ...]:
    """What the user's file lists; nothing if there is none.

    Raises BadCatalog if it cannot be read, or a row is not right.
    """
    given = os.environ.get("ATARI_ZOO_CATALOG")
    if not given:
        return ()
    path = Path(given).expanduser()
    try:
        return _read(path, path.stat().st_mtime_ns)
    except OSError as error:
        raise BadCatalog(f"ATARI_ZOO_CATALOG: {path}: {error.strerror}") from error


@cache
def _read(path: Path, changed: int) -> tuple[ModelGroup | Listed, ...]:
    try:
        table = json.loads(path.read_text())
    except ValueError as error:
        raise BadCatalog(f"{path}: not a JSON file: {error}") from error
    if isinstance(table, list):
        table = {"models": table}
    if not isinstance(table, dict) or not set(table) <= {"about", "games", "collections", "models"}:
        raise BadCatalog(f"{path}: expected a list of models, or 'models' and 'collections'")
    found: list[ModelGroup | Listed] = []
    for row in table.get("collections", []):
        try:
            found += [_checked(group) for group in groups(row, table.get("games", {}))]
        except (TypeError, ValueError, AttributeError) as error:
            name = row.get("name") if isinstance(row, dict) else row
            raise BadCatalog(f"{path}: collection {name!r}: {error}") from error
    entries: dict[str, list[Entry]] = {}
    models = table.get("models", [])
    names = {card.name for group in found for card in group.listing} if models else set()
    for number, row in enumerate(models, 1):
        try:
            entry = _entry(row)
            if entry.card.name in names:
                raise ValueError("there is one of that name already")
        except ValueError as error:
            name = f" ({row['name']!r})" if isinstance(row, dict) and "name" in row else ""
            raise BadCatalog(f"{path}: model {number}{name}: {error}") from error
        names.add(entry.card.name)
        entries.setdefault(entry.card.collection, []).append(entry)
    return (*found, *(Listed(name, tuple(rows)) for name, rows in entries.items()))


def _entry(row: Any) -> Entry:
    """Raises ValueError with the reason where a row is not right."""
    if not isinstance(row, dict):
        raise ValueError(f"expected an object with a name and urls, got {row!r}")
    if unknown := sorted(set(row) - set(FIELDS)):
        raise ValueError(f"no field '{unknown[0]}'; there are {', '.join(FIELDS)}")
    name = Name.parse(str(row.get("name", "")))
    if name is None:
        raise ValueError("a name is [collection:]algorithm/Game/run[@tag], as in lab:dqn/Pong/1")
    game = find_game(name.game)
    card = ModelCard(
        _one_of(name.algorithm, ALGORITHMS, "algorithm"),
        game.name,
        name.run,
        name.tag,
        game.actions,
        _one_of(
            row.get("action_rule", ALGORITHMS[name.algorithm].action_rule),
            ACTION_RULES,
            "action rule",
        ),
        collection=name.collection or COLLECTION,
        preprocessing=PREPROCESSINGS[
            _one_of(
                row.get("preprocessing", ALGORITHMS[name.algorithm].preprocessing),
                PREPROCESSINGS,
                "preprocessing",
            )
        ],
        **{key: row[key] for key in ("source", "format", "licence", "frames") if key in row},
    )
    folder = model_place(card, card.tag)
    files = [_file(folder, row.get("urls"), row.get("sha256", ""))]
    files += [_file(folder, urls) for urls in row.get("files", [])]
    return Entry(card, tuple(files))


def _file(folder: str, urls: Any, sha256: Any = "") -> RemoteFile:
    if not isinstance(urls, list) or not urls or not all(isinstance(url, str) for url in urls):
        raise ValueError("urls is a list of at least one address")
    for url in urls:
        if not re.match(r"[a-z][a-z0-9+.-]*://.|/", url):
            raise ValueError(f"'{url}' is no address: give https://..., s3://... or a full path")
    if sha256 and not re.fullmatch(r"[0-9a-f]{64}", str(sha256)):
        raise ValueError(f"sha256 is 64 hexadecimal digits in small letters, not {sha256!r}")
    name = re.split(r"[?#]", urls[0])[0].rpartition("/")[2]
    if not re.fullmatch(r"\w[^\\]*", name):
        raise ValueError(f"'{urls[0]}' does not end in a file's name")
    return RemoteFile(f"{folder}/{name}", tuple(urls), sha256)


def _one_of(name: Any, known: Any, what: str) -> Any:
    if name not in known:
        raise ValueError(f"no {what} '{name}'; there are {', '.join(known)}")
    return name


def _checked(group: ModelGroup) -> ModelGroup:
    """Raises ValueError where a collection names what there is not."""
    for algorithm in group.algorithms:
        _one_of(algorithm, ALGORITHMS, "algorithm")
    for name in group.games:
        find_game(name)
    _one_of(group.preprocessing, PREPROCESSINGS, "preprocessing")
    if group.action_rule:
        _one_of(group.action_rule, ACTION_RULES, "action rule")
    if not all("{" in template or "://" in template for template in group.files):
        raise ValueError("its files are templates such as {algorithm}/{game}/{run}/model.pb")
    return group
