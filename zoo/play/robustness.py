"""Robustness: what an agent scores under more and more noise."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from atari_zoo.converters.network.foreign import Network
from atari_zoo.emulator.kept import environments_kept
from atari_zoo.emulator.lanes import in_lanes
from atari_zoo.play.noise import LEVELS, Noise, perturbing_options
from atari_zoo.play.plans import Plan
from atari_zoo.play.rollouts import rollout
from atari_zoo.recordings.recordings import Recording

CLEAN, RANDOM = ("", 0.0), ("", 1.0)  # the two that all kinds share


@dataclass(frozen=True)
class NoiseScores:
    """What episodes scored at each level of one kind of noise, at one seed.

    returns: of each level's episodes. clean: without any noise. random: of random play.
    """

    kind: str
    levels: tuple[float, ...]
    returns: tuple[tuple[float, ...], ...]
    clean: tuple[float, ...]
    random: tuple[float, ...]


def noise_scores(
    network: Network,
    plan: Plan,
    kinds: Sequence[str],
    levels: Sequence[float] | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[NoiseScores]:
    """Plays whole episodes, as planned, at each level of each kind of noise.

    Clean and random play are played once, and a level that changes nothing is the clean play
    itself. kinds: of `atari_zoo.play.noise.PERTURBED`. levels: those of `LEVELS` if not given.
    progress: called with the rollouts done and those there are.
    Raises ValueError if there is no such kind, or a level is out of range.
    """
    given = {kind: tuple(levels or LEVELS.get(kind, ())) for kind in kinds}
    options = {
        kind: [perturbing_options(kind, level) for level in some] for kind, some in given.items()
    }
    clean_sticky = network.card.preprocessing.sticky if plan.sticky is None else plan.sticky
    total = 2 + sum(map(len, given.values()))

    def played(perturbed: dict[str, Any]) -> tuple[float, ...]:
        recording = rollout(network, replace(plan, **perturbed))
        assert isinstance(recording, Recording)
        return tuple(float(score) for score in recording.returns)

    wanted: dict[tuple[str, float], dict[str, Any]] = {
        CLEAN: {},
        RANDOM: {"noise": Noise(actions=1.0)},
    }
    for kind, some in given.items():
        for level, perturbed in zip(some, options[kind], strict=True):
            if level != (clean_sticky if kind == "sticky" else 0):
                wanted[kind, level] = perturbed
    calls = [partial(played, perturbed) for perturbed in wanted.values()]
    scores: dict[tuple[str, float], tuple[float, ...]] = {}
    # a network on a GPU has what it computes overwritten by its next batch: one at a time
    on_processor = next(network.parameters()).device.type == "cpu"
    with environments_kept():
        for number, returns in in_lanes(calls, 0 if on_processor else 1):
            scores[list(wanted)[number]] = returns
            progress(len(scores), total)
    progress(total, total)
    return [
        NoiseScores(
            kind,
            some,
            tuple(scores.get((kind, level), scores[CLEAN]) for level in some),
            scores[CLEAN],
            scores[RANDOM],
        )
        for kind, some in given.items()
    ]
