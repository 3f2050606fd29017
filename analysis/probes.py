"""Probes: what each layer of an agent tells of the game's variables, by how much more than that of
a network which learnt nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pandas

from atari_zoo.analysis.measures.resampling import WORDS
from atari_zoo.analysis.probing.answers import PROBES, Answer, probe_answers
from atari_zoo.analysis.probing.layer_values import (
    CONTROL_WORDS,
    layers_of,
    own_values,
    untrained_values,
)
from atari_zoo.analysis.probing.questions import Questions, questions
from atari_zoo.analysis.probing.scores import MEASURES, Sums, gain, ranged
from atari_zoo.analysis.probing.splits import FOLDS
from atari_zoo.analysis.registry import analysis
from atari_zoo.analysis.results import Result
from atari_zoo.analysis.subjects import Subject
from atari_zoo.converters.arguments import checked

PIXELS = "pixels"  # in a layer's place
Progress = Callable[[int, int], None]


@checked
@analysis("probes", source="https://arxiv.org/abs/1906.08226", verb="probe")
def variable_probes(
    agents: Sequence[Subject],
    *,
    layer: Sequence[str] | None = None,
    variable: Sequence[str] | None = None,
    probe: str = "ridge",
    all_variables: bool = False,
    pixels: bool = False,
    folds: int = FOLDS,
    seed: int = 0,
    progress: Progress = lambda done, total: None,
) -> Result:
    """What each layer tells of the game's variables, more than before training.

    layer: some layers; all if not given. variable: some variables, by their names; if not given
    those of the game's table that are certain and change (entropy of 0.6 nats or more).
    probe: ridge (linear), softmax (of categories), hidden (32 hidden units). all_variables: those
    that are uncertain or hardly change too. pixels: the observation itself too, as a baseline.
    folds: parts that are tested in turn; whole episodes. seed: of splits, controls, resampling.
    The table has a row for each agent, layer, variable and measure: value with low and high, the
    same of the controls (untrained, shuffled, control), gain (over untrained) with gain_low and
    gain_high, and selectivity (over control).
    Raises ValueError for a layer, variable or probe that is not there.
    """
    if probe not in PROBES:
        raise ValueError(f"no probe '{probe}'; there are {', '.join(PROBES)}")
    wanted = [(subject, layers_of(subject.network, layer)) for subject in agents]
    total = sum(2 * (len(layers) + pixels) for _, layers in wanted)
    done, rows, said = 0, [], []
    for subject, layers in wanted:
        asked = questions(subject, variable, all_variables, folds, seed)
        said.append(f"{subject.name}: {asked.split.words}; {asked.labels.said()}".rstrip("; "))
        for name, found in _layers_found(subject, layers, asked, probe, pixels, seed):
            rows += _rows(subject, name, asked, found, probe, seed)
            done += 2
            progress(done, total)
    uncertainty = (
        f"low, high, gain_low, gain_high: {WORDS}; {CONTROL_WORDS}. "
        f"{'. '.join(dict.fromkeys(said))}"
    )
    return Result(pandas.DataFrame(rows), uncertainty)


def _layers_found(
    subject: Subject, layers: Sequence[str], asked: Questions, probe: str, pixels: bool, seed: int
) -> Iterator[tuple[str, list[Answer]]]:
    """For each layer, of each variable what was found."""
    for name in layers:
        own = own_values(subject, [name], asked.kept)[name]
        control = untrained_values(subject, [name], asked.kept, seed)
        yield name, probe_answers(own, control.get(name), asked, probe, seed)
    if pixels:
        seen = subject.observations()[asked.kept].float().numpy()
        yield PIXELS, probe_answers(seen, None, asked, probe, seed)


def _rows(
    subject: Subject, layer: str, asked: Questions, found: Sequence[Answer], probe: str, seed: int
) -> list[dict[str, object]]:
    card, rows = subject.card, []
    for label, one in zip(asked.labels.labels, found, strict=True):
        for measure, sums in one.real.items():
            value = ranged(sums, measure, seed)
            before = _alone(one.untrained, measure)
            shuffled, control = (_alone(part, measure) for part in (one.shuffled, one.control))
            more = gain(sums, one.untrained[measure], measure, seed) if one.untrained else None
            rows.append(
                {
                    "agent": subject.name,
                    "algorithm": card.algorithm,
                    "game": subject.recording.game,
                    "frames": card.frames,
                    "layer": layer,
                    "variable": label.name,
                    "kind": label.variable.kind if label.variable else "byte",
                    "probe": probe if label.category or probe != "softmax" else "ridge",
                    "measure": measure,
                    "classes": 0 if measure == "r2" else sums.shape[1] // 3,
                    "value": value.value,
                    "low": value.low,
                    "high": value.high,
                    "untrained": before,
                    "shuffled": shuffled,
                    "control": control,
                    "gain": more.value if more else np.nan,
                    "gain_low": more.low if more else np.nan,
                    "gain_high": more.high if more else np.nan,
                    "selectivity": max(value.value, 0.0) - max(control, 0.0),
                    "penalty": one.penalty,
                    "episodes": int(sums.any(1).sum()),
                    "n": int(_count(sums, measure)),
                }
            )
    return rows


def _alone(sums: Sums, measure: str) -> float:
    return float(MEASURES[measure](sums[measure].sum(0))) if sums else float("nan")


def _count(sums: np.ndarray, measure: str) -> float:
    """Of the moments that were tested."""
    total = sums.sum(0)
    return float(total[0] if measure == "r2" else np.split(total, 3)[0].sum())
