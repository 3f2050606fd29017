"""Information between past frames and the action, given the present frame, in bits.

I(past; action | present) = H(action | present) - H(action | past, present). Both entropies are the
cross-entropies of a softmax regression on held-out episodes, from the frames' principal components;
these and the penalty are fitted and chosen without what is held out. It is an estimate, and no
bound: what the second regression does not find in the past makes it smaller, what the first does
not find in the present makes it larger. The control is the past shifted in time. The quantity is
that of Dann, Hofmann and Nowozin (2016, https://arxiv.org/abs/1611.06928).
"""

from __future__ import annotations

import warnings
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int, Num
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold

from atari_zoo.analysis.measures.policy_changes import episode_interval
from atari_zoo.seeds import generator_seed

COMPONENTS = 24  # of each frame
SHRUNK = 4  # pixels a side that are one
STRENGTHS = (0.001, 0.01, 0.1, 1.0)  # inverse, of the penalty
PRIOR = 0.01  # share of the actions' frequencies in what is predicted: no loss is infinite
ITERATIONS, TOLERANCE = 200, 1e-3
FOLDS = 5
GAP = 50  # moments between what is held out and what is fitted on, where they share an episode


class HistoryInformation(NamedTuple):
    """gain: bits that the past tells of the action over the present frame; low, high: its interval.
    shuffled: the same of a past shifted in time, with its own. entropy: bits that the present
    leaves.
    """

    gain: float
    low: float
    high: float
    shuffled: float
    shuffled_low: float
    shuffled_high: float
    entropy: float


class TimeFold(NamedTuple):
    """Moments to fit on, to choose the penalty by, and to test on."""

    fit: Int[np.ndarray, "some"]
    choose: Int[np.ndarray, "others"]
    test: Int[np.ndarray, "rest"]


def history_information(
    frames: Num[np.ndarray, "moments frames height width"],
    actions: Int[np.ndarray, "moments"],
    episodes: Int[np.ndarray, "moments"],
    seed: int = 0,
) -> HistoryInformation:
    """What past frames tell of the action that the present one, the last, does not.

    episodes: which each moment is of; moments of one follow each other. They are what is resampled.
    Raises ValueError if there is one frame alone, or there are too few moments to hold some out.
    """
    if frames.shape[1] < 2:
        raise ValueError("one frame alone has no past")
    small, shifted = shrunken(frames), shifted_history(episodes, seed)
    losses = np.zeros((3, len(actions)))  # by the present, by its past too, by a shifted past too
    for fold in time_folds(episodes):
        known = np.concatenate([fold.fit, fold.choose])
        features = frame_features(small, known, seed)
        present = features[:, -1]
        past = (features[:, :-1] - features[:, -1:]).reshape(len(features), -1)
        told = present, np.hstack([present, past]), np.hstack([present, past[shifted]])
        for row, given in zip(losses, told, strict=True):
            row[fold.test] = held_out_losses(given, actions, fold)
    gains = losses[0] - losses[1:]
    ends = [episode_interval(gain, episodes, seed) for gain in gains]
    return HistoryInformation(
        float(gains[0].mean()), *ends[0], float(gains[1].mean()), *ends[1], float(losses[0].mean())
    )


def time_folds(episodes: Int[np.ndarray, "moments"]) -> list[TimeFold]:
    """Folds of whole episodes; of fewer than five, parts of the play's time, with gaps between.

    Raises ValueError if these would be short beside the gaps.
    """
    every = np.arange(len(episodes))
    if len(np.unique(episodes)) >= FOLDS:
        parts, gap = [part for _, part in GroupKFold(FOLDS).split(every, groups=episodes)], 0
    elif len(episodes) >= 2 * GAP * FOLDS:
        parts, gap = np.array_split(every, FOLDS), GAP
    else:
        raise ValueError(
            f"{len(episodes)} moments of play in {len(np.unique(episodes))} episodes: expected at "
            f"least {FOLDS} episodes, or {2 * GAP * FOLDS} moments, to predict the actions of some "
            "from the others"
        )
    found = []
    for number, test in enumerate(parts):
        other = (number + 1) % FOLDS
        fit = np.concatenate([parts[n] for n in range(FOLDS) if n not in (number, other)])
        choose = _apart(parts[other], test, gap)
        found.append(TimeFold(_apart(_apart(fit, test, gap), parts[other], gap), choose, test))
    return found


def _apart(
    moments: Int[np.ndarray, "some"], held: Int[np.ndarray, "others"], gap: int
) -> Int[np.ndarray, "rest"]:
    """Those further than a gap from a stretch of time; all, if there is none."""
    return moments[(moments < held[0] - gap) | (moments > held[-1] + gap)] if gap else moments


def shifted_history(episodes: Int[np.ndarray, "moments"], seed: int) -> Int[np.ndarray, "moments"]:
    """For each moment another of its episode, all as far off, round and round: a quarter to three
    quarters of it. Neighbours stay neighbours, so that what they leak is in the control too."""
    random, found = np.random.default_rng(generator_seed(seed)), np.arange(len(episodes))
    for number in np.unique(episodes):
        own = np.flatnonzero(episodes == number)
        found[own] = np.roll(own, round(len(own) * random.uniform(0.25, 0.75)))
    return found


def shrunken(
    frames: Num[np.ndarray, "moments frames height width"],
) -> Float[np.ndarray, "moments frames pixels"]:
    """Frames of fewer pixels, each the mean of some."""
    moments, count, height, width = frames.shape
    rows, columns = height // SHRUNK, width // SHRUNK
    cut = frames[:, :, : rows * SHRUNK, : columns * SHRUNK].astype(np.float32)
    small = cut.reshape(moments, count, rows, SHRUNK, columns, SHRUNK).mean(axis=(3, 5))
    return small.reshape(moments, count, -1)


def frame_features(
    small: Float[np.ndarray, "moments frames pixels"], known: Int[np.ndarray, "some"], seed: int
) -> Float[np.ndarray, "moments frames components"]:
    """Principal components, those of the present frames of known moments, each in units of its
    spread there."""
    moments, count, pixels = small.shape
    whitened = PCA(
        min(COMPONENTS, len(known), pixels),
        whiten=True,
        svd_solver="randomized",
        random_state=generator_seed(seed) % 2**32,
    )
    whitened.fit(small[known, -1])
    found = whitened.transform(small.reshape(moments * count, pixels))
    return np.nan_to_num(found).reshape(moments, count, -1).clip(-10, 10)


def held_out_losses(
    features: Float[np.ndarray, "moments features"],
    actions: Int[np.ndarray, "moments"],
    fold: TimeFold,
) -> Float[np.ndarray, "tested"]:
    """Bits that each tested action costs a softmax regression fitted to the fold's others, with the
    penalty that costs least where it is chosen."""
    chosen, least = STRENGTHS[0], np.inf
    regression = _Regression(features, actions, fold.fit)
    for strength in STRENGTHS:  # each begins where the one before ended
        cost = float(regression.losses(fold.choose, strength).mean())
        if cost < least:
            chosen, least = strength, cost
    known = np.concatenate([fold.fit, fold.choose])
    return _Regression(features, actions, known).losses(fold.test, chosen)


class _Regression:
    """A softmax regression of the actions at some moments, in units of the features' spread."""

    def __init__(self, features: np.ndarray, actions: np.ndarray, train: np.ndarray) -> None:
        self._actions, self._train = actions, train
        spread = features[train].std(axis=0) + 1e-6
        # single precision is twice as fast, and finer than what is estimated
        self._scaled = ((features - features[train].mean(axis=0)) / spread).astype(np.float32)
        frequencies = np.bincount(actions[train], minlength=int(actions.max()) + 1) + 1.0
        self._likely = frequencies / frequencies.sum()
        self._model = LogisticRegression(max_iter=ITERATIONS, tol=TOLERANCE, warm_start=True)

    def losses(self, test: np.ndarray, strength: float) -> Float[np.ndarray, "tested"]:
        """Bits of each tested action, where it is fitted with this inverse of the penalty."""
        likely = np.tile(self._likely, (len(test), 1))
        if len(np.unique(self._actions[self._train])) > 1:
            model = self._model.set_params(C=strength)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)  # held-out loss is the judge
                model.fit(self._scaled[self._train], self._actions[self._train])
            likely *= PRIOR
            told = model.predict_proba(self._scaled[test])
            likely[:, model.classes_] += (1 - PRIOR) * told
        return np.asarray(-np.log2(likely[np.arange(len(test)), self._actions[test]]))
