"""Actions chosen from a network's outputs; chance depends on the seed alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from atari_zoo.play.noise import Noise
from atari_zoo.play.options import check_values
from atari_zoo.play.plans import Plan
from atari_zoo.seeds import generator_seed


class Chances(NamedTuple):
    """What chance brings to one step, for every environment."""

    gumbel: Float[Tensor, "envs actions"] | None  # added to the outputs: their argmax is a sample
    random: Bool[Tensor, "envs"] | None  # where a random action is taken instead
    actions: Int[Tensor, "envs"] | None  # which


class Chooser:
    """Draws a step's chances for all environments at once, however these are grouped.

    rule: "argmax", "sample" (from the softmax of the outputs) or "epsilon-greedy".
    epsilon: share of random actions under that last rule; noise: the same under any rule.

    Raises ValueError if one of these shares is not from 0 to 1.
    """

    def __init__(
        self,
        rule: str,
        epsilon: float,
        seed: int,
        device: torch.device,
        noise: float = 0.0,
    ) -> None:
        check_values(Plan, epsilon=epsilon)
        check_values(Noise, actions=noise)
        greedy = 1 - epsilon if rule == "epsilon-greedy" else 1.0
        self.rule, self.share = rule, 1 - greedy * (1 - noise)
        self.explores = rule == "epsilon-greedy" or noise > 0
        self.generator = torch.Generator(device).manual_seed(generator_seed(seed))

    def draw(self, envs: int, actions: int) -> Chances:
        """The next step's chances."""
        device, generator = self.generator.device, self.generator
        gumbel = random = which = None
        if self.rule == "sample":
            noise = torch.empty(envs, actions, device=device).exponential_(generator=generator)
            gumbel = -noise.log()
        if self.explores:
            random = torch.rand(envs, generator=generator, device=device) < self.share
            which = torch.randint(actions, (envs,), generator=generator, device=device)
        return Chances(gumbel, random, which)

    def steps(self, envs: int, actions: int) -> Iterator[Chances]:
        """The chances of one step after the other."""
        while True:
            yield self.draw(envs, actions)

    def choose(
        self,
        outputs: Float[Tensor, "group actions"],
        chances: Chances,
        group: slice = slice(None),
    ) -> Int[np.ndarray, "group"]:
        """The actions of some of the environments, whose outputs these are."""
        if chances.gumbel is not None:
            outputs = outputs + chances.gumbel[group]
        chosen = outputs.argmax(dim=1)
        if chances.random is not None and chances.actions is not None:
            chosen = chances.actions[group].where(chances.random[group], chosen)
        return chosen.cpu().numpy()
