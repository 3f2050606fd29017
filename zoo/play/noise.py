"""Noise on what an agent sees and on what it is made of, to ask how robust it is.

The original's noise (Such et al., 2019, supplement S1.2) is N(0, sigma): on the stacked
observation, drawn anew at every step for each of its frames, and on the convolutions' kernels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from atari_zoo.converters.arguments import check_kinds
from atari_zoo.play.options import check_options, option

PLACES = ("stack", "frame")


@dataclass(frozen=True)
class Noise:
    """How much noise, in standard deviations. Raises ValueError if one is out of range.

    observation: in units of 0..1, unclipped. place: "stack", where a frame has other noise at
        each step that it is seen, as in the original; or "frame", where it keeps its own.
    parameters: of the weights' own units, as in the original; or, if `relative`, of the standard
        deviation of the same layer's weights, so that it is comparable between agents.
    kernels: only those of the convolutions, as in the original; else every weight and bias.
    actions: share of actions that are random.
    """

    observation: float = option(
        0.0,
        "Standard deviation of noise on observations, which are in 0..1.",
        least=0,
        noun="observation noise",
        flat="observation_noise",
    )
    place: str = option(
        "stack",
        "stack: noise anew at each step; frame: a frame keeps its own.",
        choices=PLACES,
        noun="place of noise",
        flat="noise_place",
    )
    parameters: float = option(
        0.0,
        "Standard deviation of noise on the network's weights.",
        least=0,
        noun="parameter noise",
        flat="parameter_noise",
    )
    kernels: bool = option(
        True, "On the convolutions' kernels alone, or on all weights.", flat="noise_kernels"
    )
    actions: float = option(
        0.0, "Share of random actions.", least=0, most=1, noun="action noise", flat="action_noise"
    )
    relative: bool = option(
        False,
        "Parameter noise in parts of each layer's own spread of weights.",
        flat="relative_noise",
    )

    def __post_init__(self) -> None:
        check_kinds(self)
        check_options(self)


# what can be perturbed, and how much of it is tried where nobody says
LEVELS: dict[str, tuple[float, ...]] = {
    "observation": (0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5),
    "frame": (0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5),
    "relative": (0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1),
    "parameters": (0, 0.01, 0.02, 0.05, 0.1, 0.2),
    "actions": (0, 0.01, 0.05, 0.1, 0.25, 0.5),
    "sticky": (0, 0.1, 0.25, 0.5),
}
PERTURBED = {
    "observation": "observation noise, anew at each step (standard deviation, pixels 0 to 1)",
    "frame": "observation noise, a frame keeps its own (standard deviation, pixels 0 to 1)",
    "relative": "noise on the convolutions' kernels (parts of each layer's weight spread)",
    "parameters": "noise on the convolutions' kernels (standard deviation, absolute)",
    "actions": "share of random actions",
    "sticky": "probability that the emulator repeats the action before",
}


def perturbing_options(kind: str, level: float) -> dict[str, Any]:
    """The options of a rollout that perturb it so much.

    kind: one of `PERTURBED`. Raises ValueError for another, and for a level out of range.

    >>> perturbing_options("relative", 0.1)["noise"].parameters
    0.1
    """
    if kind not in PERTURBED:
        raise ValueError(f"no noise on '{kind}'; there are {', '.join(PERTURBED)}")
    if kind == "sticky":
        if not 0 <= level <= 1:
            raise ValueError(f"sticky is {level}; it must be from 0 to 1")
        return {"sticky": level}
    return {
        "noise": {
            "observation": lambda: Noise(observation=level),
            "frame": lambda: Noise(observation=level, place="frame"),
            "relative": lambda: Noise(parameters=level, relative=True),
            "parameters": lambda: Noise(parameters=level),
            "actions": lambda: Noise(actions=level),
        }[kind]()
    }
