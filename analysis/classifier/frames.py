"""Frames that a classifier is shown: the present one of each moment, rendered in one way or as
each agent saw it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float32, Shaped
from torch import Tensor
from torch.nn.functional import avg_pool2d

from atari_zoo.analysis.subjects import Subject
from atari_zoo.converters.cards import Preprocessing
from atari_zoo.preprocessing.renderer import rendered_screens
from atari_zoo.recordings.arrays import not_kept

AT_ONCE = 500  # steps


class DifferentSizes(ValueError):
    """Agents see frames of different sizes, which alone tells them apart."""


def present_frames(
    subjects: Sequence[Subject],
    every: int,
    downscale: int,
    preprocessing: Preprocessing | None = None,
) -> Float32[Tensor, "moments channels height width"]:
    """The newest frame of each of `moments_of`, 0 to 1.

    preprocessing: that all are rendered by, from the raw frames; each agent's own if not given.
    downscale: squares of so many pixels are averaged.
    Raises ValueError where what is needed was not recorded; DifferentSizes.
    """
    found = []
    for subject in subjects:
        frames = _frames(subject, every, preprocessing)
        frames = frames if frames.ndim == 4 else frames[:, None]
        small = frames.float() / (1 if frames.is_floating_point() else 255)
        found.append(avg_pool2d(small, downscale) if downscale > 1 else small)
    pairs = zip(found, subjects, strict=True)
    shapes = {tuple(frames.shape[1:]): subject.name for frames, subject in pairs}
    if len(shapes) > 1:
        (one, first), (other, second) = list(shapes.items())[:2]
        raise DifferentSizes(
            f"{first} sees frames of {_size(one)} and {second} of {_size(other)}: they differ by "
            "their size alone"
        )
    return torch.cat(found)


def _frames(
    subject: Subject, every: int, preprocessing: Preprocessing | None
) -> Shaped[Tensor, "moments ..."]:
    """Moments are numbered step by step, each in all environments."""
    steps, envs = subject.recording.starts.shape
    parts = []
    block = max(AT_ONCE // every, 1) * every
    for begin in range(0, steps, block):
        end = min(begin + block, steps)
        each = [_read(subject, slice(begin, end), env, every, preprocessing) for env in range(envs)]
        parts.append(torch.stack(each, dim=1).flatten(0, 1))
    return torch.cat(parts)


def _read(
    subject: Subject, steps: slice, env: int, every: int, wanted: Preprocessing | None
) -> Shaped[Tensor, "steps ..."]:
    recording = subject.recording
    kept, raw, palette = recording.screens, recording.raw_frames, recording.palette
    if kept is not None and wanted in (None, recording.preprocessing):
        return torch.from_numpy(np.ascontiguousarray(np.asarray(kept[steps, env])[::every]))
    if raw is None or palette is None:
        what = ("screens", "screens") if wanted is None else ("raw frames", "frames")
        raise ValueError(f"{subject.name}: {not_kept(*what)}")
    pairs = np.ascontiguousarray(np.asarray(raw[steps, env])[::every])
    return rendered_screens(
        torch.from_numpy(pairs), palette, wanted or recording.preprocessing, recording.greys
    )


def _size(shape: tuple[int, ...]) -> str:
    channels, height, width = shape
    return f"{height}x{width}" + f" in {channels} colours" * (channels > 1)
