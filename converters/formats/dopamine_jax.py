"""Dopamine's JAX agents: the pickles `ckpt.N` that its checkpointer writes since 2020.

`online_params` holds the network: plain dicts of flax.nn's layers (the published agents of
August 2020), linen's FrozenDict since 2021, plain dicts of linen's since 2023. Sources:
dopamine/jax/agents/*/*_agent.py (`bundle_and_checkpoint`), jax/_src/array.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from atari_zoo.converters.cards import PREPROCESSINGS
from atari_zoo.converters.errors import ConversionError
from atari_zoo.converters.formats.dopamine_networks import policy_of
from atari_zoo.converters.formats.dopamine_runs import facts_in_path
from atari_zoo.converters.formats.linen import layers
from atari_zoo.converters.pickles.arrays import set_array_state
from atari_zoo.converters.pickles.safe_pickle import NUMPY, load_pickle
from atari_zoo.converters.registry import Probe, Source, reader

SCANNED = 4 << 20  # bytes in which the keys stand: before the weights there is one observation
LARGEST = 512 << 20  # bytes of a file: a Rainbow agent's, with its optimizer, has 60 million
FRAMES_A_STEP = 4
LONGEST = 10**9  # training steps; Dopamine's agents take 50 million
TWINS = ("c51", "rainbow")  # their networks have the same shapes
TWINS_NOTE = "C51's and Rainbow's weights look alike: taken for C51"


def _is_dopamine_pickle(probe: Probe) -> bool:
    if probe.start[:1] != b"\x80" or not probe.path.is_file():
        return False
    with probe.path.open("rb") as file:
        scanned = file.read(SCANNED)
    # the latter are beside TensorFlow's checkpoints: they are read to be by_path what is missing
    return b"online_params" in scanned or (
        b"training_steps" in scanned and b"current_iteration" in scanned
    )


@reader(
    "dopamine-jax",
    "Dopamine checkpoint (JAX)",
    "DQN, C51, Rainbow (noisy, dueling or not), QR-DQN and IQN, from flax.nn or linen",
    _is_dopamine_pickle,
)
def read_dopamine_pickle(path: Path) -> Source:
    """The agent in a checkpoint `ckpt.N`; nothing in the pickle is run.

    Raises ConversionError if it holds no weights, or another network's.
    """
    content = _content(path)
    if "online_params" not in content:
        raise ConversionError(_without_weights(content))
    found = layers(content["online_params"])
    policy = policy_of(found)
    by_path, algorithm, notes = (
        facts_in_path(path.absolute().parent),
        policy.algorithm,
        [*policy.notes],
    )
    if algorithm in TWINS and by_path.get("algorithm") in TWINS:
        algorithm = by_path["algorithm"]
    elif algorithm == "c51":
        notes.append(TWINS_NOTE)
    card = {
        "algorithm": algorithm,
        "action_rule": "argmax",
        "preprocessing": PREPROCESSINGS["dopamine"],
    }
    return Source(
        policy.network,
        card | _frames(content) | (by_path if by_path.get("algorithm") == algorithm else {}),
        written_by=f"Dopamine (JAX, {'flax.nn' if found.one_counter else 'linen'})",
        input="state: uint8, (84, 84, 4)",
        operators={"Conv": len(found.convolutions), found.kind: len(found.dense)},
        flatten="H, W, C",
        notes=notes,
    )


def reconstruct_array(function: Any, args: Any, state: Any, _: Any) -> np.ndarray:
    """A jax array, which holds a NumPy array's own pickle: `jax._src.array._reconstruct_array`.

    Raises ConversionError if it holds anything else.
    """
    if function is not RECONSTRUCT or type(args) is not tuple or len(args) != 3:
        raise ConversionError("a jax array with a damaged state")
    array: np.ndarray = function(*args)
    set_array_state(array, state)
    return array


def _frozen_dict(content: Any = None) -> dict[Any, Any]:
    if type(content) is not dict:
        raise ConversionError("flax's FrozenDict without a dict in it")
    return content


RECONSTRUCT = NUMPY["numpy.core.multiarray._reconstruct"]
ALLOWED: dict[str, Callable[..., Any]] = NUMPY | {
    "jax._src.array._reconstruct_array": reconstruct_array,
    "jax._src.device_array.reconstruct_device_array": reconstruct_array,  # 2022
    "flax.core.frozen_dict.FrozenDict": _frozen_dict,
}


def _content(path: Path) -> Mapping[Any, Any]:
    if path.stat().st_size > LARGEST:
        raise ConversionError(f"larger than {LARGEST >> 20} MB: not a checkpoint of an agent")
    with path.open("rb") as file:
        content = load_pickle(file, ALLOWED)
    if not isinstance(content, dict):
        raise ConversionError(f"a checkpoint's dict was expected; it is {type(content).__name__}")
    return content


def _without_weights(content: Mapping[Any, Any]) -> str:
    if "network_params" in content:
        return "an agent of Dopamine's PPO or SAC, whose network is not that of Mnih et al."
    return "it holds no weights: give the tf_ckpt-N files beside it"


def _frames(content: Mapping[Any, Any]) -> dict[str, int]:
    steps = content.get("training_steps")
    if type(steps) is int and 0 < steps <= LONGEST:
        return {"frames": steps * FRAMES_A_STEP}
    return {}
