"""Runs that diverge, that cannot begin, and what any run leaves behind: of every algorithm."""

from __future__ import annotations

import subprocess
from collections import Counter
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from atari_zoo.converters.cards import PREPROCESSINGS
from atari_zoo.training.off_policy.replay import CUT, GOES_ON, TERMINATED
from atari_zoo.training.registry import TRAINERS, config, trainer
from atari_zoo.training.runs import RunFolder
from atari_zoo.training.trained_agents import trained_agent
from atari_zoo.training.trainers import Trainer, TrainingConfig

NEVER = 10**9  # frames between two checkpoints, or two rows of the log
# the emulators are processes of their own, and each rate is beyond all reason
COMMON = {
    "rom": "pong", "seed": 1, "envs": 2, "threads": 1, "save_every": NEVER, "log_every": NEVER,
    "preprocessing": PREPROCESSINGS["deepmind"],
}  # fmt: skip
ACTOR_CRITIC = {"unroll": 2, "frames": 64, "learning_rate": 1e30, "anneal": False}
VALUES = {
    "frames": 160, "learning_rate": 1e30, "buffer": 40, "min_history": 16, "batch": 2,
    "update_every": 2,
}  # fmt: skip
EVOLUTION = {"population": 2, "trials": 1, "noise": 2**21, "max_steps": 2, "frames": 120}
DIVERGING = {
    "a2c": ACTOR_CRITIC,
    "impala": ACTOR_CRITIC | {"batch": 2},
    "dqn": VALUES,
    "rainbow": VALUES,
    "apex": VALUES,
    "es": EVOLUTION | {"learning_rate": 1e30, "virtual_batch": 0},
    "ga": EVOLUTION | {"parents": 1, "candidates": 2},
}
each = pytest.mark.parametrize("algorithm", TRAINERS)


def settings(algorithm: str, **changes: object) -> TrainingConfig:
    return config(algorithm, **COMMON | DIVERGING[algorithm] | changes)


def children() -> Counter[str]:
    """This process's children, as the system lists them."""
    shown = subprocess.run(
        ["ps", "--ppid", str(subprocess.os.getpid()), "-o", "args="], capture_output=True, text=True
    )
    lines = [line for line in shown.stdout.splitlines() if "atari_zoo" in line]
    return Counter(lines)


@each
def test_what_has_diverged_is_not_saved(algorithm: str, tmp_path: Path) -> None:
    run = tmp_path / "run"
    made = trainer(algorithm)(run, settings(algorithm), "cpu")
    if algorithm == "ga":  # which has no rate: its mutations are such
        made.noise.numbers.fill_(float("inf"))
    with pytest.raises(FloatingPointError, match="the last good checkpoint is kept") as caught:
        made.train()
    assert str(run) in str(caught.value) and "\n" not in str(caught.value)
    (saved,) = (run / "checkpoints").iterdir()
    assert saved.name == "000000000000.safetensors"
    assert all(np.isfinite(weights.numpy()).all() for weights in load_file(saved).values())
    assert not children()  # neither emulators nor anything else
    with closing(trainer(algorithm)(run, settings(algorithm), "cpu")) as again:
        assert again.frames == 0  # it goes on from what is good
        again.folder.release()


@each
def test_no_process_outlives_a_trainer(algorithm: str, tmp_path: Path) -> None:
    made = trainer(algorithm)(tmp_path / "run", settings(algorithm), "cpu")
    assert children()
    made.close()
    assert not children()


IMPOSSIBLE = {
    "a2c": ({"envs": 4, "threads": 3}, "4 environments cannot be shared by 3"),
    "impala": ({"rom": "pnog"}, "pnog"),
    "dqn": ({"buffer": 8, "min_history": 8}, "cannot hold a transition"),
    "rainbow": ({"preprocessing": "vector", "rom": "pnog"}, "pnog"),
    "apex": ({"buffer": 8, "min_history": 8}, "cannot hold a transition"),
    "es": ({"noise": 1000}, "1000 numbers is too short"),
    "ga": ({"envs": 4, "threads": 3}, "4 environments cannot be shared by 3"),
}


@each
def test_a_run_that_cannot_begin_leaves_nothing_behind(algorithm: str, tmp_path: Path) -> None:
    changes, message = IMPOSSIBLE[algorithm]
    with pytest.raises(ValueError, match=message):
        trainer(algorithm)(tmp_path / "runs" / "run", settings(algorithm, **changes), "cpu")
    assert list(tmp_path.iterdir()) == []
    assert not children()


def test_a_run_that_is_there_is_left_as_it_is(tmp_path: Path) -> None:
    with closing(trainer("es")(tmp_path, settings("es"), "cpu")) as first:
        first.folder.release()
    before = {file.name: file.stat().st_size for file in tmp_path.rglob("*")}
    (tmp_path / "latest.pt").write_bytes(b"cut short")
    with pytest.raises(ValueError, match="cannot be read"):
        trainer("es")(tmp_path, settings("es"), "cpu")
    assert {file.name for file in tmp_path.rglob("*")} == before.keys()


def test_a_state_that_is_not_finite_is_not_gone_on_with(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path, "a2c", settings("a2c"))
    folder.save(400, {}, {"optimizer": {0: [torch.ones(2)]}, "recent": [1.0]})
    folder.save(800, {}, {"optimizer": {0: [torch.tensor([1.0, float("nan")])]}, "recent": []})
    with pytest.warns(UserWarning, match="latest.pt: a checkpoint with numbers that are not fin"):
        assert folder.resume()["frames"] == 400
    (tmp_path / "previous.pt").unlink()
    with pytest.raises(ValueError, match="put back a good copy"):
        folder.resume()


def test_weights_that_are_not_finite_become_no_agent(tmp_path: Path) -> None:
    with closing(trainer("es")(tmp_path, settings("es"), "cpu")) as made:
        made.network.head.output.bias.data[0] = float("inf")
        made.folder.save(800, made.network.state_dict(), {})
        made.folder.release()
    with pytest.raises(ValueError, match="not finite numbers; the run has diverged"):
        trained_agent(tmp_path, tmp_path / "checkpoints" / "000000000800.safetensors")


def test_a_replay_hears_of_a_lost_life_and_of_a_time_limit(tmp_path: Path) -> None:
    """Where the preprocessing begins the stack anew, the replay does, and nothing lies ahead."""
    made = trainer("dqn")(
        tmp_path,
        settings(
            "dqn", rom="breakout", frames=NEVER, min_history=1000, buffer=1000,
            preprocessing=PREPROCESSINGS["deepmind"],
        ),
        "cpu",
    )  # fmt: skip
    with closing(made):
        made.begin(3)
        ends, receive, seen = [], made.environments.recv, []

        def recv():
            step = receive()
            over = step.terminated | step.life_ended
            ends.append(np.where(over, TERMINATED, np.where(step.truncated, CUT, GOES_ON)))
            return step

        made.environments.recv = recv
        for _ in range(150):
            seen.append(made.observations.clone())
            made.update()
        ends = np.stack(ends)
        assert (ends == TERMINATED).sum() >= 3
        found = made.replay.endings.view(-1, 2)[: len(ends)].numpy()
        np.testing.assert_array_equal(found, ends)
        rows = torch.arange(len(seen))[:, None] * 2 + torch.arange(2)
        assert torch.equal(made.replay.stacks(rows.flatten()), torch.cat(seen))


def test_the_score_of_ga_is_not_the_one_it_chose_by(tmp_path: Path) -> None:
    """Every individual is worth 0, its games vary by 100: so does the log, and not upwards."""
    made: Trainer = trainer("ga")(
        tmp_path, settings("ga", population=8, parents=2, candidates=4, trials=5, sigma=1e-3), "cpu"
    )
    with closing(made):
        made.begin(1)
        draw = np.random.default_rng(0)
        made.play = lambda individuals: (draw.normal(0, 100, len(individuals)), 4)
        logged = []
        for _ in range(50):
            assert made.update().frames == 12
            assert len(made.recent) == 5
            logged.append(made.score)
    # the mean of 250 games: 6.3; the best of four means of 5 would be 46 above
    assert abs(np.mean(logged)) < 25
