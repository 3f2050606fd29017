"""The classifier of frames: whether a frame tells which algorithm was playing, and by what."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pandas
import torch

from atari_zoo.analysis.classifier.frames import DifferentSizes, present_frames
from atari_zoo.analysis.classifier.splits import RANDOM, RUN, SplitUnits, split_units
from atari_zoo.analysis.classifier.trials import (
    Moments,
    Trial,
    TrialSettings,
    trial_arrays,
    trial_rows,
    tried,
)
from atari_zoo.analysis.moments import moments_table, units_of
from atari_zoo.analysis.registry import analysis
from atari_zoo.analysis.results import Result
from atari_zoo.analysis.subjects import Subject
from atari_zoo.converters.arguments import checked
from atari_zoo.converters.preprocessings import preprocessing_named
from atari_zoo.intervals import CONFIDENCE

SEEN, TRUE, SHUFFLED = "as seen", "true", "shuffled"
KEPT = ["play", "step", "env", "episode"]  # of each moment


@checked
@analysis("state_classifier", source="https://arxiv.org/abs/1812.07069", verb="classify")
def classify(
    agents: Sequence[Subject],
    *,
    classes: str = "algorithm",
    preprocessing: str = "dopamine",
    every: int = 5,
    downscale: int = 2,
    folds: int = 2,
    epochs: int = 10,
    seed: int = 0,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Result:
    """Whether a single frame tells which algorithm was playing, and how much of that is rendering.

    A small convolutional network learns from the present frames of some runs and is tested on
    others; where an algorithm has one run only, of some episodes and on others.

    classes: algorithm, or agent.
    preprocessing: what all play is rendered by anew, so that agents differ by what they do alone.
    every: so many steps are one frame.
    downscale: squares of so many pixels are averaged; 1 for the whole frame, as the paper has it.
    folds: parts, each tested once by a network that learnt from the others.
    epochs: at most; it stops when the loss on held-back episodes rises.
    seed: of the splits, the first weights and the order.
    The table has rows for four trials: rendered anew; as each agent saw it; so, but frames split
    at random, as the original did, which leaks; rendered anew, labels shuffled (the control). Of
    each: accuracy and F1, of all and of each class, low, high; chance (the largest class, or the
    class's share); p of a permutation test of whole runs or episodes, and the smallest there is.
    Arrays: confusion (trial, true, taken), trials, classes; moments (play, step, env, episode),
    truth, and taken (trial, moment), -1 where it was not tested.
    Raises ValueError for one class alone, classes of too few moments, and what was not recorded.
    """
    _check_counts(every=every, downscale=downscale, epochs=epochs)
    if folds < 2:
        raise ValueError(f"folds is {folds}; expected 2 or more: one to learn from, one to test on")
    table, known = moments_table(agents, every), _classes(agents, classes)
    table["class"] = table["play"].map(known)
    names = tuple(dict.fromkeys(known.values()))
    units = split_units(table, names)
    labels = table["class"].map({name: number for number, name in enumerate(names)}).to_numpy()
    moments = Moments(labels, units.numbers, units_of(table), len(names))
    frames = {
        preprocessing: present_frames(agents, every, downscale, preprocessing_named(preprocessing))
    }
    try:
        frames[SEEN] = present_frames(agents, every, downscale)
        alike = torch.equal(frames[SEEN], frames[preprocessing])
        note = f"; all agents saw by {preprocessing}: {SEEN} is the same" * alike
    except DifferentSizes as error:
        alike, note = False, f"; not {SEEN}: {error}"
    trials = [trial for trial in _trials(preprocessing, units) if trial.frames in frames]
    settings, each = TrialSettings(folds, epochs, seed), folds * epochs
    found: list[Trial] = []
    for number, trial in enumerate(trials):
        told = _after(progress, number * each, each * len(trials))
        again = alike and number == 1
        shown = frames[trial.frames]
        taken = found[0].taken if again else tried(trial, shown, moments, settings, told)
        found.append(replace(trial, taken=taken))
        told(each)
    rows = [row for trial in found for row in trial_rows(trial, moments, names, seed)]
    arrays = trial_arrays(found, moments) | {
        "classes": np.array(names),
        "moments": table[KEPT].to_numpy(int),
    }
    return Result(pandas.DataFrame(rows), _uncertainty(units, downscale) + note, arrays)


def _trials(preprocessing: str, units: SplitUnits) -> list[Trial]:
    return [
        Trial(preprocessing, units.kind, TRUE),
        Trial(SEEN, units.kind, TRUE),
        Trial(SEEN, RANDOM, TRUE),
        Trial(preprocessing, units.kind, SHUFFLED),
    ]


def _check_counts(**counts: int) -> None:
    for name, count in counts.items():
        if count < 1:
            raise ValueError(f"{name} is {count}; expected 1 or more")


def _classes(agents: Sequence[Subject], classes: str) -> dict[int, str]:
    """The class of each play."""
    if classes not in ("algorithm", "agent"):
        raise ValueError(f"no classes '{classes}'; there are algorithm, agent")
    of_agents = classes == "agent"
    for agent in agents:
        if not (of_agents or agent.card.algorithm):
            raise ValueError(f"{agent.name}: its card names no algorithm; give classes='agent'")
    games = {agent.game: agent.name for agent in agents}
    if len(games) > 1:
        raise ValueError(
            f"agents of different games ({', '.join(games)}) differ by what game it is: classify "
            "one game's agents at a time"
        )
    found = {n: one.name if of_agents else one.card.algorithm for n, one in enumerate(agents)}
    if len(set(found.values())) < 2:
        raise ValueError(
            f"all play is of one {classes} ({found[0]}): a classifier tells two or more apart; "
            "give agents of others too"
        )
    return found


def _uncertainty(units: SplitUnits, downscale: int) -> str:
    why = "" if units.kind == RUN else ", as not every class has two runs"
    halved = (
        f"; of {', '.join(units.halved)}, which have one episode alone, halves in time, a tenth "
        "left out between them: these are not independent"
    )
    size = f"; {downscale}x{downscale} pixels averaged" if downscale > 1 else ""
    unit = units.kind
    return (
        f"split by {unit}{why}{halved * bool(units.halved)}{size}. low, high: {CONFIDENCE:.0%} "
        f"bootstrap, each class's {unit}s resampled; missing where a class has one alone, and for "
        f"frames split at random. p: {unit}s' labels permuted, no smaller than smallest_p"
    )


def _after(progress: Callable[[int, int], None], before: int, total: int) -> Callable[[int], None]:
    return lambda done: progress(before + done, total)
