"""Values of layers at the steps of a recording, some steps at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Shaped
from torch import Tensor

from atari_zoo.agent_states import recorded_states
from atari_zoo.converters.network.foreign import Network
from atari_zoo.layers import activations
from atari_zoo.players import is_own_play
from atari_zoo.recordings.recordings import Recording
from atari_zoo.viz.movies.played import blocks
from atari_zoo.viz.movies.tiles import tile_shape

BATCH = 128  # observations at a time: bounds the memory, about 15 MB of activations
OUTPUT, VALUE = "output", "value"


@dataclass(frozen=True)
class ValueBlock:
    """What a network saw and computed at some steps.

    layers: by name, (steps, channels, values). shapes: of each, as the network has it.
    values: of the states; None of an agent whose value is not one number, or that has none.
    """

    steps: range
    observations: Shaped[Tensor, "steps frames rows columns"]
    layers: dict[str, Float[np.ndarray, "steps channels values"]]
    shapes: dict[str, tuple[int, ...]]
    outputs: Float[np.ndarray, "steps actions"]
    values: Float[np.ndarray, "steps"] | None


def value_blocks(
    network: Network, recording: Recording, env: int, steps: range, names: Sequence[str]
) -> Iterator[ValueBlock]:
    """The layers of these names at each of the steps, in order; computed when they are asked for.

    Outputs are those that were recorded, if the network played itself and they were.
    Raises ValueError as `activations` does, and for a layer that has no picture.
    """
    kept = recording.outputs if is_own_play(network, recording) else None
    wanted = [*names, *(() if kept is not None else (OUTPUT,))]
    wanted += [VALUE] if VALUE in network.layers else []
    wanted = list(dict.fromkeys(wanted))
    for some in blocks(steps, BATCH):
        span = slice(some.start, some.stop)
        seen = recording.observations(env, span)
        states = recorded_states(network, recording, env, span, wanted)
        found = activations(network, seen, wanted, BATCH, state=states) if wanted else {}
        if "fc" in found and found["fc"].ndim == 3:  # IQN: (steps, samples, units)
            found["fc"] = found["fc"].mean(dim=1)
        shapes = {name: tuple(found[name].shape[1:]) for name in names}
        layers = {
            name: found[name].float().numpy().reshape(len(some), tile_shape(shapes[name])[0], -1)
            for name in names
        }
        outputs = found[OUTPUT].float().numpy() if kept is None else np.asarray(kept[span, env])
        yield ValueBlock(some, seen, layers, shapes, outputs, _values(found.get(VALUE)))


def _values(found: Tensor | None) -> Float[np.ndarray, "steps"] | None:
    # C51's dueling value is a distribution, not a number: leave it out
    if found is None or found[0].numel() != 1:
        return None
    return found.float().reshape(-1).numpy()
