"""Features: a layer's values at each moment, ready for linear probes of any rows and targets."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, Shaped

COLUMNS = 1024  # of the features at once: 20 MB of 2,500 moments
RANK = 1e-10  # of the largest: axes of less are rounding


@dataclass(frozen=True)
class Features:
    """rows: the values, where there are fewer of them than moments. products: of each moment's
    values with each other's, where there are more: all that a ridge needs to know of them."""

    rows: Float[np.ndarray, "moments values"] | None
    products: Float[np.ndarray, "moments moments"] | None

    def __len__(self) -> int:
        held = self.rows if self.rows is not None else self.products
        return 0 if held is None else len(held)


@dataclass(frozen=True)
class Centred:
    """The features of some moments around their mean, and of others around the same.

    inner: of fitted moments: products with each other (dual), or of values with each other.
    cross: of other moments with the fitted (dual), or their values.
    fitted: the fitted moments' values; None if dual.
    """

    inner: Float[np.ndarray, "size size"]
    cross: Float[np.ndarray, "others size"]
    fitted: Float[np.ndarray, "moments size"] | None

    @property
    def spread(self) -> float:
        """The sum of squares of the fitted values."""
        return float(np.trace(self.inner))


def features(values: Shaped[np.ndarray, "moments ..."]) -> Features:
    """Of a layer's values, a convolution's map flattened: which place it was counts."""
    flat = values.reshape(len(values), -1)
    if flat.shape[1] <= len(flat):
        return Features(flat.astype(np.float64), None)
    products = np.zeros((len(flat), len(flat)))
    for start in range(0, flat.shape[1], COLUMNS):
        some = flat[:, start : start + COLUMNS].astype(np.float64)
        products += some @ some.T
    return Features(None, products)


def centred(
    given: Features, fit: Int[np.ndarray, "moments"], others: Int[np.ndarray, "others"]
) -> Centred:
    """Around the mean of the moments that are fitted on."""
    if given.rows is not None:
        mean = given.rows[fit].mean(0)
        fitted = given.rows[fit] - mean
        return Centred(fitted.T @ fitted, given.rows[others] - mean, fitted)
    assert given.products is not None
    inner, cross = given.products[np.ix_(fit, fit)], given.products[np.ix_(others, fit)]
    column = inner.mean(0)
    mean = column.mean()
    return Centred(
        inner - column - column[:, None] + mean,
        cross - column - cross.mean(1, keepdims=True) + mean,
        None,
    )


def coordinates(
    given: Features, fit: Int[np.ndarray, "moments"], others: Int[np.ndarray, "others"]
) -> tuple[Float[np.ndarray, "moments axes"], Float[np.ndarray, "others axes"]]:
    """The fitted moments' values and the others', centred, of a mean squared length of 1.

    Of more values than moments they are turned into as many axes as the fitted moments span: all
    that a probe with a penalty on its squared weights can tell.
    """
    around = centred(given, fit, others)
    scale = np.sqrt(around.spread / max(len(fit), 1)) or 1.0
    if around.fitted is not None:
        return around.fitted / scale, around.cross / scale
    sizes, axes = np.linalg.eigh(around.inner)
    kept = sizes > RANK * sizes[-1]
    lengths, axes = np.sqrt(sizes[kept]), axes[:, kept]
    return axes * lengths / scale, around.cross @ axes / lengths / scale
