"""Subjects of tiny networks that played random screens."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from atari_zoo.analysis.subjects import Subject
from atari_zoo.converters.cards import ModelCard, Preprocessing
from atari_zoo.converters.network.heads import QHead
from atari_zoo.converters.network.networks import SAME, MnihNetwork, Trunk, mnih_convolutions
from atari_zoo.games import game as find_game
from atari_zoo.recordings.header import Header
from atari_zoo.recordings.recordings import Recording

ACTIONS = 6


def tiny_network(seed: int = 0, game: str = "Pong", run: str = "", **card: Any) -> MnihNetwork:
    """A network of 4, 5 and 6 maps and 9 dense units."""
    torch.manual_seed(seed)
    made = MnihNetwork(Trunk(mnih_convolutions((4, 5, 6), SAME), units=9), QHead(9, ACTIONS))
    meanings = find_game(game).actions[:ACTIONS]
    made.card = ModelCard("dqn", game, run or str(seed), action_meanings=tuple(meanings), **card)
    return made.eval()


def subject_of(network: MnihNetwork, steps: int = 80, episodes: int = 4, seed: int = 0) -> Subject:
    """Its play of blurred random screens, in two environments of half the episodes each."""
    random = np.random.default_rng(seed)
    coarse = random.integers(0, 256, (steps // 2, 2, 7, 7)).astype(np.uint8)
    screens = coarse.repeat(12, 2).repeat(12, 3)
    length = -(-steps // episodes)
    starts = np.arange(steps // 2)[:, None] % length == np.zeros(2, int)
    arrays = {"screens": screens, "starts": starts}
    header = Header(network.card, network.card.game, Preprocessing())
    return Subject(Recording(header, arrays), network)
