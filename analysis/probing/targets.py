"""Targets of a probe: a variable, and the same variable spoilt, which a probe should not find."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Int

from atari_zoo.analysis.probing.labels import VariableLabel

BLOCK = 50  # moments: longer than what neighbours have in common
REAL, SHUFFLED, CONTROL = "real", "shuffled", "control"


@dataclass(frozen=True)
class ProbeTarget:
    """What a probe is to tell at each moment.

    values: NaN where it is absent. classes: of a category, its values in order, of which `values`
        are the numbers; None of a quantity.
    """

    name: str
    values: Float[np.ndarray, "moments"]
    classes: Float[np.ndarray, "classes"] | None = None

    @property
    def there(self) -> Bool[np.ndarray, "moments"]:
        """Where it is not absent."""
        return np.isfinite(self.values)

    def columns(self) -> Float[np.ndarray, "moments columns"]:
        """The numbers to regress on: itself, or for each class whether it is that one."""
        if self.classes is None:
            return self.values[:, None]
        hot = self.values[:, None] == np.arange(len(self.classes))
        return np.where(self.there[:, None], hot, np.nan)


def target_of(label: VariableLabel) -> ProbeTarget:
    """The target that a label is, quantity or category."""
    if not label.category:
        return ProbeTarget(label.name, label.values)
    there = np.isfinite(label.values)
    classes, numbers = np.unique(label.values[there], return_inverse=True)
    values = np.full(len(there), np.nan)
    values[there] = numbers
    return ProbeTarget(label.name, values, classes)


def shuffled_in_blocks(
    target: ProbeTarget, order: Int[np.ndarray, "moments"], seed: int, block: int = BLOCK
) -> ProbeTarget:
    """The target with its stretches of time in another order: what remains of a score is what
    neighbours in time have in common.

    order: the moments in the order of time, environment by environment. Where it is absent stays.
    """
    own = order[target.there[order]]
    starts = np.arange(0, len(own), _fitting(block, len(own)))
    blocks = np.split(target.values[own], starts[1:])
    values = target.values.copy()
    chosen = np.random.default_rng(seed).permutation(len(blocks))
    values[own] = np.concatenate([blocks[number] for number in chosen]) if len(own) else own
    return replace(target, values=values)


def control_task(
    target: ProbeTarget, identity: Float[np.ndarray, "moments"], seed: int
) -> ProbeTarget:
    """Every value has a fixed random other one (Hewitt and Liang, 2019,
    https://arxiv.org/abs/1909.03368), which only a probe that learns by heart can tell.

    Of a quantity they are its own values, in a random order. A category's names in another order
    would be as easy as they were: there it is the pairs of its value and of `identity`'s, a
    quantity that takes many, which each have a class, drawn as often as the classes are.
    """
    random, there = np.random.default_rng(seed), target.there
    values = target.values.copy()
    if target.classes is None:
        own, numbers = np.unique(values[there], return_inverse=True)
        values[there] = random.permutation(own)[numbers]
        return replace(target, values=values)
    pairs = np.stack([values[there], np.nan_to_num(identity[there], nan=-1)], axis=1)
    types, numbers = np.unique(pairs, axis=0, return_inverse=True)
    shares = np.bincount(values[there].astype(int), minlength=len(target.classes)) / there.sum()
    values[there] = random.choice(len(shares), len(types), p=shares)[numbers.reshape(-1)]
    return replace(target, values=values)


def identity_of(labels: Sequence[VariableLabel]) -> Float[np.ndarray, "moments"]:
    """Of the variables the one that takes the most values."""
    most = max(labels, key=lambda label: len(np.unique(label.values[np.isfinite(label.values)])))
    return most.values


def _fitting(block: int, length: int) -> int:
    """The block's length, shorter where there would be fewer than eight of them."""
    return max(1, min(block, length // 8))
