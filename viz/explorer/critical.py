"""Critical moments: the steps at which an agent's choice mattered most, unlike each other.

After HIGHLIGHTS-DIV (Amir and Amir, 2018, https://www.ifaamas.org/Proceedings/aamas2018/pdfs/
p1168.pdf). Two states are told apart by the Euclidean distance of their features; the authors'
code sums signed differences, which cancel.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int

MOST, APART = 12, 25  # moments, and steps between two of one episode
NEAR = 0.1  # of pairs of states are nearer: two moments are to be further apart
PAIRS = 2000  # that stand for all


def choice_lead(rated: Float[np.ndarray, "steps actions"]) -> Float[np.ndarray, "steps"]:
    """How far the best action lies above the second, in units of the ratings; 0 of one alone."""
    if rated.shape[1] < 2:
        return np.zeros(len(rated))
    second, best = np.sort(rated, axis=1)[:, -2:].T
    return best - second


def critical_steps(
    important: Float[np.ndarray, "steps"],
    features: Float[np.ndarray, "steps features"],
    episodes: Int[np.ndarray, "steps"],
    most: int = MOST,
    seed: int = 0,
) -> list[int]:
    """The most important steps, in order of importance; of equal ones the first.

    features: what tells states apart, such as the dense layer's values.
    episodes: the number of each step's.
    None is less than `APART` steps from another of its episode, nor nearer to another in features
    than a tenth of all pairs of states are.
    """
    near = _near(features, seed)
    chosen: list[int] = []
    for step in np.argsort(-important, kind="stable"):
        if len(chosen) == most or important[step] <= 0:
            break
        others = np.array(chosen, int)
        close = (np.abs(others - step) < APART) & (episodes[others] == episodes[step])
        alike = np.linalg.norm(features[others] - features[step], axis=1) < near
        if not (close | alike).any():
            chosen.append(int(step))
    return chosen


def _near(features: Float[np.ndarray, "steps features"], seed: int) -> float:
    random = np.random.default_rng(seed)
    one, other = random.integers(0, len(features), (2, PAIRS))
    distances = np.linalg.norm(features[one] - features[other], axis=1)[one != other]
    return float(np.quantile(distances, NEAR)) if len(distances) else 0.0
