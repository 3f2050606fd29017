"""The page of a published model: the README.md that the Hugging Face Hub reads and shows.

Its head is the Hub's metadata (https://huggingface.co/docs/hub/model-cards), its body is for
people. All of it follows from the model's card.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from atari_zoo.converters.algorithms import ALGORITHMS, UNKNOWN
from atari_zoo.converters.cards import ModelCard
from atari_zoo.games import UnknownGame, game, score_source
from atari_zoo.intervals import interval

# the Hub's names of licences; it calls the others "other"
LICENCES = frozenset(
    "apache-2.0 mit bsd bsd-2-clause bsd-3-clause isc mpl-2.0 unlicense gpl-2.0 gpl-3.0 lgpl-3.0 "
    "agpl-3.0 cc0-1.0 cc-by-4.0 cc-by-sa-4.0 cc-by-nc-4.0 cc-by-nc-sa-4.0 unknown".split()
)
# fields of Preprocessing, and what they say
PREPROCESSING = {
    "frame_skip": "emulator frames an action is repeated for",
    "grey": "how colours become grey",
    "max_pool": "colours that the maximum of the last two frames is taken in",
    "resize": "how a frame becomes 84x84",
    "rounding": "to bytes, or none",
    "stack": "frames in an observation, newest last",
    "stack_start": "what stands before an episode's first frame",
    "reset": "whose rules an episode begins by",
    "noops": "no-ops at its start: fewer than this, or 1 to this many",
    "fire_reset": "FIRE is pressed at its start, in games that have it",
    "fire_after_life_loss": "and after each lost life",
    "life_loss_ends": "whether an episode ends with a life for the agent",
    "sticky": "probability that the emulator repeats the action before",
    "max_frames": "emulator frames in an episode",
}

Row = Sequence[object]


def metadata(card: ModelCard) -> dict[str, Any]:
    """The Hub's metadata, but for the score, as `huggingface_hub.ModelCardData` takes them."""
    licence = card.licence.lower() or "unknown"
    named = {"license": licence}
    if licence not in LICENCES:
        named = {"license": "other", "license_name": re.sub(r"[^a-z0-9.]+", "-", licence)}
    tags = ["reinforcement-learning", "atari", "onnx", card.algorithm, card.game]
    return named | {
        "library_name": "atari-zoo",
        "pipeline_tag": "reinforcement-learning",
        "tags": [tag for tag in tags if tag not in ("", UNKNOWN.name)],
    }


def model_page(card: ModelCard, parameters: int, files: Mapping[str, str], repo: str) -> str:
    """The page's body in Markdown.

    files: names and SHA-256 sums of what is beside it. repo: as user/name, or "" where unknown.
    """
    seen = asdict(card.preprocessing)
    sections = {
        "How to load it": _loading(repo),
        "How well it plays": _scores(card),
        "What it sees": _table(
            ["preprocessing", seen["name"], ""],
            [(field, seen[field], words) for field, words in PREPROCESSING.items()],
        ),
        "What it does": _acting(card),
        "Where it came from": _origin(card),
        "Files": _table(["file", "SHA-256"], [(name, f"`{sum}`") for name, sum in files.items()]),
    }
    parts = [f"# {_line(card.name)}", _introduction(card, parameters)]
    parts += [f"## {title}\n\n{text}" for title, text in sections.items()]
    return "\n\n".join(parts) + "\n"


def mean_score(card: ModelCard) -> float | None:
    """The mean return that the card tells, if it does."""
    mean = card.scores.get("mean")
    return float(mean) if isinstance(mean, int | float) else None


def _introduction(card: ModelCard, parameters: int) -> str:
    of = ALGORITHMS.get(card.algorithm)
    what = f"An agent that {of.title} trained and" if of else "An agent"
    plays = f" that plays {card.game}" if card.game else " that plays a game it does not name"
    trained = f" It was trained for {card.frames:,} emulator frames." if card.frames else ""
    return (
        f"{what}{plays} on the Atari 2600: one neural network of {parameters:,} parameters, from "
        f"four stacked 84x84 frames to one number for each action.{trained}"
    )


def _loading(repo: str) -> str:
    place = f'hf_hub_download("{repo}", "model.onnx")' if repo else '"model.onnx"'
    fetch = "from huggingface_hub import hf_hub_download\n\n" if repo else ""
    return (
        f"```python\nimport atari_zoo as zoo\n{fetch}"
        f"net = zoo.load({place})  # a torch.nn.Module\n"
        "print(zoo.rollout(net, episodes=10, seed=0).returns.mean())\n```\n\n"
        "`model.onnx` holds the network and its card, `model.safetensors` the state dict of the "
        "torch module, `card.json` the card alone."
    )


def _scores(card: ModelCard) -> str:
    mean, returns = mean_score(card), card.scores.get("returns")
    if mean is None:
        return "It was not measured."
    rows: list[Row] = [("mean return", f"{mean:.2f}")]
    if isinstance(returns, list) and len(returns) > 1:
        low, high = interval(returns)
        rows.append(("95 % interval of the mean (bootstrap)", f"{low:.2f} to {high:.2f}"))
    rows += [(name, card.scores[name]) for name in ("episodes", "seed") if name in card.scores]
    return _table(["score", ""], rows + _references(card))


def _references(card: ModelCard) -> list[Row]:
    try:
        of = game(card.game)
    except UnknownGame:
        return []
    known = [("random play", of.random), ("a person", of.human)]
    rows: list[Row] = [(who, f"{score:g}") for who, score in known if score is not None]
    return rows + ([("these two from", score_source())] if rows else [])


def _acting(card: ModelCard) -> str:
    rules = {
        "argmax": "It takes the action of the largest output.",
        "sample": "It samples its action from the softmax of the outputs.",
        "epsilon-greedy": "It takes the action of the largest output, but with probability "
        f"{card.epsilon:g} any.",
    }
    meanings = ", ".join(f"`{_line(name)}`" for name in card.action_meanings) or "not stated"
    return f"{rules.get(card.action_rule, '')} The outputs, in order: {meanings}.".strip()


def _origin(card: ModelCard) -> str:
    told = {
        "source": card.source,
        "its format": card.format,
        "its SHA-256": card.sha256 and f"`{card.sha256}`",
        "licence": card.licence,
    }
    rows = [(name, words or "not stated") for name, words in told.items()]
    return _table(["", ""], rows)


def _table(head: Row, rows: Iterable[Row]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(_line(cell) for cell in line)} |" for line in lines)


def _line(text: object) -> str:
    """In one cell, whatever a card says."""
    words = {True: "yes", False: "no"}[text] if isinstance(text, bool) else str(text)
    return " ".join(words.split()).replace("|", "\\|")
