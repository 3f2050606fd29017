"""Settings of an explorer, and the agents that it shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from atari_zoo.analysis.embedding.methods import EXAGGERATED
from atari_zoo.analysis.subjects import Subject
from atari_zoo.converters.arguments import check_kinds
from atari_zoo.converters.cards import ModelCard
from atari_zoo.converters.network.foreign import Network
from atari_zoo.layers import activations
from atari_zoo.recordings.recordings import Recording

CHUNK = 100  # steps in one file
# of methods of saliency that are slower with as many as they usually have
OPTIONS: Mapping[str, Mapping[str, Any]] = {"integrated_gradients": {"steps": 16}}


@dataclass(frozen=True)
class ExplorerSettings:
    """What an explorer holds.

    steps: of each agent's play, its first ones; all if 0. env: which copy of the game.
    layers: those that are drawn; of each network its `shown_layers` if none is named.
    methods: of saliency. every: a method without gradients explains one of so many steps.
    embedding: the folder of a saved embedding of these agents' moments by their RAM; one is made
        if not given, of `iterations`. With `iterations` 0 there is none.
    units: whether there is a dictionary of units; images: iterations that make an image of each,
        none if 0.
    seed: of all that is drawn.

    Raises ValueError for a number below what it can be.
    """

    steps: int = 0
    env: int = 0
    layers: tuple[str, ...] = ()
    methods: tuple[str, ...] = ("integrated_gradients", "greydanus")
    every: int = 10
    embedding: Path | None = None
    iterations: int = 1000
    units: bool = True
    images: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        check_kinds(self)
        for name, least in (("steps", 0), ("env", 0), ("every", 1), ("iterations", 0)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} is {getattr(self, name)}; expected at least {least}")
        if 0 < self.iterations <= EXAGGERATED and self.embedding is None:
            raise ValueError(
                f"iterations is {self.iterations}; expected 0 for no map, or more than "
                f"{EXAGGERATED}, the first of which only pull neighbours together"
            )
        if self.images < 0:
            raise ValueError(f"images is {self.images}; expected 0 for none, or iterations")


@dataclass(frozen=True, eq=False)
class ShownAgent:
    """An agent of an explorer, with the play that it is shown on.

    name: of its own among those shown. network: what computes; changed where units are ablated.
    subject: whose play it is. ablated: the units, as given; "" of an intact agent.
    folder: of its files in the page's. screens: the folder of its frames, which is the intact
    agent's where it was asked about that one's play.
    """

    name: str
    subject: Subject
    network: Network
    recording: Recording
    env: int
    folder: str
    screens: str
    ablated: str = ""
    kept: dict[str, np.ndarray] = field(default_factory=dict, repr=False)

    @property
    def card(self) -> ModelCard:
        """Of what played."""
        return self.subject.card

    @property
    def short(self) -> str:
        """The name without the game's, which all have in common: apex/1."""
        return self.name.replace(f"/{self.card.game}/", "/")

    @property
    def steps(self) -> int:
        """Of the play that is shown."""
        return len(self.recording.starts)

    @property
    def episodes(self) -> Int[np.ndarray, "steps"]:
        """The number of each step's episode, from 0."""
        begun = np.array(self.recording.starts[:, self.env], bool)
        begun[:1] = True
        return begun.cumsum() - 1

    def observations(self, steps: slice = slice(None)) -> Shaped[Tensor, "steps c h w"]:
        """What was seen at these steps."""
        return self.recording.observations(self.env, steps)

    def values(self, layer: str) -> Float[np.ndarray, "steps *units"]:
        """What the network computes there at each step, after a ReLU; kept once computed."""
        if layer not in self.kept:
            found = activations(self.network, self.recording, layer)[layer]
            self.kept[layer] = found[:, self.env].float().numpy()
        return self.kept[layer]


def chunks(steps: int) -> list[slice]:
    """The steps of each file."""
    return [slice(begin, min(begin + CHUNK, steps)) for begin in range(0, steps, CHUNK)]
