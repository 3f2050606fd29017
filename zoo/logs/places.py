"""Places of training logs, which tell algorithm, game and run, as projects name their files.

SeaquestNoFrameskip-v4_3_log.json below apex/   the original zoo
dqn/Pong/1/logs/log_199                         Dopamine
ppo/BreakoutNoFrameskip-v4_1/0.monitor.csv      RL Zoo
BreakoutNoFrameskip-v4__dqn_atari__1__1676/     CleanRL
runs/a2c-Pong-1/log.jsonl                       the zoo itself, with a config.json beside it
"""

from __future__ import annotations

import json
import re
from pathlib import Path, PurePath

from atari_zoo.converters.algorithms import ALGORITHMS
from atari_zoo.converters.formats.dopamine_runs import AGENTS
from atari_zoo.games import UnknownGame, game

DEPTH = 5  # folders above a log that may tell
SUFFIX = re.compile(r"NoFrameskip$|Deterministic$")
RUN = re.compile(r"[0-9]{1,3}")
CONFIG = 1 << 20  # bytes


def told_by(path: PurePath) -> dict[str, str]:
    """What a log's path tells of "algorithm", "game" and "run"; the nearest folder wins.

    >>> told_by(PurePath("zoo/apex/checkpoints/SeaquestNoFrameskip-v4_3_log.json"))
    {'algorithm': 'apex', 'game': 'Seaquest', 'run': '3'}
    """
    found: dict[str, str] = {}
    below = ""
    for part in reversed(path.parts[-DEPTH:]):
        words = [word for word in re.split(r"[-_.]+", part) if word]
        if "algorithm" not in found and (algorithm := _algorithm(part, words)):
            found["algorithm"] = algorithm
        if "game" not in found:
            found |= _game(part, words, below)
        below = part
    return {key: found[key] for key in ("algorithm", "game", "run") if key in found}


def told_beside(path: Path) -> dict[str, str]:
    """What the configuration of the zoo's own run tells, where there is one in the log's folder."""
    file = (path if path.is_dir() else path.parent) / "config.json"
    if not file.is_file() or file.stat().st_size > CONFIG:
        return {}
    try:
        config = json.loads(file.read_bytes())
        return {"game": game(config["rom"]).name, "run": str(config["seed"])}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}  # another program's: it tells nothing, and the log needs it not


def _algorithm(part: str, words: list[str]) -> str:
    known = dict.fromkeys(ALGORITHMS) | AGENTS
    for word in (part.lower(), *(word.lower() for word in words)):
        if word in known:
            return known[word] or word
    return ""


def _game(part: str, words: list[str], below: str) -> dict[str, str]:
    """The game that a part of the path names, and the run after it, or in the folder below."""
    for place, word in enumerate((part, *words)):
        try:
            name = game(SUFFIX.sub("", word)).name
        except UnknownGame:
            continue
        after = words[place:] if place else []
        run = next((word for word in after if RUN.fullmatch(word)), "")
        if not run and RUN.fullmatch(below):
            run = below
        return {"game": name} | ({"run": run} if run else {})
    return {}
