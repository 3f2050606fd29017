"""The replay and its priorities against plain loops over everything that ever happened."""

from __future__ import annotations

from contextlib import closing

import numpy as np
import pytest
import torch

from atari_zoo.converters.cards import Preprocessing
from atari_zoo.emulator.environments import Environments
from atari_zoo.training.off_policy.priorities import BLOCK, Priorities
from atari_zoo.training.off_policy.prioritized_replay import PrioritizedReplay
from atari_zoo.training.off_policy.replay import CUT, GOES_ON, TERMINATED, Replay
from atari_zoo.training.off_policy.replay_files import ReplayFiles

ZEROS = Preprocessing(stack_start="zeros")
COPIES = Preprocessing(stack_start="copies")


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def fractions(batch: int, generator: torch.Generator) -> torch.Tensor:
    return torch.rand(2, batch, dtype=torch.float64, generator=generator)


def some_masses(size: int, generator: torch.Generator) -> torch.Tensor:
    """Some thousand times as large as others, a third of them 0, and the last ones, too."""
    masses = torch.rand(size, generator=generator) ** 6
    masses[torch.rand(size, generator=generator) < 1 / 3] = 0
    masses[-5:] = 0
    return masses


def written(masses: torch.Tensor) -> Priorities:
    priorities = Priorities(len(masses))
    priorities.write(torch.arange(len(masses)), masses)
    return priorities


@pytest.mark.parametrize("size", [7, BLOCK, 3 * BLOCK + 5])
def test_entries_are_drawn_in_proportion_to_their_masses(size, generator):
    masses = some_masses(size, generator)
    masses[0] = 1  # where few others are not 0
    priorities = written(masses)
    count = np.zeros(size)
    for _ in range(200):
        entries, drawn = priorities.draw(fractions(512, generator))
        assert torch.equal(drawn, masses[entries])
        count += np.bincount(entries.numpy(), minlength=size)
    assert not count[masses == 0].any()
    expected = masses.double().numpy() / masses.double().sum().item() * count.sum()
    often = expected > 20  # where chi-square is chi-square
    statistic = ((count - expected)[often] ** 2 / expected[often]).sum()
    degrees = often.sum()
    assert statistic < degrees + 5 * (2 * degrees) ** 0.5
    assert count[~often].sum() == pytest.approx(expected[~often].sum(), rel=0.2, abs=20)


def test_an_entry_is_where_a_walk_over_the_masses_ends(generator):
    masses = some_masses(2 * BLOCK + 9, generator)
    masses[:3] = 0
    priorities = written(masses)
    draws = fractions(64, generator)
    draws[:, 0], draws[:, -1] = 0, 1 - 2**-53  # as far out as they come
    found, _ = priorities.draw(draws)
    blocks = [masses[i : i + BLOCK].double().tolist() for i in range(0, len(masses), BLOCK)]
    for piece, (entry, first, second) in enumerate(zip(found, *draws, strict=True)):
        block = walk([sum(b) for b in blocks], (piece + float(first)) / 64)
        assert int(entry) == block * BLOCK + walk(blocks[block], float(second))


def walk(masses: list[float], fraction: float) -> int:
    left = fraction * sum(masses)
    last = 0
    for entry, mass in enumerate(masses):
        if mass:
            last = entry
            left -= mass
            if left < -1e-12:
                return entry
    return last


def test_sums_stay_exact(generator):
    size = 2**21
    priorities = Priorities(size)
    masses = np.zeros(size)
    for _ in range(50):
        entries = torch.randint(size, (512,), generator=generator).unique()
        values = torch.rand(len(entries), generator=generator) * 1e3
        priorities.write(entries, values)
        masses[entries.numpy()] = values.numpy()
    # float64 sums of 1024 numbers, in another order
    expected = masses.reshape(-1, BLOCK).sum(1)
    np.testing.assert_allclose(priorities.sums.numpy(), expected, rtol=1e-13)
    again = Priorities(size)
    again.restore(priorities.masses)
    assert torch.equal(again.sums, priorities.sums)


class History:
    """Everything that was ever added, in plain lists, beside the replay that it was added to."""

    def __init__(self, length: int, envs: int, steps: int, preprocessing: Preprocessing) -> None:
        self.replay = Replay(length, envs, preprocessing, steps, 0.9)
        self.memory = PrioritizedReplay(self.replay, 1.0, 0.0)
        self.random = np.random.default_rng(0)
        self.envs = envs
        self.frames, self.actions, self.rewards, self.endings = [], [], [], []

    def add(self) -> None:
        frames = self.random.integers(1, 256, (self.envs, 84, 84), dtype=np.uint8)
        actions = self.random.integers(6, size=self.envs)
        rewards = self.random.normal(size=self.envs).astype(np.float32)
        endings = self.random.choice([GOES_ON, TERMINATED, CUT], self.envs, p=[0.8, 0.15, 0.05])
        tensors = map(torch.from_numpy, (frames, actions, rewards, endings))
        self.replay.add(*tensors)
        self.memory.enter()
        for kept, new in zip(
            (self.frames, self.actions, self.rewards, self.endings),
            (frames, actions, rewards, endings),
            strict=True,
        ):
            kept.append(new)

    def cut(self) -> None:
        self.replay.cut()
        self.endings[-1] = np.where(self.endings[-1] == GOES_ON, CUT, self.endings[-1])

    def slot(self, time: int, env: int) -> int:
        return time % self.replay.length * self.envs + env

    def observation(self, time: int, env: int) -> np.ndarray:
        stack = [self.frames[time][env]]
        while len(stack) < 4:
            time -= 1
            if time < 0 or self.endings[time][env] != GOES_ON:
                copy = self.replay.zeros == 0
                stack += [stack[-1] * copy] * (4 - len(stack))
                break
            stack.append(self.frames[time][env])
        return np.stack(stack[::-1])

    def transition(self, time: int, env: int):
        """Return, discount, and the time of the value that follows; None if it is not whole."""
        total, discount = 0.0, 1.0
        newest = len(self.frames) - 1
        if time + self.replay.steps > newest:
            return None
        if time - 3 <= newest - self.replay.length:  # a frame may have been overwritten
            return None
        for ahead in range(time, time + self.replay.steps):
            total += discount * self.rewards[ahead][env]
            discount *= 0.9
            if self.endings[ahead][env] == TERMINATED:
                return total, 0.0, None
            if self.endings[ahead][env] == CUT:
                return None
        return total, discount, time + self.replay.steps


@pytest.mark.parametrize("preprocessing", [ZEROS, COPIES], ids=["zeros", "copies"])
@pytest.mark.parametrize("steps", [1, 3])
@pytest.mark.parametrize("rows", [2, 6, 11, 12, 13, 14, 15, 16, 40])
def test_what_is_sampled_is_what_happened(rows, steps, preprocessing):
    history = History(12, 3, steps, preprocessing)
    for time in range(rows):
        history.add()
        if time % 9 == 7:
            history.cut()
    replay, masses = history.replay, history.memory.priorities.masses.view(-1)
    whole = set()
    for time in range(max(0, rows - 12), rows):
        for env in range(3):
            expected = history.transition(time, env)
            slot = torch.tensor([history.slot(time, env)])
            if expected is None:
                continue
            whole.add(int(slot))
            batch = replay.sample(slot)
            total, discount, following = expected
            np.testing.assert_array_equal(batch.observations[0], history.observation(time, env))
            assert int(batch.actions) == history.actions[time][env]
            # float32 sums of three numbers near 1
            assert float(batch.returns) == pytest.approx(total, abs=1e-6)
            assert float(batch.discounts) == pytest.approx(discount, abs=1e-6)
            if following is not None:
                there = history.observation(following, env)
                np.testing.assert_array_equal(batch.following[0], there)
    assert set(masses.nonzero().flatten().tolist()) == whole
    assert rows < 6 or whole


def test_too_small_a_buffer_is_refused():
    with pytest.raises(ValueError, match=r"7 steps in each of 4 .* larger buffer"):
        Replay(7, 4, ZEROS, steps=3)
    Replay(8, 4, ZEROS, steps=3)


@pytest.mark.parametrize("start", ["zeros", "copies"])
def test_observations_come_back_as_the_emulator_gave_them(start):
    preprocessing = Preprocessing(stack_start=start, max_frames=120)  # an episode is 30 steps
    replay = Replay(70, 3, preprocessing)
    seen = []
    with closing(Environments("breakout", 3, preprocessing)) as environments:
        observations = environments.reset(0)
        for number in range(100):
            if number == 80:  # as after a checkpoint
                replay.cut()
                observations = environments.reset(1)
            seen.append(observations.clone())
            step = environments.step(np.random.default_rng(number).integers(4, size=3))
            ends = np.where(step.truncated, CUT, np.where(step.terminated, TERMINATED, GOES_ON))
            replay.add(
                observations[:, -1], *map(torch.from_numpy, (step.actions, step.rewards, ends))
            )
            observations = step.observations
    for row in range(33, 100):
        assert torch.equal(replay.stacks(replay.row(row)), seen[row]), row


def test_importance_weights_undo_the_priorities(generator):
    """Schaul et al. (2016), section 3.4: (N P(i)) ** -beta, divided by the largest."""
    history = History(40, 3, 1, ZEROS)
    for _ in range(30):
        history.add()
    memory = PrioritizedReplay(history.replay, 0.6, 0.4)
    priorities = np.random.default_rng(1).random(120).astype(np.float32) + 0.1
    memory.judge(torch.arange(120), torch.from_numpy(priorities))
    assert memory.highest.item() == pytest.approx(max(1, priorities.max() ** 0.6))
    slots, weights = memory.draw(fractions(16, generator))
    probability = priorities**0.6 / (priorities**0.6).sum()
    expected = (120 * probability[slots.numpy()]) ** -0.4
    np.testing.assert_allclose(weights, expected / expected.max(), rtol=1e-5)  # float32


@pytest.fixture
def saved(tmp_path):
    """A replay of 12 rows that was given 40, saved after each 5, and its files."""
    history = History(12, 2, 1, ZEROS)
    files = ReplayFiles(tmp_path / "replay")
    for _ in range(8):
        for _ in range(5):
            history.add()
        files.write(history.replay)
        files.prune(history.replay)
    return history.replay, files


def names(files: ReplayFiles) -> list[str]:
    return [path.name.replace("0000000000", "") for path in sorted(files.folder.iterdir())]


def same(one: Replay, other: Replay) -> bool:
    parts = zip(one._kept().items(), other._kept().items(), strict=True)
    return one.added == other.added and all(torch.equal(a, b) for (_, a), (_, b) in parts)


def test_a_replay_is_read_back_from_its_files(saved):
    replay, files = saved
    again = Replay(12, 2, ZEROS)
    ReplayFiles(files.folder).read(again, 40)
    assert same(again, replay)


def test_the_last_two_checkpoints_can_be_gone_back_to(saved):
    _, files = saved
    # the one before the last, of 35 rows, needs rows 23 to 35
    assert names(files) == [f"{first}-{first + 5}.npz" for first in (20, 25, 30, 35)]
    before = History(12, 2, 1, ZEROS)
    for _ in range(35):
        before.add()
    again = Replay(12, 2, ZEROS)
    ReplayFiles(files.folder).read(again, 35)
    assert same(again, before.replay)


def test_rows_later_than_the_checkpoint_are_written_anew(saved):
    _, files = saved
    history = History(12, 2, 1, ZEROS)
    for _ in range(35):
        history.add()
    resumed = ReplayFiles(files.folder)
    resumed.read(Replay(12, 2, ZEROS), 35)
    history.add()
    resumed.write(history.replay)
    assert names(files)[-2:] == ["30-35.npz", "35-36.npz"]
    again = Replay(12, 2, ZEROS)
    ReplayFiles(files.folder).read(again, 36)
    assert same(again, history.replay)


def test_a_new_run_deletes_an_older_ones_files(saved):
    _, files = saved
    ReplayFiles(files.folder).write(Replay(12, 2, ZEROS))
    assert names(files) == []


def test_a_long_time_between_checkpoints_saves_no_more_than_the_ring(tmp_path):
    history = History(12, 2, 1, ZEROS)
    files = ReplayFiles(tmp_path / "replay")
    for _ in range(30):
        history.add()
    files.write(history.replay)
    assert names(files) == ["18-30.npz"]
    again = Replay(12, 2, ZEROS)
    ReplayFiles(files.folder).read(again, 30)
    assert same(again, history.replay)


@pytest.mark.parametrize("lost, rows", [("20-25", "28 to 40"), ("30-35", "30 to 40")])
def test_a_missing_file_is_told(saved, lost, rows):
    _, files = saved
    (file,) = files.folder.glob(f"*{lost[:2]}-*{lost[3:]}.npz")
    file.unlink()
    if lost == "20-25":  # not needed by the last checkpoint: only 28 to 40 are
        ReplayFiles(files.folder).read(Replay(12, 2, ZEROS), 40)
        next(iter(sorted(files.folder.iterdir()))).unlink()
    with pytest.raises(ValueError, match=f"replay: rows {rows} of the replay are missing; put"):
        ReplayFiles(files.folder).read(Replay(12, 2, ZEROS), 40)


@pytest.mark.parametrize("damage", ["empty", "cut", "flipped", "renamed"])
def test_a_damaged_file_is_named(saved, damage):
    _, files = saved
    file = sorted(files.folder.iterdir())[-1]
    content = bytearray(file.read_bytes())
    if damage == "flipped":
        content[len(content) // 2] ^= 255
    elif damage == "renamed":  # the rows of another file
        content = bytearray(sorted(files.folder.iterdir())[0].read_bytes())
        file.unlink()
        file = file.with_name(file.name.replace("40.npz", "41.npz"))
    else:
        content = content[: {"empty": 0, "cut": len(content) // 2}[damage]]
    file.write_bytes(content)
    with pytest.raises(ValueError, match=rf"{file.name}: a piece of the replay that cannot be"):
        ReplayFiles(files.folder).read(Replay(12, 2, ZEROS), 41 if damage == "renamed" else 40)
