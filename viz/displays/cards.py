"""Cards and networks in a notebook: who the agent is, and how it is played."""

from __future__ import annotations

from atari_zoo.converters.cards import ModelCard
from atari_zoo.converters.displays import display
from atari_zoo.viz.displays.markup import facts_html


@display("ModelCard")
def card_display(card: ModelCard) -> str:
    """A table of what the card tells."""
    scores, rule = card.scores, card.action_rule
    mean = f"{scores['mean']:.1f}" if "mean" in scores else ""
    episodes = f", {scores['episodes']} episodes" if "episodes" in scores else ""
    return facts_html(
        card.name,
        {
            "algorithm": card.algorithm,
            "game": card.game,
            "frames of training": f"{card.frames:,}" if card.frames else "",
            "mean score": mean and mean + episodes,
            "acts by": f"{rule}, {card.epsilon:g} of actions at random"
            if rule == "epsilon-greedy"
            else rule,
            "actions": " ".join(card.action_meanings),
            "preprocessing": card.preprocessing.name,
            "from": card.source,
            "licence": card.licence,
            "assumed": "; ".join(card.assumptions),
        },
    )
