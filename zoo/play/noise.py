"""Noise on what an agent sees and on what it is made of, to ask how robust it is.

The original's noise (Such et al., 2019, supplement S1.2) is N(0, sigma): on the stacked
observation, drawn anew at every step for each of its frames, and on the convolutions' kernels.
"""

from __future__ import annotations

from dataclasses import dataclass

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
