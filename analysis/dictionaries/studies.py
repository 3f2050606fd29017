"""Studies of one agent: its features learned, measured in new play, and beside their controls."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from atari_zoo.analysis.dictionaries.autoencoders import LearningSettings
from atari_zoo.analysis.dictionaries.comparison import (
    Finding,
    measure_dictionary,
    measure_returns,
)
from atari_zoo.analysis.dictionaries.dictionaries import (
    Dictionary,
    SparseDictionary,
    first_components,
    random_directions,
    sparse_dictionary,
    standard_of,
)
from atari_zoo.analysis.dictionaries.feature_facts import (
    ablation_facts,
    activity_facts,
    correlate_facts,
    strongest_features,
    top_moments,
)
from atari_zoo.analysis.dictionaries.held_out import (
    HeldOut,
    named_memory,
    play_held_out,
    returns_with,
    rows_of_layer,
    spread_moments,
    without_repeats,
)
from atari_zoo.analysis.dictionaries.layer_changes import no_effect_words
from atari_zoo.analysis.dictionaries.reconstruction import Estimate, torch_rows
from atari_zoo.analysis.responses import untrained_control
from atari_zoo.analysis.subjects import Subject
from atari_zoo.converters.network.foreign import Network
from atari_zoo.converters.network.hooks import layer_named
from atari_zoo.games import game as find_game
from atari_zoo.recordings.recordings import Recording
from atari_zoo.seeds import seed_apart

INTACT, UNTRAINED = "intact", "untrained network"
SHOWN, TOP = 16, 6  # features that are told of one by one, and top moments of each
COMPARED = 5_000  # moments at most that the untrained network is shown
ASKED = 64  # moments that tell whether a layer matters to the choice
Progress = Callable[[int, int], None]
DONE = 100  # parts of a study, of which these are done before each of its stages
LEARN_CONTROL, PLAY, TELL = 40, 60, 90


class Study(NamedTuple):
    """What was found of one agent: numbers, arrays by their names, and what could not be had."""

    facts: list[Finding]
    arrays: Mapping[str, np.ndarray]
    words: str


def learn_dictionary(
    values: Float[Tensor, "moments units"],
    settings: LearningSettings | None = None,
    seed: int = 0,
    progress: Progress = lambda done, total: None,
) -> SparseDictionary:
    """The sparse dictionary of a layer's values, on the CPU, learned where the values are.

    Raises ValueError where there are none, they never change, or there are fewer features than k.
    """
    from atari_zoo.analysis.dictionaries.learning import fit_autoencoder  # imports Lightning

    standard = standard_of(values.cpu())
    rows = standard.rows(values.cpu()).to(values.device)
    return sparse_dictionary(standard, fit_autoencoder(rows, settings, seed, progress).cpu())


def study_features(
    subject: Subject,
    layer: str,
    settings: LearningSettings,
    episodes: int,
    seed: int,
    progress: Progress,
) -> Study:
    """All that is told of the features of one agent's layer. Raises ValueError as its parts do."""
    network = subject.network
    layer_named(network, layer)
    values = torch_rows(subject.activations(layer), layer)
    memory = named_memory(subject)
    dictionary = learn_dictionary(values, settings, seed, _part(progress, 0, LEARN_CONTROL))
    played = subject.recording
    apart = seed_apart(seed, played.seed, played.starts.shape[1], episodes)
    new_play = play_held_out(network, layer, episodes, apart)
    held = without_repeats(new_play, played)
    repeated = 1 - len(held.seen) / len(new_play.seen)
    controls = (
        first_components(dictionary.standard, values, settings.k),
        random_directions(dictionary.standard, len(dictionary.decoder), settings.k, seed),
    )
    begun, words = untrained_control(network, seed)
    asked = None if held.states is None else held.states[:ASKED]
    effect = no_effect_words(network, layer, held.seen[:ASKED], asked)
    words = ". ".join(filter(None, [words, effect]))
    facts = [
        *_compared((dictionary, *controls), values, held, seed),
        *_untrained(begun, subject, held, settings, seed, _part(progress, LEARN_CONTROL, PLAY)),
        measure_returns(INTACT, held.returns, seed),
        Finding(INTACT, -1, "repeated", "", Estimate(repeated, np.nan, np.nan, len(new_play.seen))),
    ]
    for number, each in enumerate((dictionary, *controls)):
        progress(PLAY + (TELL - PLAY) * number // 3, DONE)
        returns = returns_with(network, layer, each, episodes, apart)
        facts.append(measure_returns(each.kind, returns, seed))
    progress(TELL, DONE)
    codes = dictionary.codes(values)
    features = strongest_features(codes, SHOWN)
    new = dictionary.codes(held.values)
    facts += activity_facts(features, codes, subject.episodes, seed)
    facts += correlate_facts(
        features,
        list(map(str, memory.columns)),
        (codes[:, features].numpy(), memory.to_numpy(float)),
        (new[:, features].numpy(), held.variables.to_numpy(float)),
    )
    actions = network.card.action_meanings or find_game(subject.recording.game).actions
    facts += ablation_facts(features, dictionary, held, actions, seed)
    progress(DONE, DONE)
    arrays = _arrays(subject.recording, subject.episodes, dictionary, codes, features)
    return Study(facts, arrays, words)


def _compared(
    dictionaries: tuple[Dictionary, ...], values: Tensor, held: HeldOut, seed: int
) -> list[Finding]:
    found = [measure_dictionary(each.kind, each, values, held, seed) for each in dictionaries]
    return [fact for facts in found for fact in facts]


def _untrained(
    begun: Network | None,
    subject: Subject,
    held: HeldOut,
    settings: LearningSettings,
    seed: int,
    progress: Progress,
) -> list[Finding]:
    """The same of a network that learnt nothing, at the same moments; nothing if there is none."""
    if begun is None:
        return []
    seen, states, _ = spread_moments(subject.network, subject.recording, COMPARED)
    values = rows_of_layer(begun, held.layer, seen, states)
    dictionary = learn_dictionary(values, settings, seed, progress)
    return measure_dictionary(UNTRAINED, dictionary, values, replace(held, network=begun), seed)


def _arrays(
    recording: Recording,
    episodes: np.ndarray,
    dictionary: SparseDictionary,
    codes: Tensor,
    features: Sequence[int],
) -> dict[str, np.ndarray]:
    """The dictionary's tensors, every feature's activity at every moment (moments, features), and
    of those that are told of: their numbers, top moments (step, env; -1 where there are fewer) and
    the newest frame of each, (features, moments, height, width)."""
    tensors = {name: part.numpy() for name, part in dictionary.named_buffers()}
    envs = recording.starts.shape[1]
    places = np.full((len(features), TOP, 2), -1)
    screens = np.zeros((len(features), TOP, *recording.preprocessing.shape[-2:]), np.uint8)
    for number, feature in enumerate(features):
        best = top_moments(codes[:, feature].numpy(), episodes, envs, TOP)
        for rank, moment in enumerate(best):
            step, env = divmod(moment, envs)
            places[number, rank] = step, env
            newest = recording.observations(env, slice(step, step + 1))[0, -1]
            grey = newest if newest.dtype == torch.uint8 else (newest * 255).round()
            screens[number, rank] = grey.numpy().astype(np.uint8)
    return tensors | {
        "k": np.array(dictionary.k),
        "scale": np.array(dictionary.scale),
        "activations": codes.numpy().astype(np.float16),
        "features": np.array(features, int),
        "top_moments": places,
        "screens": screens,
    }


def _part(progress: Progress, begin: int, end: int) -> Progress:
    """Progress of a stage as that of the whole."""
    return lambda done, total: progress(begin + (end - begin) * done // total, DONE)
