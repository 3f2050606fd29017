"""Any whole number is a seed, on every path; and what cannot begin leaves nothing behind."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import atari_zoo as zoo
from atari_zoo.catalog.catalog import find
from atari_zoo.converters.cards import PREPROCESSINGS
from atari_zoo.emulator.environments import Environments
from atari_zoo.play.noise import Noise
from atari_zoo.seeds import EMULATORS, FAR, consecutive_seeds, generator_seed, seed_apart
from atari_zoo.sweeps.sweeps import sweep
from atari_zoo.untrained.untrained import initial_network

# rl-zoo3 draws seeds from 0 to 2^32 - 1; ALE takes -1 for the clock; generators have their limits
SEEDS = [-1, -3, 2**31 - 1, 4265367534, 2**64 + 5]
PATHS = {
    "native pool": {"preprocessing": "dopamine"},  # sticky actions: the emulator draws too
    "processes": {"preprocessing": "modern"},
    "processes, ale's draws": {"preprocessing": "envpool", "sticky": 0.25},
    "noise": {"noise": Noise(observation=0.1, parameters=0.01, actions=0.1), "action": "sample"},
}


def played(network: Any, seed: int, **options: Any) -> list[np.ndarray]:
    asked = {"steps": 8, "envs": 2, "keep": ["screens"]} | options
    found = zoo.rollout(network, seed=seed, **asked)
    return [found.actions, *(found.observations(env).numpy() for env in range(2))]


PAIRS = [("native pool", seed) for seed in SEEDS]
PAIRS += [(path, seed) for path in [*PATHS][1:] for seed in (-1, 2**64 + 5)]


@pytest.mark.parametrize("path, seed", PAIRS)
def test_any_whole_number_repeats_the_play(random_agent, path: str, seed: int) -> None:
    network = random_agent("Breakout")
    first, again = (played(network, seed, **PATHS[path]) for _ in range(2))
    for one, two in zip(first, again, strict=True):
        np.testing.assert_array_equal(one, two)


def test_environment_i_has_seed_plus_i_wherever_it_begins(random_agent) -> None:
    """Over the ends of what an emulator takes, and however the environments are grouped."""
    for seed, name in ((-1, "dopamine"), (-1, "modern"), (2**31 - 1, "dopamine")):
        with closing(Environments("breakout", 2, PREPROCESSINGS[name], threads=1)) as two:
            two.reset(seed)
            for _ in range(5):
                second = two.step(np.array([3, 3])).observations[1]
        with closing(Environments("breakout", 1, PREPROCESSINGS[name], threads=1)) as alone:
            alone.reset(seed + 1)
            for _ in range(5):
                expected = alone.step(np.array([3])).observations[0]
        assert torch.equal(second, expected)
    network = random_agent("Breakout")
    whole, parts = (played(network, 2**31 - 2, groups=groups) for groups in (1, 2))
    for one, two in zip(whole, parts, strict=True):
        np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("seed", SEEDS)
def test_untrained_weights_are_those_of_their_seed(seed: int) -> None:
    entry = find("es/Seaquest/1@initial")
    first, again, other = (
        initial_network(entry.card, number, virtual_batch=2) for number in (seed, seed, seed + 1)
    )
    assert all(map(torch.equal, first.parameters(), again.parameters()))
    assert not all(map(torch.equal, first.parameters(), other.parameters()))


def test_numbers_that_generators_take_are_themselves() -> None:
    for seed in (0, 7, 2**31, 2**63 - 1):
        assert generator_seed(seed) == generator_seed(np.uint64(seed)) == seed
    assert consecutive_seeds(2**31 - 1, 3, 2**31).tolist() == [2**31 - 1, 0, 1]


@pytest.mark.parametrize("seed", [1.5, "seven", None])
def test_what_is_no_whole_number_gets_one_line(seed: Any) -> None:
    for refuses in (generator_seed, lambda given: consecutive_seeds(given, 2, 2**31)):
        with pytest.raises(ValueError, match=r"^seed is .*; expected a whole number, such as 0$"):
            refuses(seed)


def test_a_rollout_that_cannot_begin_leaves_no_folder(random_agent, tmp_path: Path) -> None:
    network, path = random_agent("Pong"), tmp_path / "new" / "play.zarr"
    with pytest.raises(ValueError, match="mode"):
        zoo.rollout(network, steps=2, envs=1, mode=99, path=path)
    with pytest.raises(ValueError, match="mode"):
        zoo.rollout([network, network], steps=2, envs=1, mode=99, path=tmp_path / "new")
    assert not list(tmp_path.iterdir())
    zoo.rollout(network, steps=2, envs=1, path=path)
    with pytest.raises(FileExistsError):
        zoo.rollout(network, steps=2, envs=1, path=path)
    with pytest.raises(ValueError, match="another way of playing"):
        zoo.rollout(network, steps=2, envs=1, path=path, mode=99, resume=True)
    assert zoo.open_recording(path).steps == 2


def test_a_sweep_that_cannot_begin_leaves_no_folder(tmp_path: Path, monkeypatch) -> None:
    def refuses(tasks: Any, scheduler: str) -> Any:
        raise OSError("there is no scheduler")  # as Dask's client does after its 20 seconds

    monkeypatch.setattr("atari_zoo.sweeps.sweeps.cluster", refuses)
    with pytest.raises(OSError, match="no scheduler"):
        sweep("score", ["a2c/Pong/1"], tmp_path / "scores", scheduler="tcp://127.0.0.1:9")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("first", [0, 5, FAR, FAR - 3, FAR + 7, 2 * FAR, FAR - EMULATORS + 2])
def test_a_seed_apart_shares_no_game(first: int) -> None:
    found = seed_apart(0, first, 8, 8)
    games = [set(consecutive_seeds(seed, 8, EMULATORS).tolist()) for seed in (found, first)]
    assert not games[0] & games[1]
