"""The package's own agents, as a table in Markdown, from their cards and logs.

python docs/tables/agents_table.py docs/agents.md    puts it into the page
"""

from __future__ import annotations

import json
import sys
from importlib import resources
from pathlib import Path

from generated_tables import bring_up_to_date

from atari_zoo.catalog.catalog import INITIAL, list_models
from atari_zoo.converters.cards import ModelCard
from atari_zoo.games import game
from atari_zoo.intervals import interval

SOURCE = "the cards"
LAYERS = ("conv1", "conv2", "conv3", "fc")
HEAD = (
    "agent",
    "million frames",
    "hours of training",
    "score, 30 episodes",
    "95 % of the mean",
    "random play, alike",
    "human-normalized",
    "living units: conv1, conv2, conv3, fc",
)


def agents_table() -> str:
    """A row for each agent: the game, how long it learned, and how well it then played.

    Hours are those of the log's row nearest to the checkpoint. Scores are measured on the weights
    as they are stored; the human-normalized one takes random play and a person's from the table
    of games.
    """
    rows = [_row(card) for card in list_models(collection="starter") if card.tag != INITIAL]
    lines = [HEAD, ("---",) * len(HEAD), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _row(card: ModelCard) -> tuple[str, ...]:
    returns = card.scores["returns"]
    mean, (low, high) = card.scores["mean"], interval(returns)
    normalized = game(card.game).normalized(mean)
    random = card.scores.get("random_mean")
    return (
        f"`{card.name}`",
        f"{card.frames / 1e6:.1f}",
        f"{_hours(card):.2f}",
        f"{mean:.1f}",
        f"{low:.1f} to {high:.1f}",
        "" if random is None else f"{random:.1f}",
        "" if normalized is None else f"{normalized:.2f}",
        _living(card),
    )


def _living(card: ModelCard) -> str:
    counts = card.scores["living_units"]
    return ", ".join(f"{counts[name][0]}/{counts[name][1]}" for name in LAYERS if name in counts)


def _hours(card: ModelCard) -> float:
    log = f"data/agents/{card.algorithm}-{card.game}-{card.run}.log.jsonl"
    lines = resources.files("atari_zoo").joinpath(log).read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    nearest = min(rows, key=lambda row: abs(row["frames"] - card.frames))
    return float(nearest["seconds"]) / 3600


if __name__ == "__main__":
    bring_up_to_date(Path(sys.argv[1]), agents_table(), SOURCE)
