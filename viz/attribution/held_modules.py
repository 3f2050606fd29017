"""A network whose activation modules are held, each to its value at one observation plus the change
of its input: it must be affine, and whatever else bends in it shows, under any name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from atari_zoo.viz.attribution.scores import TargetScore

RECTIFIERS = (nn.ReLU, nn.LeakyReLU, nn.PReLU)
# what DeepLIFT has a rule for: a pool, and what bends each number alone
SMOOTH_ONES = (nn.ELU, nn.SELU, nn.CELU, nn.GELU, nn.SiLU, nn.Mish, nn.Softplus)
HELD = (*RECTIFIERS, *SMOOTH_ONES, nn.Sigmoid, nn.Tanh, nn.MaxPool2d)
DIRECTIONS = 3  # in which it is looked for
TOLERANCE = 1e-3  # of the largest change; float32 misses by about 1e-5


def affine(score: TargetScore, observation: Tensor) -> bool:
    """Whether the score is affine in the pixels while the activation modules are held."""
    generator = torch.Generator().manual_seed(0)
    bends, changes = [], []
    with torch.no_grad(), _held(score) as pass_by:
        middle = score(observation, *score.arguments)
        for _ in range(DIRECTIONS):
            away = torch.rand(observation.shape, generator=generator).to(observation) - 0.5
            pass_by()
            up = score(observation + away, *score.arguments) - middle
            pass_by()
            down = score(observation - away, *score.arguments) - middle
            bends.append((up + down).abs().max())
            changes += [up.abs().max(), down.abs().max()]
    # of all directions together: in one of them the score may hardly change
    return bool(max(bends) <= TOLERANCE * max(changes))


@contextmanager
def calls(score: TargetScore, kinds: tuple[type[nn.Module], ...]) -> Iterator[Counter[nn.Module]]:
    """How often each module of these kinds runs while it is open."""
    counts: Counter[nn.Module] = Counter()
    with _hooked(score, kinds, lambda module, values, result: counts.update([module])):
        yield counts


@contextmanager
def _held(score: TargetScore) -> Iterator[Callable[[], None]]:
    """The first pass is remembered; a call of what is yielded begins each further one."""
    first: list[tuple[Tensor, Tensor]] = []
    further: list[Iterator[tuple[Tensor, Tensor]]] = []

    def hold(module: nn.Module, values: Tensor, result: Tensor) -> Tensor | None:
        if not further:
            first.append((values, result.clone()))
            return None
        before, then = next(further[-1])
        change = values - before
        if change.shape == then.shape:
            return then + change
        return then + F.adaptive_avg_pool2d(change, (then.shape[-2], then.shape[-1]))

    with _hooked(score, HELD, hold):
        yield lambda: further.append(iter(first))


@contextmanager
def _hooked(
    score: TargetScore,
    kinds: tuple[type[nn.Module], ...],
    act: Callable[[nn.Module, Tensor, Tensor], Tensor | None],
) -> Iterator[None]:
    """act(module, its input, its output) after each of these; what it returns is the output."""
    inputs: list[Tensor] = []

    def before(module: nn.Module, given: tuple[Any, ...]) -> None:
        inputs.append(given[0].clone())  # what works in place would change it

    def after(module: nn.Module, given: tuple[Any, ...], result: Any) -> Tensor | None:
        return act(module, inputs.pop(), result)

    handles = []
    for module in score.modules():
        if isinstance(module, kinds):
            handles += [module.register_forward_pre_hook(before)]
            handles += [module.register_forward_hook(after)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
