"""Seconds for an activation movie of a minute of play (900 steps), beside the original's way: the
network asked step by step, and every layer a clip that moviepy enlarges and puts on a canvas.

    pip install moviepy
    python benchmarks/movies.py --quick

The original's script (https://github.com/uber-research/atari-model-zoo, activation_movie.py) needs
TensorFlow 1 and moviepy 1; its steps, canvas, rows and scales are written again here for torch and
moviepy 2. Both read the same recording, and both show the same layers.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rows import arguments, by_turns, row, show

import atari_zoo as zoo
from atari_zoo.converters.network.foreign import Network
from atari_zoo.recordings.recordings import Recording
from atari_zoo.viz.movies.clips import Clip
from atari_zoo.viz.movies.movies import activation_movie

PEER = "moviepy, one step at a time"
MODEL, MINUTE = "apex/Seaquest/1", 900  # steps of a minute, at 15 a second
LAYERS = ("conv1", "conv2", "conv3", "fc", "output")
CANVAS, GAME, FPS = (550, 1000), (50, 580), 60  # width and height; where the game is
ACROSS, CELL = {"fc": 32, "output": 32}, 8  # units in a row, and their size; of maps 8 in a row
SCALES = {"observation": 1.0, "conv1": 1.5, "conv2": 2.0, "conv3": 2.0, "fc": 0.5, "output": 1.5}


def one_by_one(network: Network, recording: Recording, steps: int) -> dict[str, np.ndarray]:
    """Each layer's values, from a forward pass for each step."""
    seen = recording.observations(steps=slice(0, steps))
    found: dict[str, list[np.ndarray]] = {name: [] for name in LAYERS}
    for step in range(steps):
        values = zoo.activations(network, seen[step : step + 1], LAYERS, batch=1)
        for name in LAYERS:
            found[name].append(values[name][0].numpy())
    return {"observation": seen.numpy()} | {name: np.stack(each) for name, each in found.items()}


def laid_out(values: np.ndarray, name: str) -> np.ndarray:
    """(steps, height, width, 3): a layer's channels in rows with red lines between, maps scaled
    over all steps, units over each."""
    if values.ndim == 2:
        low, high = values.min(1, keepdims=True), values.max(1, keepdims=True)
        values = (values - low) / np.maximum(high - low, 1e-9)
        values = values[..., None, None].repeat(CELL, 2).repeat(CELL, 3)
    else:
        low, high = values.min((0, 2, 3), keepdims=True), values.max((0, 2, 3), keepdims=True)
        values = (values - low) / np.maximum(high - low, 1e-9)
    across = ACROSS.get(name, 8)
    steps, channels, height, width = values.shape
    down = -(-channels // across)
    picture = np.zeros((steps, down * (height + 1), across * (width + 1), 3), np.uint8)
    picture[..., 0] = 255
    for channel in range(channels):
        top, left = channel // across * (height + 1), channel % across * (width + 1)
        tile = (values[:, channel] * 255).astype(np.uint8)[..., None]
        picture[:, top : top + height, left : left + width] = tile
    return picture


def originals_way(network: Network, recording: Recording, steps: int, path: Path) -> None:
    """Clips on a white canvas, written by moviepy."""
    from moviepy import ColorClip, CompositeVideoClip, VideoClip

    def clip(pictures: np.ndarray, place: tuple[int, int], scale: float) -> Any:
        def at(moment: float) -> np.ndarray:
            return pictures[min(int(moment * FPS + 1e-6), steps - 1)]

        made = VideoClip(at, duration=steps / FPS)
        return (made if scale == 1 else made.resized(scale)).with_position(place)

    clips = [ColorClip(CANVAS, color=(255, 255, 255), duration=steps / FPS)]
    top = 5
    for name, values in one_by_one(network, recording, steps).items():
        pictures = laid_out(values.astype(np.float32), name)
        clips.append(clip(pictures, (10, top), SCALES[name]))
        top += int(pictures.shape[1] * SCALES[name]) + 5
    assert recording.frames is not None
    clips.append(clip(np.asarray(recording.frames[:steps, 0]), GAME, 1.0))
    CompositeVideoClip(clips, size=CANVAS).write_videofile(str(path), fps=FPS, logger=None)


def seconds_a_minute(steps: int, work: Callable[[], object]) -> float:
    """Of work for so many steps, those for a minute of play."""
    started = time.perf_counter()
    work()
    return (time.perf_counter() - started) / steps * MINUTE


def main() -> None:
    """Measures and prints."""
    options = arguments(__doc__).parse_args()
    steps, repeats = (60, 3) if options.quick else (300, 5)
    network = zoo.load(MODEL)
    recording = zoo.standard_play(MODEL)
    with tempfile.TemporaryDirectory() as folder, torch.inference_mode():
        ours, theirs = Path(folder) / "ours.mp4", Path(folder) / "theirs.mp4"
        whole = Clip(stop=steps)
        times = by_turns(
            lambda: seconds_a_minute(
                steps, lambda: activation_movie(network, recording, ours, whole)
            ),
            lambda: seconds_a_minute(
                steps, lambda: originals_way(network, recording, steps, theirs)
            ),
            repeats,
        )
    case = f"a minute of play of {MODEL}, five layers"
    show([row("movies", case, PEER, *times, "s")], options.json)


if __name__ == "__main__":
    main()
