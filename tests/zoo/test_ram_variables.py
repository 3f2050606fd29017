"""Variables in the console's memory: read as the table says, and as the emulator has it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from ale_py import ALEInterface, LoggerMode, roms

import atari_zoo as zoo
from atari_zoo.games import games
from atari_zoo.ram.variables import DECODERS, VERIFIED, Variable

ALEInterface.setLoggerMode(LoggerMode.Error)
GAMES = {game.name: zoo.variables(game.name) for game in games()}
# of each way to be verified, the games whose rows are replayed here
LIVES = "Seaquest Breakout Alien Qbert Centipede Riverraid".split()  # a byte, mask, shift, signed
# bcd, digit8, a digit and its shift, falling as the reward rises
REWARD = "Seaquest SpaceInvaders Alien BattleZone Defender HauntedHouse".split()


def variable(**facts: object) -> Variable:
    plain = {"name": "x", "address": 3, "kind": "agent", "encoding": "byte"}
    return Variable(**plain | {"sources": ("ALE",), "verified": "screen"} | facts)  # type: ignore[arg-type]


def value(made: Variable, byte: int) -> float:
    ram = np.zeros(128, np.uint8)
    ram[made.address] = byte
    return float(made.values(ram))


@pytest.mark.parametrize(
    ("facts", "byte", "expected"),
    [
        ({}, 200, 200),
        ({"encoding": "bcd"}, 0x47, 47),
        ({"encoding": "bcd", "scale": 100}, 0x47, 4700),
        ({"encoding": "bcd"}, 0xA7, 7),  # a blank before it
        ({"encoding": "digit"}, 10, 0),
        ({"encoding": "digit8", "scale": 10}, 40, 50),
        ({"encoding": "digit8"}, 128, 0),
        ({"encoding": "signed", "offset": 2}, 255, 1),
        ({"mask": 15}, 0x73, 3),
        ({"shift": 4, "mask": 7, "offset": 1}, 0x2F, 3),
        ({"encoding": "bits", "mask": 7}, 0xFD, 5),
        ({"absent": ((0, 0), (160, 255))}, 0, np.nan),
        ({"absent": ((0, 0), (160, 255))}, 160, np.nan),
        ({"absent": ((0, 0), (160, 255))}, 159, 159),
        ({"absent_bits": 128}, 130, np.nan),
    ],
)
def test_a_byte_is_read_as_the_row_says(
    facts: dict[str, object], byte: int, expected: float
) -> None:
    assert value(variable(**facts), byte) == pytest.approx(expected, nan_ok=True)


def test_a_value_is_written_with_the_fewest_bits_changed() -> None:
    lives = variable(shift=4, mask=7, offset=1)
    assert lives.byte(3, before=0xFF) == 0xAF  # the other bits stay
    assert value(lives, lives.byte(3, before=0x05)) == 3
    with pytest.raises(ValueError, match="x cannot be 9; it is from 1 to 8"):
        lives.byte(9)


def test_every_row_of_the_table_can_be_read() -> None:
    assert sum(bool(rows) for rows in GAMES.values()) == 93
    assert sum(map(len, GAMES.values())) == 1850
    every = np.tile(np.arange(256, dtype=np.uint8)[:, None], (1, 128))
    for rows in GAMES.values():
        assert len({row.name for row in rows}) == len(rows)
        for row in rows:
            assert row.encoding in DECODERS and row.verified in VERIFIED
            read = row.values(every)
            assert read.shape == (256,) and np.isfinite(read).any()


def played(game: str, steps: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Random play on the emulator itself: memories after each frame, its lives, its rewards."""
    ale = ALEInterface()
    ale.setInt("random_seed", seed)
    ale.setFloat("repeat_action_probability", 0.0)
    ale.loadROM(roms.get_rom_path(zoo.game(game).rom))
    random, actions = np.random.default_rng(seed), ale.getMinimalActionSet()
    memories, lives, rewards = [], [], []
    for _ in range(steps):
        if ale.game_over():
            break
        rewards.append(ale.act(actions[random.integers(len(actions))]))
        memories.append(ale.getRAM().copy())
        lives.append(ale.lives())
    return np.array(memories), np.array(lives), np.array(rewards)


@pytest.mark.parametrize("game", LIVES)
def test_lives_are_the_emulators(game: str) -> None:
    (row,) = (row for row in GAMES[game] if row.verified == "lives")
    memories, lives, _ = played(game, 3000, 1)
    going = lives > 0  # when it is over, the emulator says 0 whatever the byte is
    assert len(set(lives[going].tolist())) > 1
    read = row.values(memories[going])
    assert set(read) == set(lives[going].astype(float))
    # the emulator's own count may follow some frames after the byte
    assert (read == lives[going]).mean() > 0.98


@pytest.mark.parametrize("game", REWARD)
def test_scores_rise_with_the_rewards(game: str) -> None:
    rows = [row for row in GAMES[game] if row.kind == "score"]
    memories, _, rewards = played(game, 3000, 1)
    shown = sum(row.values(memories) * row.sign for row in rows)
    assert len(set(rewards.tolist())) > 1
    assert shown[-1] - shown[0] == rewards[1:].sum()


def test_setting_a_byte_moves_the_submarine_where_the_table_says() -> None:
    """The rows `player_x` and `player_y` of Seaquest, and the screen that the emulator draws."""
    x, y = (next(row for row in GAMES["Seaquest"] if row.name == f"player_{n}") for n in "xy")
    ale = ALEInterface()
    ale.loadROM(roms.get_rom_path("seaquest"))
    for _ in range(60):
        ale.act(0)
    for column, row in ((40, 60), (100, 90), (120, 30)):
        ale.setRAM(x.address, column)
        ale.setRAM(y.address, row)
        ale.act(0)
        screen = ale.getScreenRGB()
        yellow = (screen == [187, 187, 53]).all(axis=-1)[45:170]  # below the score and the lives
        rows, columns = np.nonzero(yellow)
        assert abs(columns.min() - x.places(np.array(float(column)))) <= 3
        assert abs(rows.min() + 45 - y.places(np.array(float(row)))) <= 6


def test_a_recordings_table_is_by_step_and_environment(random_agent: Callable[..., object]) -> None:
    recording = zoo.rollout(random_agent("Seaquest"), steps=12, envs=3, keep=["ram"])
    table = recording.variables
    assert table.index.names == ["step", "env"] and len(table) == 36
    assert list(table.columns) == [row.name for row in GAMES["Seaquest"]]
    memory = np.asarray(recording.ram)
    assert table.loc[(7, 2), "oxygen"] == memory[7, 2, 102]
    assert table.loc[(5, 0), "lives"] == memory[5, 0, 59] + 1
    bare = zoo.rollout(random_agent("Seaquest"), steps=2, envs=1)
    with pytest.raises(ValueError, match="no RAM in this recording: record with"):
        _ = bare.variables
