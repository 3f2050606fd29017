"""Sparse features: a layer's activations as sums of few learned directions, and what these mean."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pandas
import torch

from atari_zoo.analysis.dictionaries.autoencoders import LearningSettings
from atari_zoo.analysis.dictionaries.dictionaries import SparseDictionary, Standard
from atari_zoo.analysis.dictionaries.files import TENSORS
from atari_zoo.analysis.dictionaries.studies import study_features
from atari_zoo.analysis.registry import analysis
from atari_zoo.analysis.results import Result
from atari_zoo.analysis.subjects import Subject
from atari_zoo.converters.arguments import checked
from atari_zoo.intervals import CONFIDENCE, FEW

UNCERTAINTY = (
    f"low, high: {CONFIDENCE:.0%} bootstrap over whole episodes, n of them (of dead: features; of "
    "correlation and repeated: moments), of games far from those that were learned from, without "
    "moments that were observed there too (repeated: their share), but for activity and active, "
    f"which are of the play that was learned from; of fewer than {FEW} episodes their lowest and "
    "highest; missing where there is one alone. Correlations have none: the variable was chosen in "
    "other play, and their control is the feature shifted in time"
)


@checked
@analysis("sparse_features", source="https://arxiv.org/abs/2406.04093", verb="features")
def learned_features(
    agents: Sequence[Subject],
    *,
    layer: str = "fc",
    k: int = 16,
    expansion: int = 4,
    episodes: int = 8,
    seed: int = 0,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Result:
    """Few directions that a layer's activations are sums of, and what each of them means and does.

    layer: its name; one of plain units, not of maps. k: features that are active at once, at most.
    expansion: features for each unit that is not silent. episodes: whole ones, played anew, that
    reconstructions are measured on; and played again with each of these in the layer's place.
    seed: of the learning, the new play and the resampling.
    The table has a row for each number: agent, dictionary, feature (-1: all together), measure,
    what, value, low, high, n. Dictionaries are the autoencoder, its controls (as many principal
    components; as many random directions; an autoencoder of the untrained network's layer), and
    "intact", the agent itself. Arrays, by the agent's name: encoder, bias, decoder, centre, live,
    mean, scale, k, activations, features, top_moments, screens.
    Raises ValueError if the layer is not there, has maps or never changes, if a number is out of
    range, or the RAM was not recorded.
    """
    if episodes < 1:
        raise ValueError(f"episodes is {episodes}; expected at least 1")
    rows: list[dict[str, object]] = []
    arrays: dict[str, np.ndarray] = {}
    words = [UNCERTAINTY]
    settings = LearningSettings(k=k, expansion=expansion)
    for number, subject in enumerate(agents):
        study = study_features(
            subject, layer, settings, episodes, seed, _share(progress, number, len(agents))
        )
        for fact in study.facts:
            told = fact._asdict()
            estimate = told.pop("estimate")
            rows.append({"agent": subject.name, **told, **estimate._asdict()})
        words += [study.words] if study.words else []
        arrays |= {f"{subject.name}/{part}": array for part, array in study.arrays.items()}
    return Result(pandas.DataFrame(rows), ". ".join(words), arrays)


def dictionary_of(result: Result, agent: str = "") -> SparseDictionary:
    """The dictionary that was learned of an agent, or of the only one, to be used or saved.

    Raises ValueError if there is no such agent in the result.

    >>> save_dictionary(dictionary_of(learned_features("a2c/Pong/1")), "features.safetensors")
    """
    agents = list(dict.fromkeys(result.table["agent"]))
    name = agent or agents[0]
    if name not in agents or (len(agents) > 1 and not agent):
        raise ValueError(f"no features of '{agent}' in this result; there are {', '.join(agents)}")
    names = (*TENSORS, "k", "scale")
    found = {part: torch.from_numpy(result.arrays[f"{name}/{part}"]) for part in names}
    standard = Standard(found["live"], found["mean"], float(found["scale"]))
    return SparseDictionary(standard, int(found["k"]), found)


def _share(
    progress: Callable[[int, int], None], number: int, agents: int
) -> Callable[[int, int], None]:
    """Progress of one agent's study as that of all."""
    return lambda done, total: progress(number * total + done, agents * total)
