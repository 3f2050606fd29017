"""Held-out play: whole episodes that nothing was learned from."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas
import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from atari_zoo.agent_states import recorded_states
from atari_zoo.analysis.dictionaries.layer_changes import (
    Change,
    outputs_changed,
    unchanged,
    with_layer_changed,
)
from atari_zoo.analysis.dictionaries.reconstruction import torch_rows
from atari_zoo.analysis.measures.thinning import step_stride
from atari_zoo.analysis.subjects import Subject
from atari_zoo.converters.network.foreign import Network
from atari_zoo.converters.preprocessings import Preprocessing
from atari_zoo.layers import activations
from atari_zoo.play.rollouts import rollout
from atari_zoo.recordings.recordings import Recording

ENVS = 8  # at once, at most
MOMENTS = 2_000  # of the episodes, evenly spread, that reconstructions are compared at
FRAMES = 40_000  # of an episode, at most: an agent without its layer may never press FIRE


@dataclass(frozen=True)
class HeldOut:
    """Some moments of whole new episodes, and how these ended.

    seen: what the agent saw there. states: what it carried, if it carries any.
    variables: named ones of the game's memory there, or its bytes. returns: of the episodes.
    """

    network: Network
    layer: str
    seen: Shaped[Tensor, "moments channels height width"]
    states: Tensor | None
    episodes: Int[np.ndarray, "moments"]
    variables: pandas.DataFrame
    returns: Float[np.ndarray, "episodes"]

    @cached_property
    def values(self) -> Float[Tensor, "moments units"]:
        """The layer's."""
        return rows_of_layer(self.network, self.layer, self.seen, self.states)

    @cached_property
    def outputs(self) -> Float[Tensor, "moments actions"]:
        """The intact network's."""
        return self.outputs_with(unchanged)

    def outputs_with(
        self, change: Change, moments: Int[np.ndarray, "some"] | None = None
    ) -> Float[Tensor, "some actions"]:
        """Those with the layer changed, at some of the moments."""
        some = slice(None) if moments is None else torch.from_numpy(moments)
        states = None if self.states is None else self.states[some]
        return outputs_changed(self.network, self.layer, change, self.seen[some], states)


def rows_of_layer(
    network: Network, layer: str, seen: Tensor, states: Tensor | None
) -> Float[Tensor, "moments units"]:
    """A layer's values. Raises ValueError if they are maps."""
    found = activations(network, seen, [layer], state=states)[layer]
    return torch_rows(found.float().numpy(), layer)


def play_held_out(network: Network, layer: str, episodes: int, seed: int) -> HeldOut:
    """Plays so many whole episodes."""
    played = rollout(
        network,
        episodes=episodes,
        envs=min(episodes, ENVS),
        seed=seed,
        keep=["screens", "ram"],
        preprocessing=_bounded(network),
    )
    seen, states, numbers = spread_moments(network, played, MOMENTS)
    subject = Subject(played, network)
    memory = named_memory(subject).iloc[numbers]
    episode = subject.episodes[numbers]
    return HeldOut(network, layer, seen, states, episode, memory, played.returns)


def without_repeats(held: HeldOut, learned: Recording) -> HeldOut:
    """The moments whose observation is not in the play that was learned from: a deterministic agent
    repeats itself. Raises ValueError if none are left."""
    envs = learned.starts.shape[1]
    known = {_key(row) for env in range(envs) for row in learned.observations(env)}
    kept = np.array([_key(row) not in known for row in held.seen], bool)
    if not kept.any():
        raise ValueError(
            "every moment of the new play is in the play that was learned from, too: give a "
            "recording of other games, or an agent that begins or acts at random"
        )
    some = torch.from_numpy(kept)
    return replace(
        held,
        seen=held.seen[some],
        states=None if held.states is None else held.states[some],
        episodes=held.episodes[kept],
        variables=held.variables[kept],
    )


def _key(observation: Tensor) -> int:
    return hash(observation.numpy().tobytes())


def spread_moments(
    network: Network, recording: Recording, most: int
) -> tuple[
    Shaped[Tensor, "moments channels height width"], Tensor | None, Int[np.ndarray, "moments"]
]:
    """At most so many moments of a recording, evenly spread, one environment after the other:
    what was seen, what was carried (if anything is), and the moments' numbers."""
    steps, envs = recording.starts.shape
    stride = slice(0, None, step_stride(np.repeat(np.arange(steps), envs), most))
    numbers = np.arange(steps * envs).reshape(steps, envs)[stride].T.reshape(-1)
    seen = [recording.observations(env, stride) for env in range(envs)]
    states = [recorded_states(network, recording, env, stride) for env in range(envs)]
    carried = [state for state in states if state is not None]
    return torch.cat(seen), torch.cat(carried) if carried else None, numbers


def returns_with(
    network: Network, layer: str, change: Change, episodes: int, seed: int
) -> Float[np.ndarray, "episodes"]:
    """What the same episodes end with while the layer is changed in every step of play."""
    with with_layer_changed(network, layer, change):
        played = rollout(
            network,
            episodes=episodes,
            envs=min(episodes, ENVS),
            seed=seed,
            preprocessing=_bounded(network),
        )
    return played.returns


def named_memory(subject: Subject) -> pandas.DataFrame:
    """The game's named variables at each moment; of a game without any, the bytes of its memory."""
    named = subject.variables
    if len(named.columns):
        return named
    return pandas.DataFrame(subject.ram.astype(float)).rename(columns=lambda byte: f"byte {byte}")


def _bounded(network: Network) -> dict[str, int]:
    own: Preprocessing = network.card.preprocessing
    return {"max_frames": min(FRAMES, own.max_frames)}
