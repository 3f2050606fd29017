"""The classifier of frames on planted differences: of what agents do, and of how they are shown."""

from __future__ import annotations

from functools import partial

import numpy as np
import pandas
import pytest
import torch

from atari_zoo.analysis.classifier.frames import present_frames
from atari_zoo.analysis.classifier.network import FrameClassifier
from atari_zoo.analysis.classifier.splits import (
    held_back,
    random_folds,
    split_units,
    unit_folds,
)
from atari_zoo.analysis.moments import moments_table
from atari_zoo.analysis.results import Result, open_result
from atari_zoo.analysis.state_classifier import classify
from atari_zoo.analysis.subjects import Subject
from atari_zoo.converters.cards import PREPROCESSINGS, ModelCard, Preprocessing
from atari_zoo.converters.preprocessings import preprocessing_changed
from atari_zoo.recordings.header import Header
from atari_zoo.recordings.recordings import Recording

STEPS, EPISODE = 80, 20
# every row that "nearest" takes of 210 for 84 is bright, which is two in five
BACKGROUND = np.where(np.isin(np.arange(210) % 5, (0, 2)), 100, 0).astype(np.uint8)
NEAREST = preprocessing_changed(PREPROCESSINGS["dopamine"], {"resize": "nearest"})
PALETTE = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1)
SMALL = {"every": 1, "downscale": 7, "epochs": 12}  # 12x12 pixels: seconds


def screens(seed: int, left: bool) -> np.ndarray:
    """A bright bar in one half of a game's fixed background; at another height in each episode."""
    random = np.random.default_rng(seed)
    found = np.broadcast_to(BACKGROUND[:, None], (STEPS, 1, 2, 210, 160)).copy()
    for begin in range(0, STEPS, EPISODE):
        top, across = random.integers(20, 120), 20 if left else 100
        found[begin : begin + EPISODE, ..., top : top + 50, across : across + 40] = 220
    return found


def recording(
    name: str, seed: int, left: bool, seen: Preprocessing = PREPROCESSINGS["dopamine"]
) -> Recording:
    algorithm, run = name.split("/")
    arrays = {
        "frames": screens(seed, left),
        "starts": (np.arange(STEPS) % EPISODE == 0)[:, None],
        "rewards": np.zeros((STEPS, 1), np.float32),
    }
    header = Header(ModelCard(algorithm, "Pong", run), "Pong", seen, palette=PALETTE)
    return Recording(header, arrays)


def found_in(result: Result, frames: str, split: str, labels: str = "true") -> pandas.Series:
    table = result.table
    chosen = (table[["frames", "split", "labels"]] == [frames, split, labels]).all(axis=1)
    (row,) = table[chosen & (table["measure"] == "accuracy")].to_dict("records")
    return pandas.Series(row)


@pytest.fixture(scope="module")
def planted() -> Result:
    """Two runs of each: one algorithm's play has the bar on the left, the other's on the right."""
    runs = [("a2c/1", 1, True), ("a2c/2", 2, True), ("dqn/1", 3, False), ("dqn/2", 4, False)]
    return classify([recording(*run) for run in runs], **SMALL)


def test_a_planted_difference_is_found(planted: Result) -> None:
    row = found_in(planted, "dopamine", "run")
    assert row["value"] > 0.9 and row["low"] > 0.8
    assert (row["chance"], row["n"], row["units"]) == (0.5, 4 * STEPS, 4)
    # 4 runs, 2 of each: 6 labellings, of which the true one alone is as good
    assert row["p"] == row["smallest_p"] == pytest.approx(1 / 6)
    f1 = planted.table[planted.table["class"] == "dqn"].iloc[0]
    assert f1["measure"] == "F1" and f1["value"] > 0.9 and f1["units"] == 2


def test_agents_that_see_alike_are_the_same_as_seen(planted: Result) -> None:
    np.testing.assert_array_equal(planted.arrays["taken"][0], planted.arrays["taken"][1])
    assert planted.uncertainty.endswith("all agents saw by dopamine: as seen is the same")


def test_the_picture_has_a_panel_for_each_trial(planted: Result) -> None:
    figure = planted.picture()
    figure.draw_without_rendering()
    titles = [panel.get_title(loc="left") for panel in figure.axes[:4]]
    assert titles[0].startswith("all rendered as dopamine, split by run\naccuracy")
    assert titles[2].startswith("as seen, split at random\naccuracy")
    assert titles[3].startswith("control: labels shuffled\naccuracy 0.")
    shown = figure.axes[0].images[0].get_array()
    counts = planted.arrays["confusion"][0]
    np.testing.assert_allclose(shown, counts / counts.sum(axis=1, keepdims=True))


def test_shuffled_labels_are_at_chance(planted: Result) -> None:
    row = found_in(planted, "dopamine", "run", "shuffled")
    assert abs(row["value"] - row["chance"]) < 0.15


def test_arrays_agree_with_the_table(planted: Result, tmp_path) -> None:
    taken, truth = planted.arrays["taken"], planted.arrays["truth"]
    for number, (frames, split, labels) in enumerate(planted.arrays["trials"].tolist()):
        right = (taken[number] == truth)[taken[number] >= 0].mean()
        assert found_in(planted, frames, split, labels)["value"] == pytest.approx(right)
        counts = planted.arrays["confusion"][number]
        assert np.trace(counts) / counts.sum() == pytest.approx(right)
    play, step, env, episode = planted.arrays["moments"][STEPS + 25]
    assert (play, step, env, episode) == (1, 25, 0, 1)
    planted.save(tmp_path)
    pandas.testing.assert_frame_equal(open_result(tmp_path).table, planted.table)


def test_rendering_anew_removes_a_planted_confound() -> None:
    """The same kind of play, shown by two resize kernels."""
    area = PREPROCESSINGS["dopamine"]
    kinds = {"a2c/1": NEAREST, "a2c/2": NEAREST, "dqn/1": area, "dqn/2": area}
    agents = [recording(name, seed, True, kinds[name]) for seed, name in enumerate(kinds)]
    result = classify(agents, **SMALL)
    assert found_in(result, "as seen", "run")["value"] > 0.9
    anew = found_in(result, "dopamine", "run")
    assert abs(anew["value"] - 0.5) < 0.3  # 16 episodes, each all right or all wrong


def test_agents_alike_are_at_chance_but_frames_at_random_leak() -> None:
    """Each episode's bar has a height of its own, which tells the episode, and so the agent."""
    agents = [recording("a2c/1", 1, True), recording("dqn/1", 2, True)]
    result = classify(agents, classes="agent", **(SMALL | {"epochs": 30}))
    row = found_in(result, "dopamine", "episode")
    assert row["p"] > 0.1  # 8 episodes: each is all right or all wrong
    leak = found_in(result, "as seen", "random frames")
    assert leak["value"] > 0.9 and np.isnan(leak["p"]) and np.isnan(leak["low"])
    assert "split by episode, as not every class has two runs" in result.uncertainty


def test_frames_are_the_newest_of_the_observations() -> None:
    played = Subject(recording("a2c/1", 1, True, PREPROCESSINGS["tf"]))
    frames = present_frames([played], 3, 1, PREPROCESSINGS["dopamine"])
    expected = played.recording.observations(preprocessing=PREPROCESSINGS["dopamine"])[::3, -1:]
    torch.testing.assert_close(frames, expected.float() / 255)
    own = present_frames([played], 7, 2)
    whole = played.recording.observations()[::7, -1:].float()
    torch.testing.assert_close(own, torch.nn.functional.avg_pool2d(whole, 2))


def table_of(runs: list[tuple[str, int]], length: int = 60) -> pandas.DataFrame:
    """Plays of so many episodes."""
    parts = [
        pandas.DataFrame(
            {
                "play": play,
                "agent": name,
                "class": name[0],
                "episode": np.arange(length) * episodes // length,
            }
        )
        for play, (name, episodes) in enumerate(runs)
    ]
    return pandas.concat(parts, ignore_index=True)


def test_units_are_runs_episodes_or_halves_in_time() -> None:
    by_run = split_units(table_of([("a1", 3), ("a2", 3), ("b1", 3), ("b2", 3), ("b2", 3)]), "ab")
    assert by_run.kind == "run" and len(np.unique(by_run.numbers)) == 4
    saved = split_units(table_of([("a1", 3), ("a1@2M", 3), ("b1", 3), ("b2", 3)]), "ab")
    assert saved.kind == "episode"  # a run's checkpoints are no other run
    mixed = split_units(table_of([("a1", 3), ("a2", 3), ("b1", 1)]), "ab")
    assert (mixed.kind, mixed.halved) == ("episode", ("b",))
    own = mixed.numbers[120:]
    first, second, unused = (np.flatnonzero(own == n) for n in (own[0], own[-1], -1))
    assert len(first) == len(second) == 27 and first.max() < unused.min() < second.min() == 33
    assert len(np.unique(mixed.numbers[:120])) == 6
    with pytest.raises(ValueError, match="10 moments of b; at least 20 are needed"):
        split_units(pandas.concat([table_of([("a1", 2)]), table_of([("b1", 2)], 10)]), "ab")


@pytest.mark.parametrize("seed", range(4))
def test_no_unit_is_on_two_sides(seed: int) -> None:
    random = np.random.default_rng(seed)
    units = random.integers(0, 12, 400)
    labels = units % 2
    folds = unit_folds(labels, units, 3, seed)
    for unit in range(12):
        assert len(np.unique(folds[units == unit])) == 1
    for fold in range(3):
        assert set(labels[folds == fold]) == {0, 1}
        learnt = folds != fold
        held = held_back(labels, units, learnt, seed)
        assert not held[folds == fold].any()
        rest = learnt & ~held
        assert not set(units[held]) & set(units[rest])
        assert 0.1 <= held.sum() / learnt.sum() < 0.4
    few = unit_folds(np.array([0, 0, 1, 1, 1]), np.array([0, 1, 2, 3, 4]), 5, seed)
    assert few.max() == 1  # as many as the class with the fewest units has


def test_held_back_of_one_episode_is_its_end() -> None:
    labels, episodes = np.repeat([0, 1], 50), np.repeat([0, 1], 50)
    held = held_back(labels, episodes, np.ones(100, bool), 0)
    assert np.flatnonzero(held).tolist() == [*range(45, 50), *range(95, 100)]
    by_chance = held_back(labels, None, np.arange(100) < 80, 0)
    assert by_chance.sum() == 8 and not by_chance[80:].any()
    assert np.bincount(random_folds(101, 2, 0)).tolist() == [51, 50]


def test_the_network_is_the_supplements() -> None:
    network = FrameClassifier((1, 84, 84), 7)
    shapes = [tuple(part.shape) for name, part in network.named_parameters() if "weight" in name]
    assert shapes == [(16, 1, 3, 3), (32, 16, 3, 3), (128, 32 * 80 * 80), (7, 128)]


ALIKE = partial(recording, seed=1, left=True)


@pytest.mark.parametrize(
    ("agents", "settings", "message"),
    [
        ([ALIKE("a2c/1"), ALIKE("a2c/2")], {}, "all play is of one algorithm .a2c.: a classifier"),
        ([ALIKE("a2c/1")], {"classes": "agent"}, "all play is of one agent .a2c/Pong/1."),
        ([ALIKE("a2c/1"), ALIKE("dqn/1")], {"classes": "run"}, "no classes 'run'; there are"),
        ([ALIKE("a2c/1"), ALIKE("dqn/1")], {"folds": 1}, "folds is 1; expected 2 or more"),
        ([ALIKE("a2c/1"), ALIKE("dqn/1")], {"every": 0}, "every is 0; expected 1"),
        ([ALIKE("a2c/1"), ALIKE("dqn/1")], {"every": 10}, "8 moments of a2c; at least 20"),
        ([ALIKE("a2c/1"), ALIKE("dqn/1")], {"preprocessing": "x"}, "no preprocessing 'x'"),
    ],
)
def test_refuses(agents: list[Recording], settings: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        classify(agents, **(SMALL | settings))


def test_refuses_play_without_raw_frames() -> None:
    kept = {"screens": np.zeros((STEPS, 1, 84, 84), np.uint8), "starts": ALIKE("a2c/1").starts}
    agents = [Recording(ALIKE(name, seen=NEAREST).header, kept) for name in ("a2c/1", "dqn/1")]
    with pytest.raises(ValueError, match=r"a2c/Pong/1: no raw frames in this recording: record"):
        classify(agents, **SMALL)


def test_moments_are_every_so_many_steps() -> None:
    table = moments_table([Subject(ALIKE("a2c/1")), Subject(ALIKE("dqn/1"))], 25)
    assert table["step"].tolist() == [0, 25, 50, 75] * 2
    assert table["episode"].tolist() == [0, 1, 2, 3] * 2
    assert table["play"].tolist() == [0] * 4 + [1] * 4
