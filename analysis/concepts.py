"""Concepts: directions in which moments of one kind lie, such as those with little oxygen, and
whether decisions depend on them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pandas
from jaxtyping import Float, Shaped

from atari_zoo.analysis.concept_vectors.concept_play import (
    Concept,
    Looked,
    concept_in,
    looked_at,
)
from atari_zoo.analysis.concept_vectors.conditions import parse_condition
from atari_zoo.analysis.concept_vectors.derivatives import (
    CHOSEN,
    decision_target,
    layer_derivatives,
)
from atari_zoo.analysis.concept_vectors.vectors import ConceptVectors, concept_vectors
from atari_zoo.analysis.measures.thinning import thinned
from atari_zoo.analysis.probing.features import features
from atari_zoo.analysis.probing.layer_values import layers_of, own_values, steps_of
from atari_zoo.analysis.registry import analysis
from atari_zoo.analysis.results import Result
from atari_zoo.analysis.subjects import Subject
from atari_zoo.converters.arguments import checked

EXPLAINED = 500  # moments at which derivatives are taken
WORDS = (
    "low, high: the middle 95 % of the splits' scores, which share their play: they tell how "
    "steady a score is, not what other play would give; p, rise_p: the rank of the mean score, and "
    "of the mean rise, among those of random concepts, the same at other times, two-sided, not "
    "corrected for how many are tested; as they have one split each and so scatter more, p is "
    "rather too large; smallest_p: what so many random concepts allow; told: more accurate than "
    "95 % of random concepts, else the direction means nothing; no score where the target does not "
    "depend on the layer"
)


@checked
@analysis("concepts", source="https://arxiv.org/abs/1711.11279", verb="concepts")
def concept_sensitivities(
    agents: Sequence[Subject],
    *,
    concept: Sequence[str] = (),
    layer: Sequence[str] | None = None,
    target: str = CHOSEN,
    pooled: bool = False,
    splits: int = 20,
    seed: int = 0,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Result:
    """Directions of concepts such as oxygen<16 in each layer, and whether decisions depend on them.

    concept: conditions on the game's variables, such as oxygen<16 or player_y>=100; a variable
    alone holds where what it tells of is there. layer: some layers; all if not given. target:
    chosen (the output of the best action, less the mean of all), value, or an action's name.
    pooled: of a convolution one direction for all places, and not one for each. splits: random
    halves of the play, each with a vector of its own. seed: of splits and random concepts.
    The table has a row for each agent, layer and concept: accuracy of the vectors on the other half
    (0.5 by chance) beside that of random concepts, TCAV's score (the share of moments at which more
    of the concept would raise the target) with low, high; random_score, random_low,
    random_high and p, which tell whether random concepts do as well. The arrays hold the
    directions, of length 1, in the shape of the layer.
    Raises ValueError for a concept that is not to be read, or holds nearly never or always.
    """
    if not concept:
        raise ValueError("no concept: give one or more, such as oxygen<16")
    if splits < 2:
        raise ValueError(f"splits is {splits}; expected at least 2")
    conditions = [parse_condition(text) for text in dict.fromkeys(concept)]
    wanted = [(subject, layers_of(subject.network, layer)) for subject in agents]
    for subject, _ in wanted:
        decision_target(subject.network, subject.recording.action_names, target)
    total, done = sum(len(layers) for _, layers in wanted), 0
    arrays: dict[str, np.ndarray] = {}
    rows, said = [], []
    for subject, layers in wanted:
        looked = looked_at(subject)
        concepts = [
            concept_in(subject, condition, looked, splits, seed) for condition in conditions
        ]
        said.append(f"{subject.name}: {looked.words}")
        for name in layers:
            found, directions = _of_layer(subject, name, looked, concepts, target, pooled)
            if pandas.DataFrame(found)["score"].isna().all():
                said.append(f"{name} of {subject.name} does nothing to '{target}': no scores")
            rows += found
            arrays |= directions
            done += 1
            progress(done, total)
    return Result(pandas.DataFrame(rows), f"{WORDS}. {'; '.join(said)}", arrays)


def _of_layer(
    subject: Subject,
    layer: str,
    looked: Looked,
    concepts: Sequence[Concept],
    target: str,
    pooled: bool,
) -> tuple[list[dict[str, object]], dict[str, np.ndarray]]:
    values = own_values(subject, [layer], looked.kept)[layer]
    some = looked.kept[thinned(steps_of(subject)[looked.kept], EXPLAINED)]
    along = layer_derivatives(subject, [layer], target, some).get(layer)
    shape = values.shape[1:]
    if pooled and values.ndim == 4:
        shape, values = shape[:1], values.mean((2, 3))
        along = None if along is None else along.sum((2, 3))
    flat = values.reshape(len(values), -1)
    given = features(flat)
    rows, directions = [], {}
    for one in concepts:
        real = concept_vectors(flat, one.halves, given)
        chance = concept_vectors(flat, one.random_halves, given)
        rows.append(_row(subject, layer, one, real, chance, along, target))
        key = f"{subject.name} {layer} {one.condition.text}"
        directions[key] = real.mean.reshape(shape).astype(np.float32)
        directions[f"{key} spread"] = np.array((flat @ real.mean).std())
    return rows, directions


def tcav_scores(
    along: Shaped[np.ndarray, "moments ..."] | None, vectors: Float[np.ndarray, "splits values"]
) -> tuple[Float[np.ndarray, "splits"], Float[np.ndarray, "splits"]]:
    """Of each vector the share of moments at which the target rises along it, and the mean rise;
    NaN without derivatives."""
    if along is None:
        return np.full(len(vectors), np.nan), np.full(len(vectors), np.nan)
    rises = along.reshape(len(along), -1).astype(float) @ vectors.T
    return (rises > 0).mean(0), rises.mean(0)


def rank_p(value: float, random: Float[np.ndarray, "concepts"]) -> float:
    """The share of random concepts, and itself, that are at least as far from the middle of all as
    a concept's mean; NaN if that is not known."""
    if not np.isfinite(value):
        return float("nan")
    middle = np.median([value, *random])
    beyond = np.abs(random - middle) >= abs(value - middle) - 1e-12
    return float((1 + beyond.sum()) / (len(random) + 1))


def _row(
    subject: Subject,
    layer: str,
    one: Concept,
    real: ConceptVectors,
    chance: ConceptVectors,
    along: Float[np.ndarray, "moments ..."] | None,
    target: str,
) -> dict[str, object]:
    scores, rises = tcav_scores(along, real.vectors)
    random, random_rises = tcav_scores(along, chance.vectors)
    low, high = np.percentile(scores, [2.5, 97.5])
    random_low, random_high = np.percentile(random, [2.5, 97.5])
    accurate = np.percentile(chance.accuracies, 95)
    return {
        "agent": subject.name,
        "algorithm": subject.card.algorithm,
        "game": subject.recording.game,
        "layer": layer,
        "concept": one.condition.text,
        "target": target,
        "accuracy": real.accuracies.mean(),
        "random_accuracy": chance.accuracies.mean(),
        "random_accuracy_high": accurate,
        "told": bool(real.accuracies.mean() > accurate),
        "agreement": real.agreement,
        "random_agreement": chance.agreement,
        "score": scores.mean(),
        "low": low,
        "high": high,
        "random_score": random.mean(),
        "random_low": random_low,
        "random_high": random_high,
        "p": rank_p(scores.mean(), random),
        "rise": rises.mean(),
        "rise_p": rank_p(rises.mean(), random_rises),
        "smallest_p": 1 / (len(random) + 1),
        "n": int((one.holds == 1).sum()),
        "n_not": int((one.holds == 0).sum()),
    }
