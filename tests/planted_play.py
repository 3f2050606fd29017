"""Play in which what layers and units tell is set by hand: of RAM of Seaquest that moves as if it
were played, and a dense layer that was "recorded"."""

from __future__ import annotations

import numpy as np
import planted
import torch

from atari_zoo.analysis.subjects import Subject
from atari_zoo.converters.cards import ModelCard, Preprocessing
from atari_zoo.converters.network.heads import QHead
from atari_zoo.converters.network.networks import SAME, MnihNetwork, Trunk, mnih_convolutions
from atari_zoo.recordings.header import Header
from atari_zoo.recordings.recordings import Recording

OXYGEN, PLAYER_X, PLAYER_Y, DIRECTION, MISSILE = 102, 70, 97, 86, 103  # bytes of Seaquest
UNITS = 24  # of the dense layer
CARD = ModelCard("dqn", "Seaquest", "7")


def walk(random: np.random.Generator, steps: int, low: int, high: int) -> np.ndarray:
    """A smooth walk of bytes between two ends."""
    noise = np.convolve(random.normal(size=steps + 20), np.ones(12) / 12, "same")[:steps].cumsum()
    span = max(np.ptp(noise), 1e-9)
    return (low + (noise - noise.min()) / span * (high - low)).round().astype(np.uint8)


def memories(steps: int, envs: int, seed: int = 0) -> np.ndarray:
    """(steps, envs, 128), of which five bytes change."""
    random = np.random.default_rng(seed)
    ram = np.zeros((steps, envs, 128), np.uint8)
    for env in range(envs):
        ram[:, env, OXYGEN] = walk(random, steps, 0, 64)
        ram[:, env, PLAYER_X] = walk(random, steps, 20, 130)
        ram[:, env, PLAYER_Y] = walk(random, steps, 20, 100)
        ram[:, env, DIRECTION] = np.where(walk(random, steps, 0, 100) > 50, 8, 0)
        missile = walk(random, steps, 0, 200)  # 160 and more: absent
        ram[:, env, MISSILE] = missile
    return ram


def tiny_network(card: ModelCard = CARD) -> MnihNetwork:
    torch.manual_seed(0)
    trunk = Trunk(mnih_convolutions((4, 5, 6), SAME), units=UNITS)
    network = MnihNetwork(trunk, QHead(UNITS, actions=18)).eval()
    network.card = card
    return network


def dense_play(steps: int = 240, envs: int = 2, episode: int = 40, seed: int = 0) -> Subject:
    """Unit 3 of fc is the oxygen, unit 5 the direction, both with a little noise; unit 6 answers to
    the direction less; the others are noise, unit 9 is dead."""
    random = np.random.default_rng(seed + 1)
    ram = memories(steps, envs, seed)
    fc = random.normal(size=(steps, envs, UNITS)).astype(np.float32)
    fc[..., 3] = ram[..., OXYGEN] / 10 + 0.05 * fc[..., 3]
    fc[..., 5] = (ram[..., DIRECTION] > 0) * 3 + 0.2 * fc[..., 5]
    fc[..., 6] += ram[..., DIRECTION] > 0
    fc[..., 9] = 0
    arrays = {
        "screens": random.integers(0, 256, (steps, envs, 84, 84), np.uint8),
        "ram": ram,
        "starts": np.broadcast_to(np.arange(steps)[:, None] % episode == 0, (steps, envs)),
        "activations/fc": fc,
    }
    return Subject(Recording(Header(CARD, "Seaquest", Preprocessing()), arrays), tiny_network())


def centred_unit() -> MnihNetwork:
    """The planted network, whose unit finds the sprite in the middle of its receptive field."""
    network = planted.network()
    network.card = ModelCard("a2c", "Seaquest", "3")
    conv2, conv3 = (network.layers[name].conv.weight for name in ("conv2", "conv3"))
    with torch.no_grad():
        conv2[0, 0, 1, 1], conv2[0, 0, 0, 0] = 1, 0
        conv3[planted.UNIT, 0, 1, 1], conv3[planted.UNIT, 0, 0, 0] = 1, 0
    return network


def sprite_play(steps: int = 160, seed: int = 0) -> Subject:
    """A sprite goes about the screen, and the memory says where; conv3's unit 5 finds it."""
    random = np.random.default_rng(seed)
    ram = memories(steps, 1, seed)
    screens = random.integers(0, 25, (steps, 1, 84, 84)).astype(np.uint8)
    sprite = planted.sprite().numpy().astype(np.uint8) * 255
    for step in range(steps):
        # in the middle of the unit's receptive field at one of its 7x7 places
        top, left = (12 + 8 * int(place) for place in random.integers(0, 7, 2))
        screens[step, 0, top : top + 8, left : left + 8] = sprite
        ram[step, 0, PLAYER_X] = round((left + 4) * 160 / 84)
        ram[step, 0, PLAYER_Y] = round((top + 4) * 210 / 84 - 33)  # drawn 33 rows lower
    network = centred_unit()
    arrays = {
        "screens": screens,
        "ram": ram,
        "starts": np.arange(steps)[:, None] % 40 == 0,
    }
    header = Header(network.card, "Seaquest", Preprocessing(stack_start="copies"))
    return Subject(Recording(header, arrays), network)
