"""Agents whose actions are not a game's own minimal set: what their outputs do in the emulator."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import torch
from ale_py import Action, ALEInterface, LoggerMode, roms
from torch import Tensor, nn

import atari_zoo as zoo
from atari_zoo.converters import ConversionError, save_onnx, to_onnx
from atari_zoo.converters.cards import ModelCard, Preprocessing
from atari_zoo.converters.network.heads import QHead
from atari_zoo.converters.network.networks import MnihNetwork, Trunk
from atari_zoo.emulator.cartridges import Cartridge
from atari_zoo.emulator.environments import Environments
from atari_zoo.games import FULL_ACTIONS, game
from atari_zoo.models import convert
from atari_zoo.viz.attribution.target_registry import action_names

BARE = Preprocessing(noops=0, fire_reset=False)
SUBSET = ("LEFT", "NOOP", "RIGHT", "FIRE")


def plain_play(rom: str, actions: Sequence[str]) -> tuple[list[float], np.ndarray]:
    """ALE itself: each action for four frames; the rewards, and the RAM after each."""
    ALEInterface.setLoggerMode(LoggerMode.Error)
    emulator = ALEInterface()
    emulator.setInt("random_seed", 3)
    emulator.setFloat("repeat_action_probability", 0.0)
    emulator.loadROM(roms.get_rom_path(rom))
    emulator.reset_game()
    rewards, memory = [], []
    for name in actions:
        rewards.append(float(sum(emulator.act(Action.__members__[name]) for _ in range(4))))
        memory.append(emulator.getRAM())
    return rewards, np.stack(memory)


def test_the_full_set_is_the_emulators() -> None:
    assert list(Action.__members__) == list(FULL_ACTIONS)
    assert [action.value for action in Action.__members__.values()] == list(range(18))


# Breakout has FIRE, Ms. Pac-Man not, whose minimal set is nine directions
@pytest.mark.parametrize("rom", ["breakout", "ms_pacman"])
@pytest.mark.parametrize("names", [FULL_ACTIONS, SUBSET], ids=["full", "subset"])
def test_numbers_are_the_named_actions(rom: str, names: tuple[str, ...]) -> None:
    chosen = np.random.default_rng(0).integers(len(names), size=60)
    rewards, memory = plain_play(rom, [names[number] for number in chosen])
    cartridge = Cartridge(rom, actions=names)
    for raw in (True, False):  # the pool, and the vectorised emulator where it can
        with closing(Environments(cartridge, 1, BARE, raw=raw)) as games:
            games.reset(3)
            steps, seen = [], []
            for number in chosen:
                steps.append(games.step(np.array([number])))
                seen += [games.raw().ram[0]] if raw else []
        assert [float(step.rewards[0]) for step in steps] == rewards
        if raw:
            np.testing.assert_array_equal(seen, memory)
            expected = steps
    for step, other in zip(steps, expected, strict=True):
        assert step.observations.equal(other.observations)
    assert len({row.tobytes() for row in memory}) > 30


@pytest.mark.parametrize("rom", ["breakout", "ms_pacman"])
def test_both_emulators_begin_an_episode_alike(rom: str) -> None:
    """The vectorised one would press FIRE in any game, were it asked for the full set."""
    firsts = []
    for raw in (False, True):
        cartridge = Cartridge(rom, actions=FULL_ACTIONS)
        with closing(Environments(cartridge, 2, Preprocessing(), raw=raw)) as games:
            firsts.append(games.reset(5).numpy())
    with closing(Environments(rom, 2, Preprocessing())) as games:
        np.testing.assert_array_equal(games.reset(5).numpy(), firsts[0])
    np.testing.assert_array_equal(*firsts)


class Pressing(nn.Module):
    """Always prefers one output."""

    def __init__(self, count: int, number: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.nn.functional.one_hot(torch.tensor(number), count).float())

    def forward(self, x: Tensor) -> Tensor:
        return self.bias + 0 * x.mean(dim=(1, 2, 3))[:, None]


def test_play_and_what_is_kept_of_it() -> None:
    preprocessing = {"noops": 0, "fire_reset": False}
    plays = []
    for names in (SUBSET, FULL_ACTIONS, game("Breakout").actions):
        module = Pressing(len(names), names.index("RIGHT"))
        agent = zoo.wrap(module, "Breakout", actions=names, preprocessing=preprocessing)
        plays.append(zoo.rollout(agent, steps=12, envs=1, seed=3, keep=["ram", "screens"]))
        assert plays[-1].action_names == tuple(names)
        assert set(plays[-1].actions.ravel()) == {names.index("RIGHT")}
    for play in plays[1:]:
        np.testing.assert_array_equal(play.ram[...], plays[0].ram[...])
    _, memory = plain_play("breakout", ["RIGHT"] * 11)
    np.testing.assert_array_equal(plays[0].ram[1:, 0], memory)
    again = zoo.counterfactual(plays[0], 8, {})  # plays it again, which must repeat
    assert again.shape == (1, 4, 84, 84)
    with pytest.raises(ValueError, match="actions"):
        zoo.activations(zoo.wrap(Pressing(4, 0), "Breakout"), plays[0], ["output"])


def test_eighteen_outputs_are_the_full_set(tmp_path: Path) -> None:
    network = MnihNetwork(Trunk(), QHead(512, 18), ModelCard(game="Pong"))
    save_onnx(to_onnx(network), tmp_path / "agent.onnx")
    assert zoo.load(tmp_path / "agent.onnx").card.action_meanings == FULL_ACTIONS
    done = convert(tmp_path / "agent.onnx", game="Pong")
    assert done.card.action_meanings == FULL_ACTIONS
    play = zoo.rollout(network.eval(), steps=2, envs=1)
    assert play.action_names == FULL_ACTIONS


def test_a_file_of_some_actions_names_them(tmp_path: Path) -> None:
    network = MnihNetwork(Trunk(), QHead(512, 4), ModelCard())
    save_onnx(to_onnx(network), tmp_path / "agent.onnx")
    with pytest.raises(ValueError, match=r"4 actions, but Pong has 6 .*name them \(--actions"):
        convert(tmp_path / "agent.onnx", game="Pong")
    done = convert(tmp_path / "agent.onnx", game="Pong", actions=["left", "NOOP", "RIGHT", "FIRE"])
    assert done.card.action_meanings == SUBSET
    save_onnx(done.model, tmp_path / "named.onnx")
    agent = zoo.load(tmp_path / "named.onnx")
    assert zoo.rollout(agent, steps=2, envs=1).action_names == SUBSET
    with pytest.raises(ValueError, match="no action 'JUMP'; the emulator has NOOP FIRE UP"):
        convert(tmp_path / "agent.onnx", game="Pong", actions=["JUMP", "NOOP", "RIGHT", "FIRE"])
    with pytest.raises(ValueError, match="FIRE is named twice"):
        convert(tmp_path / "agent.onnx", game="Pong", actions=["FIRE", "NOOP", "RIGHT", "FIRE"])
    with pytest.raises((ValueError, ConversionError), match="4 actions"):
        convert(tmp_path / "agent.onnx", game="Pong", actions=["NOOP", "RIGHT", "FIRE"])


def test_fire_may_be_the_first_action() -> None:
    cartridge = Cartridge("breakout", actions=("FIRE", "LEFT", "RIGHT"))
    pressed = Preprocessing(fire_after_life_loss=True)
    with closing(Environments(cartridge, 1, pressed)) as games:
        games.reset(1)
        assert games.step(np.array([1])).actions[0] == 1
    without = Cartridge("breakout", actions=("LEFT", "RIGHT"))
    with pytest.raises(ValueError, match="FIRE is none of the agent's actions"):
        Environments(without, 1, pressed)


def test_names_in_small_letters_are_the_emulators() -> None:
    module = Pressing(4, 0)
    names = tuple(name.lower() for name in game("Breakout").actions)
    agent = zoo.wrap(module, "Breakout")
    agent.card = agent.card.replace(action_meanings=names)
    play = zoo.rollout(agent, steps=3, envs=1, keep=["screens", "outputs"])
    assert play.action_names == game("Breakout").actions
    zoo.activations(agent, play, ["output"])  # its own play
    assert action_names(agent) == list(game("Breakout").actions)
