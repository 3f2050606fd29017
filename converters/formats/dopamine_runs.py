"""Dopamine's runs: where their checkpoints are, which is the latest, and whose they are.

The names are those of dopamine/discrete_domains/checkpointer.py and run_experiment.py:
`checkpoints/` with `tf_ckpt-N.*` or, from JAX, `ckpt.N`, and a sentinel for each that is whole.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from pathlib import Path, PurePath

from atari_zoo.converters.errors import ConversionError
from atari_zoo.converters.tf.table import MAGIC

FOLDER = "checkpoints"
RECORD = "checkpoint"  # TensorFlow's note of the latest
BUNDLE, PICKLE = "tf_ckpt-", "ckpt."
INDEX = re.compile(r"tf_ckpt-(0|[1-9][0-9]{0,8})\.index")
PICKLED = re.compile(r"ckpt\.(0|[1-9][0-9]{0,8})")
SENTINEL = re.compile(r"sentinel_checkpoint_complete\.(0|[1-9][0-9]{0,8})")
FILE_OF_BUNDLE = re.compile(r"(.+)\.(?:index|meta|data-[0-9]{5}-of-[0-9]{5})")
RECORDED = re.compile(
    r'^model_checkpoint_path: "(?:[^"]*/)?tf_ckpt-(0|[1-9][0-9]{0,8})"', re.MULTILINE
)

# as Dopamine's folders are called, those of its published agents too -> the zoo's names
AGENTS = {
    "dqn": "dqn",
    "c51": "c51",
    "rainbow": "rainbow",
    "iqn": "iqn",
    "quantile": "qrdqn",
    "implicit_quantile": "iqn",
}
DEPTH = 4  # folders above a checkpoint that may tell its agent: agent/Game/run/checkpoints
GAME, RUN = re.compile(r"[A-Z][A-Za-z0-9]*"), re.compile(r"[1-9][0-9]?")


def holds_checkpoint(names: Collection[str]) -> bool:
    """Whether a folder of these names holds a checkpoint, or the folder of them."""
    sentinel = any(SENTINEL.fullmatch(name) for name in names)
    return any(
        name == FOLDER or name.startswith(BUNDLE) or (sentinel and PICKLED.fullmatch(name))
        for name in names
    )


def latest(names: Collection[str], record: Callable[[], str] = str) -> str:
    """The latest of the checkpoints in a folder of these names: `tf_ckpt-N`, or `ckpt.N`.

    The largest with a sentinel; else the one that `checkpoint` names; else the largest. Beside
    TensorFlow's, a pickle `ckpt.N` holds no weights. record: gives the text of `checkpoint`.
    Raises ConversionError if there is none.
    """
    sentinels = _numbers(SENTINEL, names)
    if bundles := _numbers(INDEX, names):
        whole = bundles & sentinels or bundles & {int(n) for n in RECORDED.findall(record())}
        return f"{BUNDLE}{max(whole or bundles)}"
    if pickles := _numbers(PICKLED, names):
        return f"{PICKLE}{max(pickles & sentinels or pickles)}"
    found = ", ".join(repr(name) for name in sorted(names)[:3]) or "nothing"
    more = ", ..." if len(names) > 3 else ""
    raise ConversionError(
        f"no checkpoint of Dopamine: 'tf_ckpt-N.index' or 'ckpt.N' was expected, in it or in its "
        f"folder '{FOLDER}'; it has {found}{more}"
    )


def prefix_of(path: Path) -> Path | None:
    """The prefix of the bundle that a path names: the prefix itself, or one of its files.

    None if it names none: neither has its index the magic, nor are there shards beside it.
    """
    named = FILE_OF_BUNDLE.fullmatch(path.name) if path.is_file() else None
    if not path.name or (path.exists() and named is None):
        return None
    prefix = path if named is None else path.with_name(named[1])
    index = prefix.with_name(f"{prefix.name}.index")
    if not index.is_file():
        return None
    shards = any(entry.name.startswith(f"{prefix.name}.data-") for entry in path.parent.iterdir())
    return prefix if shards or _ends_as_table(index) else None


def facts_in_path(folder: PurePath) -> dict[str, str]:
    """What the path of a checkpoint's folder tells: "algorithm", and perhaps "game" and "run".

    >>> facts_in_path(PurePath("lucid/rainbow/Pong/1"))
    {'algorithm': 'rainbow', 'game': 'Pong', 'run': '1'}
    """
    parts = folder.parts[:-1] if folder.name == FOLDER else folder.parts
    match parts:
        case (*_, agent, game, run) if (
            agent in AGENTS and GAME.fullmatch(game) and RUN.fullmatch(run)
        ):
            return {"algorithm": AGENTS[agent], "game": game, "run": run}
    named = [AGENTS[part] for part in folder.parts[-DEPTH:] if part in AGENTS]
    return {"algorithm": named[-1]} if named else {}


def _numbers(pattern: re.Pattern[str], names: Collection[str]) -> set[int]:
    return {int(found[1]) for name in names if (found := pattern.fullmatch(name))}


def _ends_as_table(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(max(path.stat().st_size - len(MAGIC), 0))
        return file.read(len(MAGIC)) == MAGIC
