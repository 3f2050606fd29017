"""Several objectives as one, an image for each, so that they are computed together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from atari_zoo.viz.objectives.objectives import Objective, Term


def joined(objectives: Sequence[Objective]) -> Objective:
    """One objective whose samples are those of all, in order.

    Terms of one kind are computed together; an objective that lacks a term has it with weight 0.
    Raises ValueError if there is none.
    """
    if not objectives:
        raise ValueError("no objective is given; give one at least, such as units('fc', 7)")
    if len(objectives) == 1:
        return objectives[0]
    slots: dict[object, dict[int, Term]] = {}
    for index, objective in enumerate(objectives):
        seen: dict[object, int] = {}
        for term in objective.terms:
            seen[term.signature] = seen.get(term.signature, -1) + 1
            slots.setdefault((term.signature, seen[term.signature]), {})[index] = term
    counts = [objective.samples for objective in objectives]
    terms = tuple(_one_term(slot, counts) for slot in slots.values())
    return Objective(terms, tuple(name for objective in objectives for name in objective.names))


def _one_term(slot: dict[int, Term], counts: Sequence[int]) -> Term:
    """The terms of some objectives as one, with weight 0 for the objectives that have none."""
    some = next(iter(slot.values()))
    present = [
        slot.get(index, replace(some, weight=torch.zeros(1))) for index in range(len(counts))
    ]

    def together(rows: Sequence[Tensor]) -> Tensor:
        parts = zip(rows, counts, strict=True)
        # a missing objective borrows another's rows: their first one is as good as any
        return torch.cat([r if len(r) == n else r[:1].expand(n, *r.shape[1:]) for r, n in parts])

    rows = tuple(together([term.rows[i] for term in present]) for i in range(len(some.rows)))
    return replace(some, rows=rows, weight=together([term.weight for term in present]))
