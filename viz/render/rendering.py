"""Activation maximization: what would a unit, an output, a direction like to see best?
(Such et al., 2019, https://arxiv.org/abs/1812.07069, figures 4 and 5.)

    rendered = render(network, units("conv3", range(64)) - 1e-5 * total_variation())
    save_rendered(rendered, "conv3.png")

An objective, a parameterization and transforms are chosen each on its own; all units of a layer
go in one batch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from atari_zoo.agent_states import warn_of_zero_state
from atari_zoo.converters.arguments import checked
from atari_zoo.converters.network.finite import check_finite
from atari_zoo.converters.network.foreign import Network, observation_shape
from atari_zoo.observations import ObservationsLike, observations_for
from atari_zoo.viz.attribution.gradient_mode import check_slopes, differentiable, gradients
from atari_zoo.viz.objectives.checks import check_objective
from atari_zoo.viz.objectives.joining import joined
from atari_zoo.viz.objectives.objectives import Objective
from atari_zoo.viz.objectives.text import parse
from atari_zoo.viz.objectives.values import IMAGE, Values, values_of
from atari_zoo.viz.render.ascent import Settings, ascend
from atari_zoo.viz.render.results import Rendered, measured_images, percentiles, together
from atari_zoo.viz.render.seeds import told_apart
from atari_zoo.viz.render.transforms import check_transforms

# what fits a CPU's cache; a GPU is kept busy by more, of about 3 MB each while they are optimized
CPU_BATCH, GPU_BATCH, GPU_BYTES = 32, 1024, 3 << 20

Wanted = str | Objective | Sequence[str | Objective]


@checked
@gradients()
def render(
    network: Network,
    objectives: Wanted,
    settings: Settings | None = None,
    *,
    copies: int = 1,
    observations: ObservationsLike | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
    stopped: Callable[[], bool] = lambda: False,
) -> Rendered:
    """An image for each sample of the objectives, that raises it as far as it can.

    objectives: one, of one or many samples, or several; as objects or in text ("conv3:38 - tv").
    copies: of each image, from other random starts.
    observations: real ones, (steps, 4, 84, 84), uint8 or float in 0..1: the percentiles are
        among them. Gradients are taken also where the caller has switched them off.
    progress: called with the steps done and those there are. stopped: once it says so, the loop
        ends; what was not begun is left out.

    A sample's image depends on the seed and its own name: it is the same alone and in a batch, but
    for objectives that couple samples.
    Raises ValueError, before the first step, if a layer or a unit is not there, an objective does
    not parse, one that couples samples is to be cut into batches, an image cannot take a transform,
    or the network diverged.

    >>> render(network, "fc:0..511", Settings(steps=256)).images.shape
    torch.Size([512, 4, 84, 84])
    """
    settings = settings or Settings()
    check_finite(network)
    network = differentiable(network)
    check_slopes(network)
    if observations is not None:
        observations = observations_for(network, observations)
    check_transforms(settings.transforms, observation_shape(network))
    objective = _objective(network, objectives, copies)
    check_objective(objective, _probe(network, objective))
    for one in {reference.network or network for reference in objective.references}:
        own = [r.layer for r in objective.references if (r.network or network) is one]
        warn_of_zero_state(one, [layer for layer in own if layer != IMAGE.layer])
    names = told_apart(objective.names)
    size = _batch(network, objective, settings)
    chunks = [slice(start, start + size) for start in range(0, len(names), size)]
    total = len(chunks) * settings.rounds
    parts: list[Rendered] = []
    for index, chunk in enumerate(chunks):
        if parts and stopped():
            break
        part = objective.of_samples(chunk)

        def update(step: int, index: int = index) -> None:
            progress(index * settings.rounds + step, total)

        done = ascend(network, part, names[chunk], settings, update, stopped)
        parts.append(measured_images(network, part, tuple(names[chunk]), done))
    rendered = together(parts)
    if observations is None:
        return rendered
    return percentiles(network, objective, rendered, observations)


def _objective(network: Network, given: Wanted, copies: int) -> Objective:
    if copies < 1:
        raise ValueError(f"copies is {copies}; expected at least 1")
    if not isinstance(given, str | Objective | Sequence):
        raise ValueError(
            f"objectives are of the type {type(given).__name__}; expected text such as 'fc:7', an "
            "Objective, or several of these"
        )
    several = [given] if isinstance(given, str | Objective) else list(given)
    whole = joined([parse(o, network) if isinstance(o, str) else o for o in several])
    return joined([whole] * copies)


def _probe(network: Network, objective: Objective) -> Values:
    """The values that the objective reads, for a black image."""
    networks = {reference.network or network for reference in objective.references}
    for other in networks:
        if observation_shape(other) != observation_shape(network):
            raise ValueError(
                f"one network sees images of {observation_shape(network)}, the other of "
                f"{observation_shape(other)}: there is no image for both"
            )
    dtype = next(network.parameters()).dtype
    black = torch.zeros(1, *observation_shape(network), dtype=dtype)
    return values_of(network, objective.references, black) | {IMAGE: black}


def _batch(network: Network, objective: Objective, settings: Settings) -> int:
    device = next(network.parameters()).device
    if objective.couples:
        if settings.batch is not None and settings.batch < objective.samples:
            raise ValueError(
                f"this objective couples its {objective.samples} samples, but a batch is "
                f"{settings.batch}; leave out the batch"
            )
        return objective.samples
    if settings.batch is not None:
        return settings.batch
    if device.type != "cuda":
        return CPU_BATCH
    free, _ = torch.cuda.mem_get_info(device)
    return max(1, min(GPU_BATCH, free // 2 // GPU_BYTES))
