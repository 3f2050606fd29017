"""Labels: the game's variables at each moment, as probes and units are asked for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches

import numpy as np
import pandas
from jaxtyping import Float

from atari_zoo.analysis.subjects import Subject
from atari_zoo.ram.variables import Variable
from atari_zoo.ram.variables import variables as variables_of

LEAST_ENTROPY = 0.6  # nats; AtariARI's threshold (Anand et al., 2019), of which less is not asked
FEW_VALUES = 8  # a variable of so many values or fewer is a category
UNSURE = ("constant", "doubtful")  # of the table's `verified`
SHOWN = 12  # names in a message


@dataclass(frozen=True)
class VariableLabel:
    """One variable at each moment.

    values: NaN where what it tells of is absent. category: whether its values are names, as those
        of bitmaps and of a few, and not a quantity. variable: its row of the table; None of a byte
        without a name.
    """

    name: str
    values: Float[np.ndarray, "moments"]
    category: bool
    variable: Variable | None = None


@dataclass(frozen=True)
class Labels:
    """labels: those that are asked about. left_out: the others and why. words: what is said of
    where they come from; empty where there is nothing to say."""

    labels: tuple[VariableLabel, ...]
    left_out: tuple[str, ...]
    words: str = ""

    def said(self) -> str:
        """The words and what was left out, as a sentence or two."""
        out = f"left out: {'; '.join(self.left_out)}" if self.left_out else ""
        return "; ".join(part for part in (self.words, out) if part)


def entropy(values: Float[np.ndarray, "moments"]) -> float:
    """Of how often each value is taken, in nats; those that are absent (NaN) do not count."""
    _, counts = np.unique(values[np.isfinite(values)], return_counts=True)
    shares = counts / max(counts.sum(), 1)
    return float(-(shares * np.log(shares)).sum())


def labels_of(subject: Subject, wanted: Sequence[str] | None = None, all: bool = False) -> Labels:
    """The variables to ask about in a subject's play.

    wanted: by their names, whatever they are. If not given, those of the game's table, but for
        the constant, the doubtful, and those whose entropy in this play is below 0.6 nats.
    all: those too, if they change. A game without a table is asked for its bytes, `ram_0` to
        `ram_127`.
    Raises ValueError if a name is not there, nothing is left, or the RAM was not recorded.
    """
    table, known, words = named_values(subject)
    if wanted is not None:
        check_names(wanted, list(table), subject.recording.game)
    labels, out = [], []
    for name in table if wanted is None else dict.fromkeys(wanted):
        values = table[name].to_numpy(float)
        label = VariableLabel(name, values, _is_category(values, known.get(name)), known.get(name))
        reason = _reason(label, all or wanted is not None)
        if reason:
            out.append(f"{name} ({reason})")
        else:
            labels.append(label)
    if not labels:
        raise ValueError(
            f"no variable of {subject.recording.game} changes in the play of {subject.name}: "
            f"{'; '.join(out[:SHOWN])}"
        )
    return Labels(tuple(labels), tuple(out), words)


def named_values(subject: Subject) -> tuple[pandas.DataFrame, dict[str, Variable], str]:
    """The named variables at each moment, their rows of the table, and what is to be said.

    Raises ValueError if the RAM was not recorded.
    """
    game = subject.recording.game
    known = {variable.name: variable for variable in variables_of(game)}
    if known:
        return subject.variables, known, ""
    bytes_of = subject.ram.astype(float)
    table = pandas.DataFrame(bytes_of, columns=[f"ram_{n}" for n in range(bytes_of.shape[1])])
    return table, {}, f"{game} has no named variables: its bytes serve, ram_0 to ram_127"


def check_names(wanted: Sequence[str], known: Sequence[str], game: str) -> None:
    """Raises ValueError with the nearest names, or all, for one that is not there."""
    if not wanted:
        raise ValueError("no variables: give names, or none for all")
    for name in wanted:
        if name not in known:
            near = get_close_matches(name, known, 3)
            meant = f"; did you mean {' or '.join(near)}?" if near else ";"
            raise ValueError(f"no variable '{name}' of {game}{meant} there are {', '.join(known)}")


def _is_category(values: Float[np.ndarray, "moments"], variable: Variable | None) -> bool:
    bits = variable is not None and variable.encoding == "bits"
    return bits or len(np.unique(values[np.isfinite(values)])) <= FEW_VALUES


def _reason(label: VariableLabel, kept: bool) -> str:
    """Why it is not asked about; empty if it is."""
    there = label.values[np.isfinite(label.values)]
    if not len(there):
        return "never there in this play"
    if there.min() == there.max():
        return f"always {there[0]:g} in this play"
    if kept:
        return ""
    if label.variable is not None and label.variable.verified in UNSURE:
        return label.variable.verified
    nats = entropy(label.values)
    return f"entropy {nats:.2f} nats" if nats < LEAST_ENTROPY else ""
