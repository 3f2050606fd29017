"""The agents of github.com/floringogianu/atari-agents: DQN, M-DQN and C51, as gzipped torch files.

A file holds {"estimator_state": state dict, ...} of the AtariNet in the repository's play.py.
Its published folders are models/<kind>/<Game>/<seed>/model_<steps>.gz.
"""

from __future__ import annotations

import dataclasses
import gzip
import io
import re
import zlib
from dataclasses import dataclass
from pathlib import Path

from atari_zoo.converters.archives.zips import is_zip
from atari_zoo.converters.cards import PREPROCESSINGS, Preprocessing
from atari_zoo.converters.errors import ConversionError
from atari_zoo.converters.formats.torch_files import torch_file, weights_in
from atari_zoo.converters.pickles.torch_legacy import is_legacy
from atari_zoo.converters.registry import Probe, Source, reader
from atari_zoo.converters.weights.state_dicts import source_of

LARGEST = 1 << 28  # bytes, unzipped: the published ones take 7 million
RATIO = 100  # a file that shrank so far holds no weights
FRAME_SKIP = 4
MODERN = PREPROCESSINGS["atari-agents"]
CLASSIC = PREPROCESSINGS["atari-agents-classic"]


@dataclass(frozen=True)
class Kind:
    """What a folder of the repository holds. tag: where the zoo has no algorithm of its own."""

    algorithm: str
    preprocessing: Preprocessing
    tag: str = ""


KINDS = {
    "DQN_classic_adam": Kind("dqn", CLASSIC),
    "C51_classic": Kind("c51", CLASSIC),
    "DQN_modern": Kind("dqn", MODERN),
    "MDQN_modern": Kind("dqn", MODERN, "munchausen"),
}
PLACE = re.compile(rf"({'|'.join(KINDS)})/([A-Z][A-Za-z0-9]*)/(\d{{1,4}})/model_(\d{{1,10}})\.gz")


def _is_gzipped_torch(probe: Probe) -> bool:
    if not probe.start.startswith(b"\x1f\x8b"):
        return False
    try:
        start = zlib.decompressobj(wbits=31).decompress(probe.start, 64)
    except zlib.error:
        return False
    return (is_zip(start) and b"/data.pkl" in start) or is_legacy(start)


@reader(
    "atari-agents",
    "atari-agents model (gzipped torch file)",
    "DQN, M-DQN and C51 of floringogianu/atari-agents; other torch files under gzip",
    _is_gzipped_torch,
)
def read_atari_agents(path: Path) -> Source:
    """A `model_<steps>.gz`; nothing in it is run."""
    most = min(LARGEST, RATIO * path.stat().st_size)
    try:
        with gzip.open(path) as file:
            content = file.read(most + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise ConversionError("not a whole gzip file: damaged, or cut short") from error
    if len(content) > most:
        raise ConversionError(f"it takes more than {most} bytes when unzipped")
    inside = torch_file(io.BytesIO(content))
    if isinstance(inside.content, dict) and "estimator_state" in inside.content:
        inside = dataclasses.replace(inside, content=inside.content["estimator_state"])
    source = source_of(weights_in(inside))
    _describe(source, path)
    return source


def _describe(source: Source, path: Path) -> None:
    found = PLACE.fullmatch("/".join(path.resolve().parts[-4:]))
    if not found:
        return
    kind = KINDS[found[1]]
    source.card |= {
        "algorithm": kind.algorithm,
        "game": found[2],
        "run": found[3],
        "tag": kind.tag,
        "preprocessing": kind.preprocessing,
        "frames": int(found[4]) * FRAME_SKIP,
    }
