"""Information between past frames and the action, given the present frame, in bits.

I(past; action | present) = H(action | present) - H(action | past, present). Both entropies are the
cross-entropies of a softmax regression on held-out blocks of play, from the frames' principal
components. A regression that finds less of what is there makes its cross-entropy larger: of the
second, the estimate smaller, which is then a lower bound; of the first, larger, for which the
control stands, where the past is that of other moments. The quantity is that of Dann, Hofmann and
Nowozin (2016, https://arxiv.org/abs/1611.06928).
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
STRENGTHS = (0.001, 0.01, 0.1, 1.0)  # inverse, of the penalty; the best on held-out blocks is taken
PRIOR = 0.01  # share of the actions' frequencies in what is predicted: no loss is infinite
FOLDS = 5
BLOCK = 100  # steps of one episode that are held out together, at most


class HistoryInformation(NamedTuple):
    """gain: bits that the past tells of the action over the present frame; low, high: its interval.
    shuffled: the same of other moments' past, with its own. entropy: bits that the present leaves.
    """

    gain: float
    low: float
    high: float
    shuffled: float
    shuffled_low: float
    shuffled_high: float
    entropy: float


def history_information(
    frames: Num[np.ndarray, "moments frames height width"],
    actions: Int[np.ndarray, "moments"],
    episodes: Int[np.ndarray, "moments"],
    seed: int = 0,
) -> HistoryInformation:
    """What past frames tell of the action that the present one, the last, does not.

    episodes: which each moment is of; moments of one follow each other.
    Raises ValueError if there is one frame alone, or there are too few moments to hold some out.
    """
    if frames.shape[1] < 2:
        raise ValueError("one frame alone has no past")
    groups = blocks(episodes)
    if groups.max() + 1 < FOLDS:
        raise ValueError(
            f"{len(actions)} moments of play: expected at least {FOLDS} blocks of {BLOCK // 4}, to "
            "predict the actions of some from the others"
        )
    features = frame_features(frames, seed)
    present, past = features[:, -1], features[:, :-1] - features[:, -1:]
    order = np.random.default_rng(generator_seed(seed)).permutation(len(actions))
    flat = past.reshape(len(past), -1)
    alone = held_out_losses(present, actions, groups)
    told = held_out_losses(np.hstack([present, flat]), actions, groups)
    mixed = held_out_losses(np.hstack([present, flat[order]]), actions, groups)
    gains = [alone - told, alone - mixed]
    ends = [episode_interval(gain, groups, seed) for gain in gains]
    return HistoryInformation(
        float(gains[0].mean()), *ends[0], float(gains[1].mean()), *ends[1], float(alone.mean())
    )


def blocks(episodes: Int[np.ndarray, "moments"]) -> Int[np.ndarray, "moments"]:
    """Numbers of blocks: moments of one episode that are held out together."""
    size = max(1, min(BLOCK, len(episodes) // (4 * FOLDS)))
    begins = np.flatnonzero(np.diff(episodes, prepend=episodes[:1] - 1))
    since = np.arange(len(episodes)) - np.repeat(begins, np.diff([*begins, len(episodes)]))
    pairs = np.stack([episodes, since // size], axis=1)
    return np.asarray(np.unique(pairs, axis=0, return_inverse=True)[1]).reshape(-1)


def frame_features(
    frames: Num[np.ndarray, "moments frames height width"], seed: int
) -> Float[np.ndarray, "moments frames components"]:
    """Principal components of the shrunken frames, those of the present ones, in units of the
    largest one's spread."""
    moments, count, height, width = frames.shape
    rows, columns = height // SHRUNK, width // SHRUNK
    cut = frames[:, :, : rows * SHRUNK, : columns * SHRUNK].astype(np.float32)
    small = cut.reshape(moments, count, rows, SHRUNK, columns, SHRUNK).mean(axis=(3, 5))
    flat = small.reshape(moments, count, -1)
    most = min(COMPONENTS, moments, flat.shape[2])
    whitened = PCA(
        most, whiten=True, svd_solver="randomized", random_state=generator_seed(seed) % 2**32
    )
    whitened.fit(flat[:, -1])
    found = whitened.transform(flat.reshape(moments * count, -1))
    return np.nan_to_num(found).reshape(moments, count, -1).clip(-10, 10)


def held_out_losses(
    features: Float[np.ndarray, "moments features"],
    actions: Int[np.ndarray, "moments"],
    groups: Int[np.ndarray, "moments"],
) -> Float[np.ndarray, "moments"]:
    """Bits that each action costs a softmax regression that was fitted to other blocks; at the
    strength of penalty that costs least."""
    tried = [_losses(features, actions, groups, strength) for strength in STRENGTHS]
    return min(tried, key=lambda losses: float(losses.mean()))


def _losses(
    features: np.ndarray, actions: np.ndarray, groups: np.ndarray, strength: float
) -> Float[np.ndarray, "moments"]:
    losses = np.zeros(len(actions))
    kinds = int(actions.max()) + 1
    for train, test in GroupKFold(FOLDS).split(features, actions, groups):
        spread = features[train].std(axis=0) + 1e-6
        scaled = (features - features[train].mean(axis=0)) / spread
        frequencies = np.bincount(actions[train], minlength=kinds) + 1.0
        likely = np.tile(frequencies / frequencies.sum(), (len(test), 1))
        if len(np.unique(actions[train])) > 1:
            model = LogisticRegression(C=strength, max_iter=200)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)  # held-out loss is the judge
                model.fit(scaled[train], actions[train])
            likely *= PRIOR
            likely[:, model.classes_] += (1 - PRIOR) * model.predict_proba(scaled[test])
        losses[test] = -np.log2(likely[np.arange(len(test)), actions[test]])
    return losses
