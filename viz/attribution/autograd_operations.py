"""Operations that were really done on the pixels, by the names of autograd's nodes."""

from __future__ import annotations

from collections import Counter
from typing import Any

from torch import Tensor

from atari_zoo.viz.attribution.scores import TargetScore

PRODUCTS = {"Mul", "Div", "Mm", "Bmm", "Addmm", "Convolution"}


def operations(score: TargetScore, observation: Tensor) -> Counter[str]:
    """How often each operation was done on what depends on the observation, by autograd's name."""
    leaf = observation.detach().clone().requires_grad_()
    counts: Counter[str] = Counter()
    depends: dict[Any, bool] = {}
    todo = [score(leaf, *score.arguments).grad_fn]
    while todo:
        node = todo[-1]
        parents = [parent for parent, _ in node.next_functions if parent is not None]
        unseen = [parent for parent in parents if parent not in depends]
        if unseen:
            todo += unseen
            continue
        todo.pop()
        if node in depends:
            continue
        on = sum(depends[parent] for parent in parents)
        depends[node] = on > 0 or getattr(node, "variable", None) is leaf
        name = type(node).__name__.partition("Backward")[0]
        counts[name] += on > 0
        counts["product of two"] += name in PRODUCTS and on > 1
    return counts
