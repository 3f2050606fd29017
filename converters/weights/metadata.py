"""Metadata beside plain weights that the zoo writes: the card, and what names do not tell."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from typing import Any

from atari_zoo.converters.cards import ModelCard, Preprocessing
from atari_zoo.converters.errors import ConversionError
from atari_zoo.converters.interchange import CARD_KEY
from atari_zoo.converters.network.agent_networks import AgentNetwork
from atari_zoo.converters.weights.named_heads import HeadFacts

NESTED = 200  # brackets in a card
CARD, HEAD, ACTIONS = CARD_KEY, "atari_zoo.head", "atari_zoo.actions"


def metadata_of(network: AgentNetwork) -> dict[str, str]:
    """The card as JSON, the head's kind and the number of actions."""
    return {
        CARD: network.card.to_json(),
        HEAD: network.head.kind,
        ACTIONS: str(network.actions),
    }


def described(metadata: Mapping[str, str]) -> tuple[HeadFacts, dict[str, Any]]:
    """What `metadata_of` wrote: of the network, and the card's fields that differ from a blank.

    Raises ConversionError if what is there is no card.
    """
    actions = metadata.get(ACTIONS, "")
    facts = HeadFacts(
        metadata.get(HEAD, ""), int(actions) if re.fullmatch("[0-9]{1,4}", actions) else 0
    )
    if CARD not in metadata:
        return facts, {}
    if sum(metadata[CARD].count(bracket) for bracket in "[{") > NESTED:
        raise ConversionError("its card cannot be read: it is nested too deep")
    try:
        card = ModelCard.from_json(metadata[CARD])
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise ConversionError(f"its card cannot be read: {str(error)[:100]!a}") from error
    if not all(isinstance(meaning, str) for meaning in card.action_meanings):
        raise ConversionError("its card cannot be read: 'action_meanings' that are no names")
    return facts, _said(card, ModelCard()) | {
        "preprocessing": dataclasses.replace(
            Preprocessing(), **_said(card.preprocessing, Preprocessing())
        )
    }


def _said(row: Any, blank: Any) -> dict[str, Any]:
    """The fields of a dataclass that differ from a blank one's.

    Raises ConversionError where one is of another type.
    """
    found = {}
    for name in (field.name for field in dataclasses.fields(row)):
        value, default = getattr(row, name), getattr(blank, name)
        kinds = (int, float) if isinstance(default, float) else type(default)
        if not isinstance(value, kinds):
            raise ConversionError(f"its card cannot be read: '{name}' is {type(value).__name__}")
        if value != default:
            found[name] = value
    return found
