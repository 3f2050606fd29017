"""Recordings as Minari datasets (https://minari.farama.org), for offline reinforcement learning."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Iterator
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from gymnasium.spaces import Box, Discrete

from atari_zoo.recordings.recordings import Recording

if TYPE_CHECKING:
    from minari import MinariDataset
    from minari.data_collector import EpisodeBuffer


def to_minari(recording: Recording, dataset_id: str, **metadata: Any) -> MinariDataset:
    """Makes the local Minari dataset `dataset_id`, such as "atari/pong/a2c-v0", of a recording.

    Every episode of every environment becomes one of the dataset, in that order, the one that the
    recording's end cut off too, as truncated. Observations are (channels, height, width), actions
    those executed. Minari wants an observation after the last action, which recordings do not
    have: the last one stands there twice.

    metadata: what `minari.create_dataset_from_buffers` takes, such as author=, code_permalink=,
        description= or data_format=. Minari keeps datasets in MINARI_DATASETS_PATH.

    Raises ImportError without Minari, ValueError if that is no id of a dataset, if the recording
    lacks what observations are rebuilt from or actions, or if there is such a dataset already.
    """
    if find_spec("minari") is None:
        raise ImportError("Minari is missing: pip install 'atari-zoo[minari]'")
    import minari
    from minari.storage.datasets_root_dir import get_dataset_path

    _check_id(dataset_id)
    if recording.actions.shape != recording.starts.shape:
        raise ValueError("no actions in this recording: cached play has kept none")
    first = recording.observations(steps=slice(0, 1))[0].numpy()
    high = 255 if first.dtype == np.uint8 else 1
    described: dict[str, Any] = {
        "algorithm_name": recording.card.algorithm,
        "description": f"{recording.card.name} playing {recording.game}, "
        f"preprocessing {recording.preprocessing.name}, seed {recording.seed}",
        "observation_space": Box(0, high, first.shape, first.dtype.type),
        "action_space": Discrete(len(recording.action_names)),
        "jpeg_encoding": False,
    }
    path = Path(get_dataset_path(dataset_id))
    if path.exists():
        raise ValueError(f"{path}: there is a dataset '{dataset_id}' already; choose another name")
    try:
        with warnings.catch_warnings():
            # of metadata that were not given
            warnings.filterwarnings("ignore", category=UserWarning, module="minari")
            # it only goes through them, so that they need not be in memory together
            return minari.create_dataset_from_buffers(
                dataset_id, _episodes(recording), **(described | metadata)
            )
    except BaseException:
        shutil.rmtree(path, ignore_errors=True)  # it would be there in part
        raise


def _check_id(dataset_id: str) -> None:
    """Raises ValueError where Minari would not take it: of one without a version it says nothing
    that one could understand, and only when the data are written."""
    from minari.dataset.minari_dataset import parse_dataset_id

    try:
        parse_dataset_id(dataset_id)
    except (ValueError, TypeError) as error:
        raise ValueError(
            f"'{dataset_id}' is no id of a Minari dataset; expected namespace/name-version in "
            "letters, digits, - and _, such as 'atari/pong/mine-v0'"
        ) from error


def _episodes(recording: Recording) -> Iterator[EpisodeBuffer]:
    from minari.data_collector import EpisodeBuffer

    for env in range(recording.starts.shape[1]):
        ends = np.flatnonzero(recording.over[:, env]) + 1
        borders = sorted({0, *ends.tolist(), len(recording.over)})
        for start, stop in pairwise(borders):
            steps = slice(start, stop)
            seen = recording.observations(env, steps).numpy()
            terminated = recording.terminated[steps, env]
            truncated = recording.truncated[steps, env].copy()
            truncated[-1] |= not terminated[-1]
            yield EpisodeBuffer(
                seed=recording.seed + env,
                observations=np.concatenate([seen, seen[-1:]]),
                actions=recording.executed[steps, env],
                rewards=recording.rewards[steps, env],
                terminations=terminated,
                truncations=truncated,
                infos={},
            )
