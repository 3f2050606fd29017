"""The table of games, against the emulator, Gymnasium's registry and the paper."""

from __future__ import annotations

import subprocess
import sys

import ale_py
import gymnasium
import pytest
from ale_py import ALEInterface, LoggerMode, roms

from atari_zoo.games import Game, UnknownGame, game, games, score_source

TWO_PLAYERS = {"combat", "joust", "maze_craze", "warlords"}
# of the games that both the paper's 55 and its 13 for analysis have, some of each
SUBSET = [
    "Amidar",
    "Assault",
    "Asterix",
    "Asteroids",
    "Atlantis",
    "Enduro",
    "Frostbite",
    "Gravitar",
    "Kangaroo",
    "Seaquest",
    "Skiing",
    "Venture",
    "Zaxxon",
]


@pytest.mark.parametrize("row", games(), ids=lambda g: g.rom)
def test_agrees_with_the_emulator(row: Game):
    ALEInterface.setLoggerMode(LoggerMode.Error)
    emulator = ALEInterface()
    emulator.loadROM(roms.get_rom_path(row.rom))
    assert tuple(a.name for a in emulator.getMinimalActionSet()) == row.actions
    assert tuple(emulator.getScreenDims()) == (row.height, row.width)


def test_has_every_game_that_can_be_played_alone():
    assert {g.rom for g in games()} == set(roms.get_all_rom_ids()) - TWO_PLAYERS


def test_names_are_those_of_gymnasium():
    gymnasium.register_envs(ale_py)
    registered = {name for name in gymnasium.registry if name.startswith("ALE/")}
    assert {f"ALE/{g.name}-v5" for g in games()} == {n for n in registered if n.endswith("-v5")}


@pytest.mark.parametrize(
    "spelling",
    [
        "MsPacman",
        "ms_pacman",
        "mspacman",
        "Ms. Pacman",
        " ms-pacman ",
        "MSPACMAN",
        "ALE/MsPacman-v5",
        "MsPacman-v0",
        "MsPacmanNoFrameskip-v4",
        "MsPacmanDeterministic-v4",
        "MsPacman-ram-v0",
        "MsPacman-ramNoFrameskip-v4",
    ],
)
def test_spellings(spelling):
    assert game(spelling).rom == "ms_pacman"


def test_every_name_finds_its_own_row():
    for row in games():
        for spelling in (row.name, row.rom, f"ALE/{row.name}-v5", f"{row.name}NoFrameskip-v4"):
            assert game(spelling) is row


def test_the_papers_games():
    paper = [g for g in games() if g.in_paper]
    assert len(paper) == 55
    assert all(g.random is not None and g.human is not None for g in paper)
    assert not {"Defender", "Surround"} & {g.name for g in paper}


def test_the_papers_subset():
    assert [g.name for g in games() if g.in_subset] == SUBSET
    assert all(g.in_paper for g in games() if g.in_subset)


def test_scores_are_normalized_between_chance_and_a_person():
    seaquest = game("Seaquest")  # 68.4 and 42054.7 in Wang et al. (2016), table 2
    assert seaquest.normalized(68.4) == 0
    assert seaquest.normalized(42054.7) == 1
    assert seaquest.normalized((68.4 + 42054.7) / 2) == pytest.approx(0.5)
    assert game("Adventure").normalized(1) is None
    assert "1511.06581" in score_source()


@pytest.mark.parametrize(
    ("typed", "meant"), [("Pnog", "Pong"), ("sequest", "Seaquest"), ("ALE/Breakuot-v5", "Breakout")]
)
def test_a_miss_names_what_is_near(typed, meant):
    with pytest.raises(UnknownGame, match=rf"no game '{typed}'; did you mean .*\b{meant}\b"):
        game(typed)


@pytest.mark.parametrize("typed", ["", "xqzwv", "-v5"])
def test_a_miss_with_nothing_near_says_what_there_is(typed):
    with pytest.raises(UnknownGame, match=r"no game '.*'; ale-py has 1?[0-9]+, such as Pong"):
        game(typed)


def test_the_table_is_read_without_torch():
    code = "import sys, atari_zoo; atari_zoo.game('Pong'); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
