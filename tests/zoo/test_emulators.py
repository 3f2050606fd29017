"""The pool of emulators, against the emulator itself; and that its processes end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from ale_py import ALEInterface, LoggerMode, roms

from atari_zoo.converters.cards import Preprocessing
from atari_zoo.emulator.cartridges import Cartridge
from atari_zoo.emulator.pool import Emulators
from atari_zoo.emulator.resets import ale_draws, gymnasium_draws
from atari_zoo.emulator.shared_arrays import memory_layout

SEED = 5
BARE = Preprocessing(noops=0, fire_reset=False)


def bare_emulator(
    rom: str, seed: int = SEED, told: Callable = id, sticky: float = 0.0
) -> ALEInterface:
    ALEInterface.setLoggerMode(LoggerMode.Error)
    emulator = ALEInterface()
    emulator.setInt("random_seed", seed)
    emulator.setFloat("repeat_action_probability", sticky)
    emulator.loadROM(roms.get_rom_path(rom))
    told(emulator)
    emulator.reset_game()
    return emulator


def alive(process: int) -> bool:
    """Whether it runs, and is not only waiting to be asked how it ended."""
    try:
        return Path(f"/proc/{process}/stat").read_text().split()[2] != "Z"
    except FileNotFoundError:
        return False


def wait_for_end(processes: list[int]) -> None:
    until = time.monotonic() + 20
    while any(map(alive, processes)):
        assert time.monotonic() < until, "they live on"
        time.sleep(0.05)


@pytest.mark.parametrize("rom", ["seaquest", "air_raid"])
@pytest.mark.parametrize("frame_skip", [4, 1])
def test_screens_and_ram_are_the_emulators(rom, frame_skip):
    emulator = bare_emulator(rom)
    legal = emulator.getMinimalActionSet()
    preprocessing = Preprocessing(noops=0, fire_reset=False, frame_skip=frame_skip)
    shown, palette = set(), np.zeros((256, 3), np.uint8)
    actions = np.random.default_rng(SEED).integers(len(legal), size=60)
    with closing(Emulators(rom, 1, preprocessing)) as pool:
        first = pool.reset(SEED)
        np.testing.assert_array_equal(first.screens[0], [emulator.getScreen()] * 2)
        np.testing.assert_array_equal(first.ram[0], emulator.getRAM())
        for action in actions:
            reward, screens = 0, []
            for _ in range(frame_skip):
                reward += emulator.act(legal[action])
                screens.append(emulator.getScreen())
            assert not emulator.game_over()
            got = pool.step(action[None])
            np.testing.assert_array_equal(got.screens[0], (screens * 2)[-2:])
            np.testing.assert_array_equal(got.ram[0], emulator.getRAM())
            assert (got.rewards[0], got.lives[0]) == (reward, emulator.lives())
            palette[screens[-1]] = emulator.getScreenRGB()
            shown |= set(np.unique(screens[-1]).tolist())
        known = sorted(shown)
        np.testing.assert_array_equal(pool.palette[known], palette[known])


def test_workers_share_the_emulators():
    """Of 3 and 2: each emulator plays what it is told, and as its seed has it."""
    sticky = Preprocessing(noops=0, fire_reset=False, sticky=0.25)
    moves = np.random.default_rng(SEED).integers(6, size=(20, 5))
    with closing(Emulators("pong", 5, sticky, workers=2)) as pool:
        for _ in range(2):  # the second time as the first
            pool.reset(SEED)
            ram = [pool.step(actions).ram for actions in moves][-1].copy()
            for i in range(5):
                emulator = bare_emulator("pong", SEED + i, sticky=0.25)
                for move in moves[:, i].repeat(4):
                    emulator.act(emulator.getMinimalActionSet()[move])
                np.testing.assert_array_equal(ram[i], emulator.getRAM())


def test_modes_and_difficulties():
    as_told = bare_emulator("breakout", told=lambda it: (it.setMode(8), it.setDifficulty(1)))
    with closing(Emulators(Cartridge("breakout", mode=8, difficulty=1), 1, BARE)) as pool:
        for seed in (SEED, None):
            np.testing.assert_array_equal(pool.reset(seed).ram[0], as_told.getRAM())
    for one in (lambda it: it.setMode(8), lambda it: it.setDifficulty(1)):
        assert (bare_emulator("breakout", told=one).getRAM() != as_told.getRAM()).any()
    with pytest.raises(ValueError, match="breakout has no mode 3; there are 0, 4, 8"):
        Emulators(Cartridge("breakout", mode=3), 1, BARE)
    with pytest.raises(ValueError, match="breakout has no difficulty 7; there are 0, 1"):
        Emulators(Cartridge("breakout", difficulty=7), 1, BARE)
    with pytest.raises(ValueError, match="no ROM 'brekout'"):
        Emulators("brekout", 1, BARE)


def test_what_cannot_be_played():
    with closing(Emulators("pong", 2, BARE)) as pool:
        with pytest.raises(ValueError, match="first reset has no seed"):
            pool.reset(None)
        pool.reset(SEED)
        with pytest.raises(ValueError, match="action 6; the game has 6"):
            pool.step(np.array([0, 6]))
        with pytest.raises(ValueError, match="action -1"):
            pool.step(np.array([-1, 0]))
        with pytest.raises(ValueError, match=r"\(3,\) actions for 2 emulators"):
            pool.step(np.zeros(3, int))
        pool.step(np.array([0, 5]))  # and it goes on
    with pytest.raises(ValueError, match="no reset 'none'; there are vector, deepmind"):
        Emulators("pong", 1, Preprocessing(reset="none"))
    with pytest.raises(ValueError, match="only 'deepmind' and 'envpool' go on"):
        Emulators("pong", 1, Preprocessing(life_loss_ends=True))


def test_closed_pools_leave_no_process():
    pool = Emulators("pong", 2, BARE, workers=2)
    workers = pool.workers.processes
    pool.reset(SEED)
    pool.send(np.array([0, 0]))  # and does not wait for what comes of it
    pool.close()
    assert not any(map(alive, workers))
    forgotten = Emulators("pong", 2, BARE, workers=2)
    workers = forgotten.workers.processes
    del forgotten
    assert not any(map(alive, workers))


def test_a_worker_that_dies_is_one_clear_error():
    pool = Emulators("pong", 2, BARE, workers=2)
    pool.reset(SEED)
    workers = pool.workers.processes
    os.kill(workers[1], signal.SIGKILL)
    wait_for_end(workers[1:])
    with pytest.raises(RuntimeError, match=r"its process ended \(exit status -9\)"):
        pool.step(np.array([0, 0]))
    assert not any(map(alive, workers))


def test_what_fails_in_a_worker_is_told(monkeypatch):
    monkeypatch.setattr("atari_zoo.emulator.pool.rom_path", lambda rom: roms.get_rom_path("pong"))
    pool = Emulators(Cartridge("breakout", mode=8), 1, BARE)
    with pytest.raises(RuntimeError, match=r"an emulator failed: .*mode.*exit status 0"):
        pool.reset(SEED)


# no `if __name__ == "__main__"`, as in a user's script or notebook
SCRIPT = """
    import os, signal, sys
    import numpy as np
    from atari_zoo.converters.cards import Preprocessing
    from atari_zoo.emulator.pool import Emulators
    pool = Emulators("pong", 2, Preprocessing(), workers=2)
    pool.reset(0)
    print(*pool.workers.processes, flush=True)
    pool.send(np.array([0, 1]))
    {ending}
"""


@pytest.mark.parametrize(
    "ending, status",
    [
        ("os.kill(os.getpid(), signal.SIGKILL)", -signal.SIGKILL),
        ("print(pool.recv().rewards)", 0),
        ("sys.exit(3)", 3),
    ],
    ids=["killed", "at its end", "exit"],
)
def test_workers_end_with_the_script_that_began_them(ending, status, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(SCRIPT.format(ending=ending)))
    shared = set(Path("/dev/shm").iterdir())
    played = subprocess.run([sys.executable, script], capture_output=True, text=True)
    assert played.returncode == status
    assert played.stderr == ""
    wait_for_end([int(worker) for worker in played.stdout.splitlines()[0].split()])
    assert set(Path("/dev/shm").iterdir()) <= shared


def test_draws():
    """The counts of frames after ale-py's first resets of seeds 0 to 3; and Gymnasium's own."""
    assert [ale_draws(seed).below(30) for seed in range(4)] == [16, 12, 13, 16]
    many = [ale_draws(seed).below(7) for seed in range(300)]
    assert np.bincount(many, minlength=7).min() > 25
    generator = np.random.default_rng(int(np.random.SeedSequence(SEED).generate_state(2)[0]))
    draws = gymnasium_draws(SEED)
    assert [1 + draws.below(30) for _ in range(9)] == generator.integers(1, 31, 9).tolist()


def test_screens_begin_on_whole_words():
    """Eight pixels are compared at once."""
    for height in (210, 214, 220, 230, 250):
        offset = memory_layout(3, height, 160, "float32").fields["screens"][1]
        assert offset % 8 == height * 160 % 8 == 0
