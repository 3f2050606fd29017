"""Synthesized images of every unit of some layers, for an atlas."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from atari_zoo.analysis.first_convolutions import first_convolution
from atari_zoo.converters.network.foreign import Network, observation_shape
from atari_zoo.converters.network.hooks import recorded
from atari_zoo.converters.network.receptive_fields import receptive_field
from atari_zoo.viz.objectives.objectives import Objective
from atari_zoo.viz.objectives.units import margin, neuron, pair, units
from atari_zoo.viz.pages.atlas_rows import MARGIN, read_from
from atari_zoo.viz.render.ascent import Settings
from atari_zoo.viz.render.rendering import render
from atari_zoo.viz.render.transforms import Jitter

STEPS = 80  # enough to see what a unit is after, with half as many before
SHIFT = 6  # pixels of jitter


def atlas_images(
    network: Network,
    layers: Sequence[str],
    steps: int = STEPS,
    seed: int = 0,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, Float[Tensor, "_ frames height width"]]:
    """A smooth image for each unit of each layer, that raises what enters its ReLU. The first
    convolution is left out: its weights tell all that an image could.

    Units of a convolution are raised at one place, in the middle of their map: the image then has
    the size of what they see, and stands beside patches of that size.
    layers: as `atlas` has them, "margin" too.
    steps: of the optimization. progress: called with the thousandths of layers that are done, and
    all there are.
    Returns layer -> images in 0..1, on the CPU. Raises ValueError if a layer is not there, or it is
    not known what it sees.
    """
    first = first_convolution(network)
    layers = [layer for layer in layers if first is None or layer != first[0]]
    objectives = [_all_units(network, layer) for layer in layers]
    images = {}
    for index, (layer, objective) in enumerate(zip(layers, objectives, strict=True)):

        def report(done: int, steps: int, before: int = 1000 * index) -> None:
            progress(before + 1000 * done // steps, 1000 * len(layers))

        # what is blurred by as much as an eighth of a field is no longer what the unit is after
        shift = min(SHIFT, receptive_field(network, read_from(layer)).whole.height // 12)
        jitter = (Jitter(shift),) if shift else ()
        settings = Settings(transforms=jitter, steps=steps, seed=seed)
        images[layer] = render(network, objective, settings, progress=report).images
    return images


def _all_units(network: Network, layer: str) -> Objective:
    """A sample for each unit, in the order of `atari_zoo.analysis.peaks`."""
    if layer == MARGIN:
        return margin(range(network.actions))
    weight = next(network.parameters())
    black = torch.zeros(1, *observation_shape(network), dtype=weight.dtype, device=weight.device)
    with torch.inference_mode(), recorded(network, [layer]) as values:
        network(black)
    shape = values[layer].shape[1:]
    if len(shape) == 2:  # (actions, atoms), say
        first, second = divmod(torch.arange(shape.numel()).numpy(), shape[1])
        return pair(layer, first.tolist(), second.tolist())
    made = neuron if len(shape) == 3 else units
    return made(layer, range(shape[0]))
