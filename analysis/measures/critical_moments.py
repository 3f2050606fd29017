"""Critical moments: those at which a choice matters most, apart in time and in kind.

HIGHLIGHTS and HIGHLIGHTS-DIV (Amir and Amir, 2018,
http://www.ifaamas.org/Proceedings/aamas2018/pdfs/p1168.pdf). One thing differs from the published
code (https://github.com/yotamitai/HIGHLIGHTS), whose distance is a signed sum of differences, and
whose threshold is of one pair of frames: here the distance is Euclidean, and the threshold a
quantile of those between the play's own moments.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int
from scipy.spatial.distance import pdist

from atari_zoo.seeds import generator_seed

SECOND, WORST = "second", "worst"
COMPARED = 500  # moments whose distances stand for all


def importance(
    outputs: Float[np.ndarray, "moments actions"], against: str = SECOND
) -> Float[np.ndarray, "moments"]:
    """How much the choice of an action matters: the largest output less another one.

    against: "second", the second largest, or "worst", the smallest. Of logits it is the logarithm
        of the odds. Raises ValueError for anything else, or for fewer than two actions.
    """
    if against not in (SECOND, WORST):
        raise ValueError(f"against is '{against}'; expected '{SECOND}' or '{WORST}'")
    if outputs.shape[1] < 2:
        raise ValueError("the agent has one action: no choice matters")
    ordered = np.sort(outputs, axis=1)
    other = ordered[:, -2] if against == SECOND else ordered[:, 0]
    return (ordered[:, -1] - other).astype(float)


def distance_quantile(
    features: Float[np.ndarray, "moments units"], quantile: float, seed: int = 0
) -> float:
    """How far apart two moments of play are, but for a share `quantile` that are nearer.

    Of long play 500 moments are drawn. Raises ValueError for a share outside 0 to 1.
    """
    if not 0 <= quantile <= 1:
        raise ValueError(f"a quantile of {quantile}; expected 0 to 1")
    if len(features) > COMPARED:
        random = np.random.default_rng(generator_seed(seed))
        features = features[random.choice(len(features), COMPARED, replace=False)]
    return float(np.quantile(pdist(features), quantile)) if len(features) > 1 else 0.0


def moments_apart(
    rating: Float[np.ndarray, "moments"],
    steps: Int[np.ndarray, "moments"],
    episodes: Int[np.ndarray, "moments"],
    count: int,
    apart: int,
    features: Float[np.ndarray, "moments units"] | None = None,
    nearest: float = 0.0,
) -> list[int]:
    """The moments of the highest rating, the best first, of which none is too near a better one.

    Too near is one of the same episode within fewer than `apart` steps, or, where there are
    features, one at a distance below `nearest`. A moment without a rating (NaN) is left out.
    Returns `count` places among the moments, or as many as there are.
    """
    chosen: list[int] = []
    for moment in np.argsort(-rating, kind="stable"):
        if len(chosen) == count or np.isnan(rating[moment]):
            break  # those without a rating come last
        beside = [other for other in chosen if episodes[other] == episodes[moment]]
        if any(abs(int(steps[other]) - int(steps[moment])) < apart for other in beside):
            continue
        if features is not None and any(
            np.linalg.norm(features[other] - features[moment]) < nearest for other in chosen
        ):
            continue
        chosen.append(int(moment))
    return chosen
