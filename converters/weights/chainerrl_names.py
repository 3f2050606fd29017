"""Names of ChainerRL's agents, and PFRL's, which are the same in torch.

From chainerrl/q_functions/dueling_dqn.py and links/{mlp,noisy_chain}.py. All of their Atari agents
are shown pixels from 0 to 1 (`phi` in examples/atari).
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from atari_zoo.converters.cards import PREPROCESSINGS
from atari_zoo.converters.errors import ConversionError
from atari_zoo.converters.weights.namings import LayerNames

MAIN, STREAMS = "main_stream", ("a_stream", "v_stream")
MEANS, SPREADS = ".mu.", ".sigma."  # of noisy layers, of which the means count
CONVOLUTIONS = ("conv_layers.0", "conv_layers.1", "conv_layers.2")


def with_split_streams(weights: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """The dense layer that both streams share, each having one half of it, as two layers.

    Raises ConversionError if it has no halves.
    """
    names = {name.replace(MEANS, "."): name for name in weights if SPREADS not in name}
    if not {f"{layer}.weight" for layer in (MAIN, *STREAMS)} <= names.keys():
        return weights
    found = {name: weights[own] for name, own in names.items()}
    for part in ("weight", "bias"):
        whole = found.pop(f"{MAIN}.{part}", None)
        if whole is None or whole.ndim == 0 or len(whole) % 2:
            raise ConversionError(f"'{MAIN}.{part}' is missing, or cannot be halved")
        for stream, half in zip(STREAMS, whole.chunk(2), strict=True):
            found[f"{MAIN}.{stream}.{part}"] = half
    return found


CHAINERRL = (
    LayerNames(
        "ChainerRL, PFRL (dueling DQN)",
        "dueling",
        CONVOLUTIONS,
        {
            "value fc": "v_stream.hidden_layers.0",
            "value": "v_stream.output",
            "advantage fc": "a_stream.hidden_layers.0",
            "advantage": "a_stream.output",
        },
        algorithm="dqn",
        preprocessing=PREPROCESSINGS["deepmind"],
    ),
    LayerNames(
        "ChainerRL, PFRL (Rainbow)",
        "categorical dueling",
        CONVOLUTIONS,
        {
            "value fc": f"{MAIN}.v_stream",
            "value": "v_stream",
            "advantage fc": f"{MAIN}.a_stream",
            "advantage": "a_stream",
        },
        algorithm="rainbow",
        preprocessing=PREPROCESSINGS["deepmind"],
        support="z_values",
    ),
)
