"""Dopamine's checkpoints (https://github.com/google/dopamine), wherever they lie.

A run's folder, the folder of its checkpoints, a tarball of either, or one TensorFlow checkpoint
by its prefix or by any of its files.
"""

from __future__ import annotations

import tempfile
from pathlib import Path, PurePath, PurePosixPath

from atari_zoo.converters.archives.tarballs import file_names, is_tarball, members, unpack
from atari_zoo.converters.cards import PREPROCESSINGS
from atari_zoo.converters.errors import ConversionError
from atari_zoo.converters.formats.dopamine_jax import TWINS, TWINS_NOTE, read_dopamine_pickle
from atari_zoo.converters.formats.dopamine_layers import layers_in
from atari_zoo.converters.formats.dopamine_networks import policy_of
from atari_zoo.converters.formats.dopamine_runs import (
    FOLDER,
    PICKLE,
    RECORD,
    facts_in_path,
    holds_checkpoint,
    latest,
    prefix_of,
)
from atari_zoo.converters.formats.zoo_runs import is_zoo_run
from atari_zoo.converters.registry import Probe, Source, reader
from atari_zoo.converters.tf.checkpoint import open_checkpoint

LONGEST_RECORD = 1 << 16  # bytes of `checkpoint`


def _is_dopamine(probe: Probe) -> bool:
    if probe.path.is_dir():
        return holds_checkpoint(probe.names) and not is_zoo_run(probe)
    if is_tarball(probe.start):
        return holds_checkpoint([PurePosixPath(name).name for name in file_names(probe.path)])
    return prefix_of(probe.path) is not None


@reader(
    "dopamine",
    "Dopamine checkpoint (TensorFlow)",
    "DQN, C51, Rainbow and IQN of every release, by folder, prefix, file or tarball",
    _is_dopamine,
)
def read_dopamine(path: Path) -> Source:
    """The agent in a run's folder, a folder of checkpoints, a tarball, or one checkpoint.

    Of several checkpoints the latest that is whole. Raises ConversionError if there is none, or
    if it holds another network.
    """
    try:
        if path.is_dir():
            return _in_folder(path)
        prefix = prefix_of(path)
        if prefix is None:
            return _in_tarball(path)
        return _told(_of_bundle(prefix), path.absolute().parent)
    except OSError as error:
        raise ConversionError(f"it cannot be read: {error.strerror or error}") from error


def _in_folder(folder: Path) -> Source:
    names = {entry.name for entry in folder.iterdir()}
    if FOLDER in names and not holds_checkpoint(names - {FOLDER}):
        return _in_folder(folder / FOLDER)
    name = latest(names, lambda: _record(folder))
    return _told(_latest(folder / name), folder.absolute())


def _in_tarball(path: Path) -> Source:
    """One folder's checkpoint; nothing of the archive is written but into a temporary folder."""
    folders: dict[PurePosixPath, set[str]] = {}
    for member in members(path):
        folders.setdefault(member.name.parent, set()).add(member.name.name)
    held = [parent for parent, names in folders.items() if holds_checkpoint(names)]
    if len(held) > 1:
        raise ConversionError(
            f"checkpoints in {len(held)} folders ({str(held[0])!r}, {str(held[1])!r}, ...); "
            f"unpack it, and give one of them"
        )
    inside = held[0] if held else PurePosixPath()
    names = folders.get(inside, set())
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)

        def record() -> str:
            unpack(path, [inside / RECORD], folder)
            return _record(folder)

        name = latest(names, record)
        whole = {name, f"{name}.index"} | {x for x in names if x.startswith(f"{name}.data-")}
        unpack(path, {inside / file for file in whole}, folder)
        return _told(_latest(folder / name), path.absolute().parent / inside)


def _record(folder: Path) -> str:
    """TensorFlow's note of the latest checkpoint."""
    path = folder / RECORD
    if not path.is_file():
        return ""
    with path.open("rb") as file:
        return file.read(LONGEST_RECORD).decode("utf-8", "replace")


def _latest(checkpoint: Path) -> Source:
    """The agent in the checkpoint that was chosen."""
    pickled = checkpoint.name.startswith(PICKLE)
    source = read_dopamine_pickle(checkpoint) if pickled else _of_bundle(checkpoint)
    source.notes.insert(0, f"{checkpoint.name!r} is the latest checkpoint")
    return source


def _of_bundle(prefix: Path) -> Source:
    try:
        found = layers_in(open_checkpoint(prefix))
        policy = policy_of(found.layers)
    except ConversionError as error:
        if str(error).startswith(prefix.name):
            raise
        raise ConversionError(f"{prefix.name}: {error}") from error
    card = {
        "algorithm": policy.algorithm,
        "action_rule": "argmax",
        "preprocessing": PREPROCESSINGS["dopamine"],
    }
    return Source(
        policy.network,
        card,
        written_by=f"Dopamine (TensorFlow, {found.release} layers)",
        flatten="H, W, C",
        notes=[found.note, *policy.notes],
    )


def _told(source: Source, folder: PurePath) -> Source:
    """What was read, with what the path of its folder tells where that agrees with it."""
    by_path, algorithm = facts_in_path(folder), source.card.get("algorithm")
    if algorithm in TWINS and by_path.get("algorithm") in TWINS:
        algorithm = by_path["algorithm"]
        source.notes = [note for note in source.notes if note != TWINS_NOTE]
    elif algorithm == "c51" and TWINS_NOTE not in source.notes:
        source.notes.append(TWINS_NOTE)
    if by_path.get("algorithm") == algorithm:
        source.card |= by_path
    return source
