"""Play in int8 beside float32, as a table in Markdown: agreement and score of the package's agents.

python docs/tables/int8_table.py docs/bench.md    plays what is not in int8_play.json, writes both

Each agent's row is kept as soon as it is there; it is played anew where its weights, or what makes
int8 of them, are others.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from generated_tables import bring_up_to_date

import atari_zoo as zoo
from atari_zoo.catalog.catalog import list_models
from atari_zoo.converters.cards import ModelCard
from atari_zoo.intervals import interval
from atari_zoo.play.int8_calibration import LEAST, calibrated
from atari_zoo.play.int8_models import int8_key

SOURCE = "play in int8"
KEPT = Path(__file__).parent / "int8_play.json"
EPISODES, SEED = 10, 2_000_000  # far from the games of the calibration
HEAD = (
    "agent",
    "same action as float32",
    "by games",
    "score in int8, 10 episodes",
    "95 % of the mean",
    "in float32, 30 episodes",
    "95 % of the mean",
    "",
)


def int8_table(rows: dict[str, dict[str, Any]]) -> str:
    """A row for each agent that was played; the float32 scores are of the cards."""
    cards = [card for card in agents() if card.name in rows]
    lines = [HEAD, ("---",) * len(HEAD), *(_row(card, rows[card.name]) for card in cards)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def agents() -> list[ModelCard]:
    """Those of the package, the last checkpoints of their runs."""
    return [card for card in list_models(collection="starter") if not card.tag]


def _row(card: ModelCard, row: dict[str, Any]) -> tuple[str, ...]:
    shares, returns, plain = row["shares"], row["returns"], card.scores["returns"]
    low, high = interval(plain)
    mean = sum(returns) / len(returns)
    agreement = sum(shares) / len(shares)
    remarks = ["refused unless forced"] * (agreement < LEAST)
    remarks += ["the score is outside"] * (not low <= mean <= high)
    return (
        f"`{card.name}`",
        f"{agreement:.1%}",
        f"{min(shares):.1%} to {max(shares):.1%}",
        f"{mean:.1f}",
        "{:.1f} to {:.1f}".format(*interval(returns)),
        f"{sum(plain) / len(plain):.1f}",
        f"{low:.1f} to {high:.1f}",
        "; ".join(remarks),
    )


def played(name: str) -> dict[str, Any]:
    """An agent's agreement, and its returns in int8."""
    network = zoo.load(name)
    shares = calibrated(network, force=True).shares
    found = zoo.rollout(
        network, episodes=EPISODES, envs=EPISODES, seed=SEED, dtype="int8", force_int8=True
    )
    return {"key": int8_key(network), "shares": shares, "returns": found.returns.tolist()}


def main(page: Path) -> None:
    """Plays what is missing, an agent at a time, and writes the table each time."""
    rows = json.loads(KEPT.read_text()) if KEPT.exists() else {}
    for card in agents():
        if rows.get(card.name, {}).get("key") != int8_key(zoo.load(card.name)):
            rows[card.name] = played(card.name)
            KEPT.write_text(json.dumps(rows, indent=1) + "\n")
        bring_up_to_date(page, int8_table(rows), SOURCE)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
