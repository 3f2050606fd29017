"""Recurrent agents: a trunk, a memory (LSTM, GRU), and a head that reads the memory.

As in DRQN (Hausknecht and Stone, 2015, arXiv:1507.06527), IMPALA (Espeholt et al., 2018,
arXiv:1802.01561), R2D2, and the recurrent policies of sb3-contrib, CleanRL and torchbeast.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from atari_zoo.converters.cards import ModelCard
from atari_zoo.converters.network.agent_networks import AgentNetwork, AgentTrunk
from atari_zoo.converters.network.heads import Head
from atari_zoo.converters.network.memories import Critic, RecurrentLayers
from atari_zoo.converters.network.stateful import StatefulNetwork, StatePart

REWARD, ACTION = "reward", "action"


class RecurrentNetwork(StatefulNetwork, AgentNetwork):
    """A trunk, a memory and a head; its layers are theirs, and `memory`, what the head reads.

    memory: None where the head reads the trunk, and is told something beside it.
    critic: of a value that does not read the memory; its layers are `critic_memory` or
        `critic_fc`, and `value`.
    told: what stands behind the features: "reward", the last one, clipped to -1..1, and "action",
        the last one, one-hot, as in torchbeast. They are parts of the state, and stay where an
        episode starts; before the first step they are 0, and action 0.

    >>> memory = RecurrentLayers("lstm", 512, 256)
    >>> RecurrentNetwork(Trunk(), memory, QHead(256, actions=6)).states
    (StatePart(name='hidden', shape=(1, 256)), StatePart(name='cell', shape=(1, 256)))
    """

    def __init__(
        self,
        trunk: AgentTrunk,
        memory: RecurrentLayers | None,
        head: Head,
        critic: Critic | None = None,
        told: tuple[str, ...] = (),
        card: ModelCard | None = None,
    ) -> None:
        super().__init__(trunk, head, card)
        self.memory, self.critic, self.told_parts = memory, critic, told
        sizes = {REWARD: 1, ACTION: head.actions}
        self.states = (
            *(memory.states if memory is not None else ()),
            *(critic.states if critic is not None else ()),
            *(StatePart(name, (sizes[name],)) for name in told),
        )
        self._sizes = [part.size for part in self.states]

    @property
    def architecture(self) -> str:
        named = self.memory.kind.upper() if self.memory is not None else "the last reward or action"
        return f"{self.trunk.architecture} with {named}"

    @property
    def layers(self) -> dict[str, nn.Module]:
        memory = {} if self.memory is None else {"memory": self.memory.output}
        critic = {} if self.critic is None else self.critic.layers
        return self.trunk.layers | memory | critic | self.head.layers

    def initial_state(self, batch: int = 1) -> Float[Tensor, "batch numbers"]:
        state = super().initial_state(batch)
        if ACTION in self.told_parts:
            state[:, self._place(ACTION).start] = 1
        return state

    def begun(
        self, state: Float[Tensor, "batch numbers"], starts: Bool[Tensor, "batch"]
    ) -> Float[Tensor, "batch numbers"]:
        begun = super().begun(state, starts)
        told = sum(self._sizes[len(self._sizes) - len(self.told_parts) :])
        if told:  # what was done last is what it was
            begun = torch.cat([begun[:, :-told], state[:, -told:]], dim=1)
        return begun

    def told(
        self, state: Float[Tensor, "batch numbers"], actions: Tensor, rewards: Tensor
    ) -> Float[Tensor, "batch numbers"]:
        if not self.told_parts:
            return state
        state = state.clone()
        for name in self.told_parts:
            place = self._place(name)
            if name == REWARD:
                state[:, place] = rewards[:, None].clamp(-1, 1).to(state)
            else:
                state[:, place] = nn.functional.one_hot(actions.long(), self.actions).to(state)
        return state

    def step(
        self, observations: Tensor, state: Float[Tensor, "batch numbers"]
    ) -> tuple[Tensor, Tensor]:
        weight = next(self.head.parameters())  # of a trunk in half precision it is another type
        features, state = self.trunk(observations).to(weight), state.to(weight)
        rows = state.split(self._sizes, dim=1)
        told = rows[len(rows) - len(self.told_parts) :]
        core = torch.cat([features, *told], dim=1)
        own = 0 if self.memory is None else self.memory.size
        kept = sum(part.size for part in self.states) - sum(map(_width, told))
        parts = []
        if self.memory is not None:
            core, following = self.memory(core, state[:, :own])
            parts.append(following)
        if self.critic is not None:
            parts.append(self.critic(features, state[:, own:kept]))
        return self.head(core), torch.cat([*parts, *told], dim=1)

    def _place(self, name: str) -> slice:
        """Where a part stands in a row."""
        number = [part.name for part in self.states].index(name)
        start = sum(self._sizes[:number])
        return slice(start, start + self._sizes[number])


def _width(rows: Tensor) -> int:
    return rows.shape[1]
