"""Facts that a repository's page, its name and its files' names tell of an agent.

The Hub's metadata: https://huggingface.co/docs/hub/model-cards; RL Zoo, CleanRL, Sample Factory and
the Hub's course put the environment's id into tags and into the model-index's data set.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from atari_zoo.converters.algorithms import ALGORITHMS
from atari_zoo.converters.cards import PREPROCESSINGS, Preprocessing
from atari_zoo.converters.environment_ids import ENVIRONMENT_ID
from atari_zoo.games import UnknownGame
from atari_zoo.games import game as find_game

SPELLINGS = {"qr-dqn": "qrdqn", "appo": "ppo", "ape-x": "apex"}
SPELLINGS |= {"rainbow-dqn": "rainbow", "categorical-dqn": "c51"}
LIBRARIES = {"stable-baselines3": "deepmind", "sb3": "deepmind", "rl-zoo": "deepmind"}
LIBRARIES |= {"cleanrl": "cleanrl"}
FEW = 50  # tags, results that are looked at
ATARI_TAG = re.compile(r"atari_(\w+)")  # Sample Factory's


def told_card(metadata: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """The fields of a card that metadata and names tell; what they tell in two ways is left out.

    names: of the repository and the file. What the metadata says counts before the names.
    """
    names = list(names)
    tags = [text for text in _listed(metadata.get("tags")) if isinstance(text, str)]
    said, written = [*_data_sets(metadata), *tags], names
    card: dict[str, Any] = {}
    for field, find in (("game", _games), ("algorithm", _algorithms)):
        for texts in (said, written):
            found = set(find(texts))
            if len(found) == 1:
                card[field] = found.pop()
                break
            if found:  # several: it is asked for
                break
    if "algorithm" in card:
        card["action_rule"] = ALGORITHMS[card["algorithm"]].action_rule
    library = metadata.get("library_name")
    preprocessing = _preprocessing([library] if isinstance(library, str) else [], tags, names)
    if preprocessing is not None:
        card["preprocessing"] = preprocessing
    licence = metadata.get("license")
    return card | ({"licence": licence[:100]} if isinstance(licence, str) else {})


def _data_sets(metadata: Mapping[str, Any]) -> Iterator[str]:
    """The environments, and the models' names, in the model-index."""
    for model in _listed(metadata.get("model-index")):
        if not isinstance(model, Mapping):
            continue
        if isinstance(model.get("name"), str):
            yield model["name"]
        for result in _listed(model.get("results")):
            data = result.get("dataset") if isinstance(result, Mapping) else None
            if isinstance(data, Mapping):
                yield from (data[key] for key in ("name", "type") if isinstance(data.get(key), str))


def _listed(value: Any) -> list[Any]:
    return value[:FEW] if isinstance(value, list) else []


def _games(texts: Iterable[str]) -> Iterator[str]:
    for text in texts:
        found = re.findall(rf"(?<![A-Za-z]){ENVIRONMENT_ID}(?![A-Za-z0-9])", text[:200])
        tag = ATARI_TAG.fullmatch(text)
        # a tag or a data set may be the game's name itself, too
        for name in [*found, *([tag[1]] if tag else []), *([] if found else [text])]:
            try:
                yield find_game(name).name
            except UnknownGame:
                continue


def _algorithms(texts: Iterable[str]) -> Iterator[str]:
    for text in texts:
        whole = SPELLINGS.get(text.lower(), text.lower())
        words = [whole] if whole in ALGORITHMS else re.split(r"[^A-Za-z0-9]+", whole)
        # "es" is a language, too: a word of two letters counts where it begins a name
        known = [n for n, word in enumerate(words) if word in ALGORITHMS]
        yield from (words[n] for n in known if len(words[n]) > 2 or (n == 0 and len(words) > 1))


def _preprocessing(library: list[str], tags: list[str], names: list[str]) -> Preprocessing | None:
    for text in (*library, *tags):
        variant = LIBRARIES.get(text.lower())
        if variant == "cleanrl" and any("envpool" in name for name in names):
            variant = "envpool"
        if variant:
            return PREPROCESSINGS[variant]
    return None
