"""Frames per second of Greydanus and SARFA saliency, all masks in batches, beside one mask at a
time, as the published code has it: a mask, a blur and a forward pass for each place.

    python benchmarks/attribution.py --quick
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import numpy as np
import torch
from rows import Row, arguments, by_turns, row, show, until
from scipy.ndimage import gaussian_filter
from scipy.special import softmax
from scipy.stats import entropy

import atari_zoo as zoo
from atari_zoo.converters.network.foreign import Network
from atari_zoo.viz.attribution.attribution import attribute

PEER = "one mask at a time"
SIZE, STEP, RADIUS, BLUR = 84, 5, 5, 3
Respond = Callable[[np.ndarray, np.ndarray], float]


def mask_at(top: int, left: int) -> np.ndarray:
    """As visualize_atari/saliency.py: a disc of radius 1, blurred, its largest value 1."""
    rows, columns = np.ogrid[-top : SIZE - top, -left : SIZE - left]
    mask = np.zeros((SIZE, SIZE))
    mask[rows**2 + columns**2 <= 1] = 1
    mask = gaussian_filter(mask, sigma=RADIUS)
    return mask / mask.max()


def one_at_a_time(network: Network, seen: torch.Tensor, respond: Respond) -> np.ndarray:
    """The grid of scores of one observation (frames, 84, 84)."""
    frames = seen.numpy()
    places = range(0, SIZE, STEP)
    scores = np.zeros((len(places), len(places)))
    with torch.no_grad():
        before = network(seen[None])[0].numpy()
        for i, top in enumerate(places):
            for j, left in enumerate(places):
                mask = mask_at(top, left)
                blurred = np.stack([gaussian_filter(frame, sigma=BLUR) for frame in frames])
                changed = (frames * (1 - mask) + blurred * mask).astype(np.float32)
                after = network(torch.from_numpy(changed)[None])[0].numpy()
                scores[i, j] = respond(before, after)
    return scores


def greydanus(before: np.ndarray, after: np.ndarray) -> float:
    return 0.5 * ((before - after) ** 2).sum()


def sarfa(before: np.ndarray, after: np.ndarray) -> float:
    action, first, second = before.argmax(), softmax(before), softmax(after)
    drop = first[action] - second[action]
    if drop <= 0:
        return 0.0
    others = np.arange(len(before)) != action
    kept = 1 / (1 + entropy(first[others], second[others]))
    return 2 * drop * kept / (drop + kept)


def rate(count: int, work: Callable[[], object]) -> float:
    """Frames per second."""
    started = time.perf_counter()
    work()
    return count / (time.perf_counter() - started)


def compare(network: Network, seen: torch.Tensor, repeats: int, end: float) -> Iterator[Row]:
    """A row for each method, after one run that is not counted."""
    one = seen[:1]
    for name, respond in (("greydanus", greydanus), ("sarfa", sarfa)):
        attribute(network, one, name)  # makes the masks

        def ours(name: str = name) -> float:
            return rate(len(seen), lambda: attribute(network, seen, name))

        def theirs(respond: Respond = respond) -> float:
            return rate(1, lambda: one_at_a_time(network, one[0], respond))

        case = f"{name}, 289 masks of an observation"
        yield row("attribution", case, PEER, *by_turns(ours, theirs, repeats, end), "frames/s")


def main() -> None:
    """Measures and prints."""
    options = arguments(__doc__).parse_args()
    network = zoo.load("a2c/Pong/1")
    played = zoo.rollout(network, steps=40, envs=1, keep=["screens"])
    seen = played.observations().float()[-8:] / 255
    repeats, end = 3 if options.quick else 9, until(options.quick)
    show(compare(network, seen, repeats, end), options.json)


if __name__ == "__main__":
    main()
