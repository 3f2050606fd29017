"""Images of which only a part is learned: only some frames, or the change to an observation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from atari_zoo.observations import check_unit_range
from atari_zoo.viz.parameterizations.parameterizations import (
    Parameterization,
    Pixels,
    Raw,
    Shape,
    Sigmoid,
)
from atari_zoo.viz.parameterizations.registry import parameterized_as

PRESENT = 3  # the newest frame of an observation
EDGE = 0.02  # a pixel starts no nearer to black or white: a sigmoid's slope there is 0
FROZEN = ("zero", "copies")


@parameterized_as("present")
@dataclass(frozen=True, eq=False)
class LearnedFrames:
    """Only some frames are learned, by default the present one.

    others: the rest: "zero" black, "copies" of the newest learned frame, or those of an
        observation (4, 84, 84), uint8 or float in 0..1, which stay equal bit for bit.
    """

    inner: Parameterization = field(default_factory=Pixels)
    others: str | Tensor = "zero"
    learned: tuple[int, ...] = (PRESENT,)

    def __post_init__(self) -> None:
        if isinstance(self.others, str) and self.others not in FROZEN:
            raise ValueError(
                f"no frames '{self.others}'; there are {', '.join(FROZEN)}, or an observation"
            )
        if isinstance(self.others, Tensor):
            check_observation(self.others, (4, *self.others.shape[1:]))
        if not self.learned or not set(self.learned) <= {0, 1, 2, 3}:
            raise ValueError(f"learned frames are {self.learned}; expected some of 0 to 3")

    @property
    def rate(self) -> float:
        """The inner one's."""
        return self.inner.rate

    @property
    def optimizer(self) -> str:
        """The inner one's."""
        return self.inner.optimizer

    def start(self, shape: Shape, generators: Sequence[torch.Generator]) -> list[Tensor]:
        return self.inner.start((len(self.learned), *shape[1:]), generators)

    def raw(self, tensors: Sequence[Tensor], shape: Shape) -> Raw:
        return self.inner.raw(tensors, (len(self.learned), *shape[1:]))

    def squashed(self, raw: Raw) -> Float[Tensor, "batch 4 height width"]:
        """The images: the learned frames in 0..1, the others as they are."""
        learned = self.inner.squashed(raw)
        still = self._still(learned)
        frames = [
            learned[:, self.learned.index(frame)] if frame in self.learned else still[frame]
            for frame in range(4)
        ]
        return torch.stack(frames, dim=1)

    def _still(self, learned: Raw) -> list[Tensor]:
        if isinstance(self.others, Tensor):
            given = as_floats(self.others).to(learned)
            return [frame.expand_as(learned[:, 0]) for frame in given]
        newest = learned[:, self.learned.index(max(self.learned))]
        return [newest if self.others == "copies" else torch.zeros_like(newest)] * 4


@dataclass(frozen=True, eq=False)
class FromObservation(Sigmoid):
    """An observation, plus what is learned: accentuation, and with `caricature` its exaggeration
    (Hamblin et al., 2024, https://arxiv.org/abs/2402.10039).

    observation: (4, 84, 84), uint8 or float in 0..1; its blacks and whites start at 2 % and 98 %.
    """

    observation: Tensor
    inner: Parameterization = field(default_factory=Pixels)

    def __post_init__(self) -> None:
        check_observation(self.observation, tuple(self.observation.shape))

    @property
    def rate(self) -> float:
        """The inner one's."""
        return self.inner.rate

    def start(self, shape: Shape, generators: Sequence[torch.Generator]) -> list[Tensor]:
        if tuple(self.observation.shape) != shape:
            raise ValueError(
                f"the observation is {tuple(self.observation.shape)}; the network takes {shape}"
            )
        return self.inner.start(shape, generators)

    def raw(self, tensors: Sequence[Tensor], shape: Shape) -> Raw:
        change = self.inner.raw(tensors, shape)
        return change + as_floats(self.observation).to(change).logit(EDGE)


def check_observation(observation: Tensor, shape: tuple[int, ...]) -> None:
    """Raises ValueError unless it is one of this shape, (frames, height, width), bytes or 0..1."""
    if tuple(observation.shape) != shape or len(shape) != 3:
        raise ValueError(
            f"the observation is {tuple(observation.shape)}; expected (frames, height, width)"
        )
    if observation.dtype != torch.uint8:
        check_unit_range(observation, "the observation's numbers")


def as_floats(observation: Tensor) -> Tensor:
    """Bytes as floats in 0..1; floats as they are."""
    return observation.float() / 255 if observation.dtype == torch.uint8 else observation
