"""Pages of published models: the README.md that the Hugging Face Hub reads and shows.

Its head is the Hub's metadata (https://huggingface.co/docs/hub/model-cards), its body is for
people: the template `web/model_page.md`. All of it follows from the model's card, whose texts stay
text: whatever the template writes is escaped, but for what is of the class `Markdown`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined

from atari_zoo.converters.algorithms import ALGORITHMS, UNKNOWN
from atari_zoo.converters.cards import ModelCard, Preprocessing
from atari_zoo.converters.files import encodable
from atari_zoo.games import UnknownGame, game, score_source
from atari_zoo.intervals import FEW, interval

# the Hub's names of licences; it calls the others "other"
LICENCES = frozenset(
    "apache-2.0 mit bsd bsd-2-clause bsd-3-clause isc mpl-2.0 unlicense gpl-2.0 gpl-3.0 lgpl-3.0 "
    "agpl-3.0 cc0-1.0 cc-by-4.0 cc-by-sa-4.0 cc-by-nc-4.0 cc-by-nc-sa-4.0 unknown".split()
)
PARTS = {f.name: f.metadata["help"] for f in fields(Preprocessing) if f.name != "name"}

Cells = Sequence[object]
INSTALL = "pip install 'atari-zoo[hub]'"
REPLAY = "replay.mp4"  # the name that the Hub plays
# what Markdown, HTML or the Hub's formulas take for more than text, and what ends a heading
MARKUP = re.compile(r"[\\`*_\[\]<>&|$~]|#(?=#*$)")


class Markdown(str):
    """Text that is Markdown already."""


@dataclass(frozen=True)
class ReplayMovie:
    """A movie of play: its file, how many steps it shows, what was scored in them, and whether that
    is a whole episode."""

    path: Path
    steps: int
    score: float
    whole: bool


def metadata(card: ModelCard) -> dict[str, Any]:
    """The Hub's metadata, but for the score, as `huggingface_hub.ModelCardData` takes them."""
    licence = encodable(card.licence).lower() or "unknown"
    named = {"license": licence}
    if licence not in LICENCES:
        named = {"license": "other", "license_name": re.sub(r"[^a-z0-9.]+", "-", licence)}
    tags = ["deep-reinforcement-learning", "reinforcement-learning", "atari", "onnx"]
    tags += [card.algorithm, card.game, environment_id(card)]
    return named | {
        "library_name": "atari-zoo",
        "pipeline_tag": "reinforcement-learning",
        "tags": [encodable(tag) for tag in tags if tag not in ("", UNKNOWN.name)],
    }


def environment_id(card: ModelCard) -> str:
    """Gymnasium's id of the game as the agent plays it, "" where the game is not known: NoFrameskip
    where the emulator does as it is told, as the Hub's pages have it; ALE's own, of version 5,
    where it repeats some actions."""
    try:
        name = game(card.game).name
    except UnknownGame:
        return ""
    return f"ALE/{name}-v5" if card.preprocessing.sticky else f"{name}NoFrameskip-v4"


def model_page(
    card: ModelCard,
    parameters: int,
    files: Mapping[str, str],
    repo: str,
    replay: ReplayMovie | None = None,
    trained_with: Mapping[str, Any] = MappingProxyType({}),
) -> str:
    """The page's body in Markdown.

    files: names and SHA-256 sums of what is beside it. repo: as user/name, or "" where unknown.
    replay: a movie beside it. trained_with: hyper-parameters by name.
    """
    algorithm = ALGORITHMS.get(card.algorithm)
    seen = vars(card.preprocessing)
    facts = [(Markdown(name), seen[name], words) for name, words in PARTS.items()]
    template = _environment().get_template("model_page.md")
    body = template.render(
        card=card,
        parameters=parameters,
        trainer=algorithm.title if algorithm else "",
        repo=repo,
        scores=_scores(card),
        preprocessing=facts,
        rule=_rule(card),
        origin=_origin(card),
        weights="model.safetensors" in files,
        files=[(name, code_span(digest)) for name, digest in files.items()],
        replay=replay,
        environment=environment_id(card),
        install=Markdown(INSTALL),
        trained_with=[
            (code_span(str(name).replace("|", "\\|")), value)
            for name, value in trained_with.items()
        ],
    )
    return encodable(body).rstrip() + "\n"


def escaped(value: object) -> str:
    """In one line of Markdown, and in a table's cell, what reads as the value does."""
    if isinstance(value, Markdown):
        return value
    words = {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)
    return MARKUP.sub(r"\\\g<0>", " ".join(words.split()))


def code_span(text: str) -> Markdown:
    """The text as code, between more backticks than it has in a row."""
    words = " ".join(text.split())
    ticks = "`" * (1 + max(map(len, re.findall("`+", words)), default=0))
    space = " " if "`" in words else ""
    return Markdown(f"{ticks}{space}{words}{space}{ticks}")


def mean_score(card: ModelCard) -> float | None:
    """The mean return that the card tells, if it does."""
    mean = card.scores.get("mean")
    return float(mean) if isinstance(mean, int | float) else None


def score_words(card: ModelCard) -> str | None:
    """The mean return and its standard deviation between episodes, as the Hub's pages have it."""
    mean, spread = mean_score(card), card.scores.get("std")
    returns = card.scores.get("returns")
    if mean is None:
        return None
    if spread is None and isinstance(returns, list) and len(returns) > 1:
        spread = float(np.std(returns, ddof=1))
    return f"{mean:.2f} +/- {spread:.2f}" if isinstance(spread, int | float) else f"{mean:.2f}"


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("atari_zoo", "web"),
        finalize=escaped,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"code": code_span, "python": lambda text: Markdown(json.dumps(text))}
    return environment


def _scores(card: ModelCard) -> list[Cells]:
    mean, returns = mean_score(card), card.scores.get("returns")
    if mean is None:
        return []
    rows: list[Cells] = [("mean return", f"{mean:.2f}")]
    words = score_words(card) or ""
    if "+/-" in words:
        rows.append(("standard deviation between episodes", words.partition("+/- ")[2]))
    if isinstance(returns, list) and len(returns) > 1:
        low, high = interval(returns)
        name = "95 % interval of the mean (bootstrap)"
        if len(returns) < FEW:
            name = "lowest and highest return"
        rows.append((name, f"{low:.2f} to {high:.2f}"))
    rows += [(name, card.scores[name]) for name in ("episodes", "seed") if name in card.scores]
    return rows + _references(card)


def _references(card: ModelCard) -> list[Cells]:
    try:
        played = game(card.game)
    except UnknownGame:
        return []
    known = [("random play", played.random), ("a person", played.human)]
    rows: list[Cells] = [(who, f"{score:g}") for who, score in known if score is not None]
    return rows + ([("these two from", score_source())] if rows else [])


def _rule(card: ModelCard) -> str:
    rules = {
        "argmax": "It takes the action of the largest output.",
        "sample": "It samples its action from the softmax of the outputs.",
        "epsilon-greedy": "It takes the action of the largest output, but with probability "
        f"{card.epsilon:g} any.",
    }
    return rules.get(card.action_rule, "")


def _origin(card: ModelCard) -> list[Cells]:
    facts = {
        "source": card.source,
        "its format": card.format,
        "its SHA-256": card.sha256 and code_span(card.sha256.replace("|", "\\|")),
        "licence": card.licence,
    }
    return [(name, words or "not stated") for name, words in facts.items()]
