"""Published models as ONNX: made once from what was fetched, and kept beside it."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

import onnx

from atari_zoo.catalog.entries import Entry
from atari_zoo.catalog.fetching import fetched
from atari_zoo.converters.cards import ModelCard
from atari_zoo.converters.convert import read, to_torch, written
from atari_zoo.converters.errors import ConversionError, naming
from atari_zoo.converters.interchange import save_onnx, write_card
from atari_zoo.converters.registry import Source
from atari_zoo.converters.reports import report
from atari_zoo.downloads.cache import root
from atari_zoo.downloads.index import FileIndex, sha256_of
from atari_zoo.downloads.transfers import Progress
from atari_zoo.games import agent_actions
from atari_zoo.games import game as find_game

MODEL_FILE = "model.onnx"
# what the file itself tells better than a catalogue
FACTS = ("source", "format", "sha256", "frames")


def converted(entry: Entry, progress: Progress | None = None) -> Path:
    """The model's ONNX file: in the package, or in the cache, fetched and converted if need be.

    progress: called with the bytes done and in all, while a file is fetched.
    Raises DownloadError if it cannot be had, ConversionError if it is no agent, ValueError if its
    actions are not its game's.
    """
    if entry.packaged is not None:
        return entry.packaged
    given, place = fetched(entry, progress), entry.folder / MODEL_FILE
    if place.is_file() and _newer(place, entry):
        return place
    try:
        source = read(given)
    except ConversionError as error:
        if not place.is_file() and _forget(entry):
            raise ConversionError(f"{error}; what was fetched is not kept") from error
        raise
    model = written(source)
    write_card(model, _card(entry.card, source, model))
    try:
        save_onnx(model, place)
    except OSError:  # the cache is full, or only to be read: for this process, then
        folder = tempfile.mkdtemp(prefix="atari-zoo-")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        place = Path(folder) / MODEL_FILE
        save_onnx(model, place)
    return place


def _forget(entry: Entry) -> bool:
    """Removes files that are as they came and never were a model, with what is known of them.

    Whether that was done: not of files with a published hash, or that somebody has changed.
    """
    index = FileIndex(root())
    records = index.records()
    for file in entry.files:
        known = records.get(file.place)
        if file.sha256 or known is None or sha256_of(file.path) != known.sha256:
            return False
    with suppress(OSError):
        for file in entry.files:
            file.path.unlink()
        index.forget(file.place for file in entry.files)
        return True
    return False


def _newer(place: Path, entry: Entry) -> bool:
    """Whether it was made from the files as they are."""
    made = place.stat().st_mtime_ns
    return all(file.path.stat().st_mtime_ns <= made for file in entry.files)


def _card(listed: ModelCard, source: Source, model: onnx.ModelProto) -> ModelCard:
    facts = {name: source.card[name] for name in FACTS if source.card.get(name)}
    network, game = to_torch(model), find_game(listed.game)
    named = agent_actions(network.actions, listed, game, listed.name)
    assumed = tuple(source.assumptions)
    card = listed.replace(**facts, action_meanings=named, assumptions=assumed)
    with naming(listed.name):
        return card.replace(verified=report(source, model, network).verified)
