"""Experience replay (Lin, 1992; Mnih et al., 2015, https://doi.org/10.1038/nature14236).

A ring of single frames, on one device. Observations and n-step returns are put together when
they are sampled, so that a transition costs 7 kB, not 28 or 56.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor

from atari_zoo.converters.cards import Preprocessing

SIDE = 84
GOES_ON, TERMINATED, CUT = 0, 1, 2  # after a step: CUT where what follows was not kept


class Transitions(NamedTuple):
    """A batch of n-step transitions."""

    observations: UInt8[Tensor, "batch stack 84 84"]
    actions: Int[Tensor, "batch"]
    returns: Float[Tensor, "batch"]  # discounted rewards of n steps, or up to the episode's end
    discounts: Float[Tensor, "batch"]  # of the value that follows; 0 where the episode ended
    following: UInt8[Tensor, "batch stack 84 84"]  # the observations n steps later


class Replay:
    """The last `length` steps of each of `envs` environments.

    steps: n, over which rewards are summed.

    A slot is a step of one environment: its observation's newest frame, and what was done and
    got there. Slots are numbered row * envs + environment, where a row is a step of them all.
    """

    def __init__(
        self,
        length: int,
        envs: int,
        preprocessing: Preprocessing,
        steps: int = 1,
        discount: float = 0.99,
        device: torch.device | str = "cpu",
    ) -> None:
        self.stack = preprocessing.stack
        if length < self.stack + steps + 1:
            raise ValueError(
                f"a replay of {length} steps in each of {envs} environments cannot hold a "
                f"transition of {steps} steps: give it a larger buffer, or use fewer environments"
            )
        self.length, self.envs, self.steps = length, envs, steps
        self.zeros = preprocessing.stack_start == "zeros"
        self.discount = discount
        self.added = 0  # rows, since the beginning
        slots = length * envs
        # words of 8 pixels: they are gathered several times as fast as bytes
        self.frames = torch.empty(slots, SIDE * SIDE // 8, dtype=torch.int64, device=device)
        self.actions = torch.zeros(slots, dtype=torch.int64, device=device)
        self.rewards = torch.zeros(slots, device=device)
        self.endings = torch.full((slots,), CUT, dtype=torch.uint8, device=device)
        self._envs = torch.arange(envs, device=device)
        self._ahead = torch.arange(steps, device=device) * envs
        self._back = torch.arange(1, self.stack, device=device) * envs
        self._ages = torch.arange(self.stack - 1, -1, -1, device=device)  # oldest frame first
        self._powers = discount ** torch.arange(steps, device=device, dtype=torch.float32)

    def row(self, number: int) -> Int[Tensor, "envs"]:
        """The slots of a row; rows are numbered since the beginning."""
        return self._envs + number % self.length * self.envs

    @property
    def newest(self) -> Int[Tensor, "envs"]:
        """The slots of the row added last."""
        return self.row(self.added - 1)

    def add(
        self,
        frames: UInt8[Tensor, "envs 84 84"],
        actions: Tensor,
        rewards: Float[Tensor, "envs"],
        endings: Tensor,
    ) -> None:
        """Adds a row, over the oldest. endings: GOES_ON, TERMINATED or CUT."""
        start = self.added % self.length * self.envs
        row = slice(start, start + self.envs)
        self.frames[row] = frames.reshape(self.envs, -1).view(torch.int64)
        self.actions[row] = actions
        self.rewards[row] = rewards
        self.endings[row] = endings
        self.added += 1

    def cut(self) -> None:
        """Says that what is added next does not follow from the newest row."""
        if self.added:
            endings = self.endings[self.newest]
            self.endings[self.newest] = endings.where(endings != GOES_ON, CUT)

    def entering(self) -> tuple[Int[Tensor, "envs"], Bool[Tensor, "envs"]]:
        """The slots that may be sampled from now on, n rows before the newest; which are whole.

        A transition is not whole where it was cut before its n steps or its episode were over.
        """
        slots = self.row(self.added - 1 - self.steps)
        endings, reached, _ = self._window(slots)
        return slots, ~((endings == CUT) & reached).any(1)

    def leaving(self) -> Int[Tensor, "envs"]:
        """The slots not to be sampled any more: the newest row lies over a frame of their stack."""
        return self.row(self.added - 2 + self.stack)

    def returns(
        self, slots: Int[Tensor, "batch"]
    ) -> tuple[Float[Tensor, "batch"], Float[Tensor, "batch"]]:
        """Discounted rewards of n steps, and the discount of the value that follows them."""
        _, reached, over = self._window(slots)
        rewards = self.rewards[self._moved(slots[:, None] + self._ahead)]
        return (rewards * reached * self._powers).sum(1), ~over * self.discount**self.steps

    def sample(self, slots: Int[Tensor, "batch"]) -> Transitions:
        """The transitions that begin at `slots`, which must be whole."""
        returns, discounts = self.returns(slots)
        following = self._moved(slots + self.steps * self.envs)
        observations = self.stacks(torch.cat([slots, following]))
        return Transitions(
            observations[: len(slots)],
            self.actions[slots],
            returns,
            discounts,
            observations[len(slots) :],
        )

    def stacks(self, slots: Int[Tensor, "batch"]) -> UInt8[Tensor, "batch stack 84 84"]:
        """Observations as the agent saw them."""
        before = self.endings[self._moved(slots[:, None] - self._back)]
        age = (before == GOES_ON).cumprod(1).sum(1, keepdim=True)  # steps since the first, or more
        there = self._ages.minimum(age)  # before the first frame, the first
        places = self._moved(slots[:, None] - there * self.envs)
        words = self.frames.index_select(0, places.flatten()).view(*places.shape, -1)
        if self.zeros:
            words = words * (self._ages <= age)[..., None]
        return words.view(torch.uint8).view(*places.shape, SIDE, SIDE)

    def rows(self, first: int, last: int) -> dict[str, np.ndarray]:
        """Rows from `first` up to `last`, as (envs, rows, ...): what compresses best."""
        numbers = torch.arange(first, last, device=self._envs.device) % self.length
        return {
            name: values.view(self.length, self.envs, -1)[numbers].transpose(0, 1).cpu().numpy()
            for name, values in self._kept().items()
        }

    def put(self, first: int, rows: dict[str, np.ndarray]) -> None:
        """Puts back what `rows` gave, from row `first` on."""
        for name, values in self._kept().items():
            there = values.view(self.length, self.envs, -1)
            count = rows[name].shape[1]
            numbers = torch.arange(first, first + count, device=values.device) % self.length
            there[numbers] = torch.from_numpy(rows[name]).to(values.device).transpose(0, 1)

    def _kept(self) -> dict[str, Tensor]:
        frames = self.frames.view(torch.uint8)
        parts = {"frames": frames, "actions": self.actions, "rewards": self.rewards}
        return parts | {"endings": self.endings}

    def _moved(self, slots: Tensor) -> Tensor:
        return slots % (self.length * self.envs)

    def _window(self, slots: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Of n steps: the endings, which are reached, and whether the episode ends within."""
        endings = self.endings[self._moved(slots[:, None] + self._ahead)]
        going = (endings == GOES_ON).cumprod(1).bool()
        reached = torch.cat([torch.ones_like(going[:, :1]), going[:, :-1]], 1)
        return endings, reached, ~going[:, -1]
