"""Activation functions: what stands after a layer's sums, by torch's names of it.

Exporters write one function in many ways (GELU as five operators, SiLU as two). So it is told by
its values on a grid of numbers, not by its spelling.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import nn

from atari_zoo.converters.errors import ConversionError

# 0, -8 and -30 are looked up in it; the far ends tell what is clipped, and where it saturates
GRID: Float[np.ndarray, "points"] = np.concatenate(
    [np.linspace(-8, 8, 129), [-30.0, -15.0, 15.0, 30.0]]
).astype(np.float32)
RELATIVE, ABSOLUTE = 2e-5, 2e-6  # float32 through a few operators; GELU's two forms: 5e-4 apart

Samples = Float[np.ndarray, "points"]


@dataclass(frozen=True)
class Activation:
    """One of `KINDS`, such as "relu" or "leaky_relu", with its numbers, as torch's module has
    them.

    >>> Activation("elu", (1.0,)).module()
    ELU(alpha=1.0)
    """

    kind: str = "relu"
    parameters: tuple[float, ...] = ()  # of a PReLU, the slope of each unit

    def module(self) -> nn.Module:
        """torch's module for it, not in place."""
        return KINDS[self.kind].module(*self.parameters)

    def __str__(self) -> str:
        """As reports have it: "ReLU", "ELU (1)"."""
        if KINDS[self.kind].each_unit:
            least, most = min(self.parameters), max(self.parameters)
            return f"{KINDS[self.kind].title} ({least:g} to {most:g})"
        numbers = ", ".join(f"{number:g}" for number in self.parameters)
        return f"{KINDS[self.kind].title} ({numbers})" if numbers else KINDS[self.kind].title


@dataclass(frozen=True)
class Family:
    """title: what reports call it. module: torch's, made of its numbers.
    fitted: the numbers that samples on the grid show, if it is this one.
    each_unit: it has one number for each unit, and so is no one function of a layer's values.
    """

    title: str
    module: Callable[..., nn.Module]
    fitted: Callable[[Samples], tuple[float, ...]] = lambda samples: ()
    each_unit: bool = False


def _slope(samples: Samples) -> tuple[float, ...]:
    """Of a leaky ReLU, left of zero."""
    return (_rounded(float(samples[0] / GRID[0])),)


def _limit(samples: Samples) -> tuple[float, ...]:
    """Of an ELU, far left of zero: less its alpha."""
    return (_rounded(-float(samples[np.argmin(GRID)])),)


def _prelu(*slopes: float) -> nn.PReLU:
    module = nn.PReLU(len(slopes))
    with torch.no_grad():
        module.weight.copy_(torch.tensor(slopes))
    return module


KINDS: dict[str, Family] = {
    "relu": Family("ReLU", nn.ReLU),
    "identity": Family("no activation", nn.Identity),
    "elu": Family("ELU", nn.ELU, _limit),
    "leaky_relu": Family("LeakyReLU", nn.LeakyReLU, _slope),
    "gelu": Family("GELU", nn.GELU),
    "gelu_tanh": Family("GELU by tanh", lambda: nn.GELU("tanh")),
    "silu": Family("SiLU", nn.SiLU),
    "tanh": Family("tanh", nn.Tanh),
    "sigmoid": Family("sigmoid", nn.Sigmoid),
    "selu": Family("SELU", nn.SELU),
    "celu": Family("CELU", nn.CELU, _limit),
    "softplus": Family("softplus", nn.Softplus),
    "softsign": Family("softsign", nn.Softsign),
    "mish": Family("Mish", nn.Mish),
    "hardswish": Family("Hardswish", nn.Hardswish),
    "hardsigmoid": Family("Hardsigmoid", nn.Hardsigmoid),
    "relu6": Family("ReLU6", nn.ReLU6),
    "prelu": Family("PReLU", _prelu, each_unit=True),
}
MODULES: tuple[type[nn.Module], ...]
MODULES = (nn.ReLU, nn.ELU, nn.LeakyReLU, nn.GELU, nn.SiLU, nn.Tanh, nn.Sigmoid, nn.SELU, nn.CELU)
MODULES += (nn.Softplus, nn.Softsign, nn.Mish, nn.Hardswish, nn.Hardsigmoid, nn.ReLU6, nn.PReLU)
RELU = Activation()
IDENTITY = Activation("identity")


def activation_of(samples: Samples) -> Activation:
    """The function that has these values on `GRID`.

    Raises ConversionError, with some of the values, if it is none of `KINDS`.
    """
    samples = samples.astype(np.float64)
    for kind, row in KINDS.items():
        if row.each_unit:
            continue
        found = Activation(kind, row.fitted(samples))
        if all(map(np.isfinite, found.parameters)) and _matches(found, samples):
            return found
    shown = ", ".join(f"{samples[np.flatnonzero(x == GRID)[0]]:.3g} at {x}" for x in (-1, 0, 1))
    raise ConversionError(f"an activation function that has no name here: {shown}")


def prelu_of(slopes: Sequence[float] | np.ndarray) -> Activation:
    """A PReLU with these slopes; a leaky ReLU, where they are one number.

    Raises ConversionError if there are none, or one is no finite number.
    """
    numbers = [float(slope) for slope in slopes]
    if not numbers or not np.isfinite(numbers).all():
        raise ConversionError("slopes of a PReLU that are no numbers")
    if len(set(numbers)) == 1:
        return Activation("leaky_relu", (numbers[0],)) if numbers[0] else RELU
    return Activation("prelu", tuple(numbers))


def activation_words(activations: Iterable[Activation]) -> list[str]:
    """What differs from ReLU, in words: of several of one kind, with other numbers, the kind."""
    found: dict[str, set[str]] = {}
    for activation in activations:
        if activation != RELU:
            found.setdefault(KINDS[activation.kind].title, set()).add(str(activation))
    return sorted(title if len(words) > 1 else words.pop() for title, words in found.items())


def activation_before(module: nn.Module) -> nn.Module | None:
    """What gives the sums that a layer's own activation reads; None if it ends in none."""
    parts = list(module.children()) if isinstance(module, nn.Sequential) else []
    return parts[-2] if len(parts) > 1 and isinstance(parts[-1], MODULES) else None


def _matches(activation: Activation, samples: Samples) -> bool:
    with torch.no_grad():
        try:
            values = activation.module()(torch.from_numpy(GRID)).numpy()
        except (ValueError, RuntimeError):  # CELU's alpha of 0
            return False
    return np.allclose(values, samples, rtol=RELATIVE, atol=ABSOLUTE)


def _rounded(number: float) -> float:
    """A fitted number as somebody wrote it: 0.01, not 0.0099999998."""
    return float(f"{number:.6g}")
