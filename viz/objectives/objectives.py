"""Objectives of images: weighted sums of terms, each one number for each sample
(Olah et al., 2017, https://distill.pub/2017/feature-visualization).

An objective of many samples wants something else of each image of a batch; one of a single
sample wants the same of all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from atari_zoo.converters.network.foreign import Network
from atari_zoo.viz.objectives.values import IMAGE, Reference, Values

Item = TypeVar("Item")


def _one() -> Tensor:
    return torch.ones(1)


@dataclass(frozen=True, eq=False)
class Term:
    """weight * function(*values of `references`, *rows, *options): one number for each sample.

    rows: what may differ between samples, (samples or 1, ...) each: integers index the axes 1,
        2, ... of the first value, in this order; floats are for the function to understand.
    axes: how many axes the first value may have, its batch included; any if not given.
    couples: whether a sample's number depends on the other samples.
    """

    function: Callable[..., Tensor]
    references: tuple[Reference, ...]
    rows: tuple[Tensor, ...] = ()
    weight: Shaped[Tensor, "samples"] = field(default_factory=_one)
    options: tuple[float, ...] = ()
    axes: tuple[int, ...] = ()
    couples: bool = False

    def __call__(self, values: Values) -> Float[Tensor, "batch"]:
        first = values[self.references[0]]
        given = [values[reference] for reference in self.references]
        rows = [row.to(first.device) for row in self.rows]
        numbers = self.function(*given, *rows, *self.options)
        return self.weight.to(first.device) * numbers.float()

    @property
    def wanted(self) -> bool:
        """Whether it asks something of the network, and not of the image or the batch."""
        return IMAGE not in self.references and not self.couples

    @property
    def signature(self) -> tuple[object, ...]:
        """What terms must share to be computed as one."""
        shapes = tuple((row.dtype, row.shape[1:]) for row in self.rows)
        return self.function, self.references, self.options, self.couples, shapes

    def rows_at(self, which: slice) -> Term:
        """The term of some samples."""
        rows = tuple(row[which] if len(row) > 1 else row for row in self.rows)
        weight = self.weight[which] if len(self.weight) > 1 else self.weight
        return replace(self, rows=rows, weight=weight)

    def read_from(self, change: Callable[[Reference], Reference]) -> Term:
        """The same term of other values; what it asks of the image stays."""
        return replace(
            self, references=tuple(r if r == IMAGE else change(r) for r in self.references)
        )


@dataclass(frozen=True, eq=False)
class Objective:
    """A sum of terms. Objectives add, subtract, and are scaled by numbers, or by one a sample.

    names: of its samples.

    >>> (units("conv3", 38) - 1e-6 * total_variation()).names
    ('conv3:38 - 1e-06*tv',)
    """

    terms: tuple[Term, ...]
    names: tuple[str, ...]

    def __call__(self, values: Values) -> Float[Tensor, "batch"]:
        """One number for each sample, to be raised."""
        numbers = [term(values) for term in self.terms]
        return torch.stack(torch.broadcast_tensors(*numbers)).sum(dim=0)

    @property
    def samples(self) -> int:
        """For how many images it is; one of a single sample serves any number."""
        return len(self.names)

    @property
    def references(self) -> tuple[Reference, ...]:
        """The values it reads."""
        return tuple(dict.fromkeys(r for term in self.terms for r in term.references if r != IMAGE))

    @property
    def couples(self) -> bool:
        """Whether a sample's number depends on the other samples."""
        return any(term.couples for term in self.terms)

    @property
    def wanted(self) -> Objective | None:
        """The part that asks something of the network, and not of the image or the batch."""
        terms = tuple(term for term in self.terms if term.wanted)
        return Objective(terms, self.names) if terms else None

    def on(self, network: Network) -> Objective:
        """The same, of another agent."""
        terms = tuple(t.read_from(lambda r: replace(r, network=network)) for t in self.terms)
        name = getattr(network.card, "name", "") or "another"
        return Objective(terms, tuple(f"{part} of {name}" for part in self.names))

    def rectified(self, after: bool = True) -> Objective:
        """The same of what leaves the ReLUs (after) or enters them."""
        terms = tuple(t.read_from(lambda r: replace(r, rectified=after)) for t in self.terms)
        return Objective(terms, self.names)

    def of_samples(self, which: slice) -> Objective:
        """The objective of some samples."""
        names = self.names[which] if self.samples > 1 else self.names
        return Objective(tuple(term.rows_at(which) for term in self.terms), names)

    def __add__(self, other: Objective) -> Objective:
        return _sum(self, other, "+")

    def __sub__(self, other: Objective) -> Objective:
        return _sum(self, -1.0 * other, "-", other.names)

    def __mul__(self, weight: float | Float[Tensor, "samples"]) -> Objective:
        weights = torch.as_tensor(weight, dtype=torch.float32).reshape(-1)
        terms = tuple(replace(term, weight=term.weight * weights) for term in self.terms)
        samples = max(len(weights), self.samples)
        pairs = zip(_spread(weights.tolist(), samples), _spread(self.names, samples), strict=True)
        names = tuple(f"{w:g}*{f'({name})' if ' ' in name else name}" for w, name in pairs)
        return Objective(terms, names)

    __rmul__ = __mul__

    def __neg__(self) -> Objective:
        return -1.0 * self


def _sum(first: Objective, second: Objective, sign: str, names: Sequence[str] = ()) -> Objective:
    samples = max(first.samples, second.samples)
    pairs = zip(_spread(first.names, samples), _spread(names or second.names, samples), strict=True)
    return Objective(
        first.terms + second.terms, tuple(f"{name} {sign} {other}" for name, other in pairs)
    )


def _spread(items: Sequence[Item], samples: int) -> Sequence[Item]:
    if len(items) not in (1, samples):
        raise ValueError(f"{len(items)} samples and {samples} do not go together; expected as many")
    return [items[0]] * samples if len(items) == 1 else items
