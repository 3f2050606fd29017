"""Episodes a second of a noise sweep, beside one environment at a time: Gymnasium's wrappers and
torch, with the same noise, as one would write it by hand.

    python benchmarks/analysis_noise.py --quick
"""

from __future__ import annotations

import copy
import time
from collections.abc import Iterator
from functools import partial

import ale_py
import gymnasium
import numpy as np
import torch
from gymnasium.wrappers import AtariPreprocessing, FrameStackObservation
from rows import Row, arguments, by_turns, row, show

import atari_zoo as zoo
from atari_zoo.converters.network.foreign import Network
from atari_zoo.play.plans import Plan
from atari_zoo.play.robustness import noise_scores

AGENT = "a2c/Seaquest/1"
LEVELS = {
    "observation": (0.1, 0.3),
    "frame": (0.1, 0.3),
    "relative": (0.2, 0.4),
    "actions": (0.1, 0.3),
}
FRAMES = 1200  # of the emulator, at most, in an episode: both play equally long


def ours(network: Network, kind: str, episodes: int) -> float:
    """Episodes a second of the sweep: clean and random play, and so many at each level."""
    plan = Plan(episodes=episodes, seed=0, preprocessing={"max_frames": FRAMES})
    began = time.perf_counter()
    (found,) = noise_scores(network, plan, [kind], LEVELS[kind])
    played = [found.clean, found.random, *found.returns]
    return sum(map(len, played)) / (time.perf_counter() - began)


def alone(network: Network, kind: str, episodes: int) -> float:
    """The same with one environment."""
    began = time.perf_counter()
    conditions = [("", 0.0), ("actions", 1.0), *((kind, level) for level in LEVELS[kind])]
    for condition, level in conditions:
        one_at_a_time(network, condition, level, episodes)
    return episodes * len(conditions) / (time.perf_counter() - began)


@torch.inference_mode()
def one_at_a_time(network: Network, kind: str, level: float, episodes: int) -> None:
    """Each step is seen, perturbed, thought and done alone."""
    random = np.random.default_rng(0)
    noisy = with_kernel_noise(network, level, random) if kind == "relative" else network
    gymnasium.register_envs(ale_py)
    plain = gymnasium.make("ALE/Seaquest-v5", frameskip=1, repeat_action_probability=0.0)
    env = FrameStackObservation(AtariPreprocessing(plain), 4)
    for episode in range(episodes):
        seen, _ = env.reset(seed=episode)
        kept, over, count = random.normal(0, level, seen.shape), False, 0
        while not over and count < FRAMES // 4:
            pixels = torch.from_numpy(np.asarray(seen)).float()[None] / 255
            if kind == "observation":
                pixels = pixels + torch.from_numpy(random.normal(0, level, seen.shape)).float()
            elif kind == "frame":
                kept = np.concatenate([kept[1:], random.normal(0, level, (1, *seen.shape[1:]))])
                pixels = pixels + torch.from_numpy(kept).float()
            outputs = noisy(pixels)
            action = int(torch.distributions.Categorical(logits=outputs).sample())
            if kind == "actions" and random.random() < level:
                action = int(random.integers(outputs.shape[1]))
            seen, _, ended, cut, _ = env.step(action)
            over, count = ended or cut, count + 1
    env.close()


def with_kernel_noise(network: Network, level: float, random: np.random.Generator) -> Network:
    """A copy with noise on its convolutions, in parts of their spread."""
    noisy = copy.deepcopy(network)
    for module in noisy.modules():
        if isinstance(module, torch.nn.Conv2d):
            drawn = random.normal(0, level * float(module.weight.std()), module.weight.shape)
            module.weight.add_(torch.from_numpy(drawn).float())
    return noisy


def rows(episodes: int, few: int, repeats: int) -> Iterator[Row]:
    """A row for each kind. few: episodes of each condition that the peer plays."""
    network = zoo.load(AGENT)
    for kind, levels in LEVELS.items():
        pair = by_turns(
            partial(ours, network, kind, episodes), partial(alone, network, kind, few), repeats
        )
        case = f"noise sweep, {kind} {levels[0]:g} and {levels[1]:g}, {episodes} episodes of each"
        yield row("analysis", case, "one environment at a time", *pair, "episodes/s")


def main() -> None:
    """Measures and prints."""
    options = arguments(__doc__).parse_args()
    episodes, few, repeats = (16, 1, 1) if options.quick else (64, 3, 3)
    show(rows(episodes, few, repeats), options.json)


if __name__ == "__main__":
    main()
