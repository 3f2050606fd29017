"""Results of analyses: a tidy table, arrays, how sure the numbers are, and how they were made."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile

import numpy as np
import pandas

from atari_zoo.converters.displays import notebook_html
from atari_zoo.converters.files import written_whole
from atari_zoo.converters.registration import Registry

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TABLE, ARRAYS, MADE = "table.csv", "arrays.npz", "made.json"


@dataclass(frozen=True)
class Made:
    """How a result was made, as JSON has it.

    analysis: its name in the registry. source: the paper of the method.
    inputs: what was analysed, by the argument's name: models' names, logs' sources.
    parameters: the settings, those that were not given too. version: of the library.
    """

    analysis: str = ""
    source: str = ""
    inputs: dict[str, Any] = field(default_factory=dict)
    parameters: dict[str, Any] = field(default_factory=dict)
    version: str = ""


@dataclass(frozen=True)
class Result:
    """What an analysis found.

    table: tidy: a row for each thing that was measured, a column for each variable.
    uncertainty: which columns tell how sure the numbers are, and by which method; or why none do.
    arrays: what does not fit a table, by name, such as the peaks of every unit at every step.
    made: filled in by `@analysis`.
    """

    table: pandas.DataFrame
    uncertainty: str
    arrays: Mapping[str, np.ndarray] = field(default_factory=dict)
    made: Made = field(default_factory=Made)

    _repr_html_ = notebook_html

    def __repr__(self) -> str:
        rows, columns = self.table.shape
        inputs = ", ".join(f"{name} {value}" for name, value in self.made.inputs.items())
        name = self.made.analysis or "an analysis"
        return f"<Result of {name}{f' ({inputs})' * bool(inputs)}: {rows} rows, {columns} columns>"

    def save(self, folder: str | Path) -> None:
        """Writes table.csv, arrays.npz and made.json into the folder, which is made if need be.

        Raises OSError where it cannot be written.
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        types = {str(name): str(kind) for name, kind in self.table.dtypes.items()}
        facts = asdict(self.made) | {"uncertainty": self.uncertainty, "columns": types}
        with written_whole(folder / TABLE) as beside:
            self.table.to_csv(beside, index=False)
        with written_whole(folder / ARRAYS) as beside, beside.open("wb") as file:
            np.savez_compressed(file, allow_pickle=False, **self.arrays)
        with written_whole(folder / MADE) as beside:  # the last: a folder with it is complete
            beside.write_text(json.dumps(facts, indent=1) + "\n", "utf-8")

    def picture(self) -> Figure:
        """The result as a figure of matplotlib's.

        Raises ValueError if none is registered for this analysis.
        """
        return PICTURES.named(self.made.analysis)(self)


# a room that stands above this one: imported by its name, when a picture is asked for
PICTURES: Registry[Callable[[Result], Any]] = Registry(
    "picture of an analysis", "atari_zoo.viz.analyses"
)


def picture(
    name: str,
) -> Callable[[Callable[[Result], Figure]], Callable[[Result], Figure]]:
    """Registers a function as what draws the results of the analysis called `name`."""

    def register(draw: Callable[[Result], Figure]) -> Callable[[Result], Figure]:
        PICTURES.add(name, draw, draw)
        return draw

    return register


def open_result(folder: str | Path) -> Result:
    """A result that was saved.

    Raises ValueError if there is none in the folder, or it is damaged.
    """
    folder = Path(folder)
    try:
        facts = json.loads((folder / MADE).read_text("utf-8"))
        types, uncertainty = facts.pop("columns"), facts.pop("uncertainty")
        texts = pandas.read_csv(folder / TABLE, dtype=str, keep_default_na=False)
        table = pandas.DataFrame({name: _typed(texts[name], kind) for name, kind in types.items()})
        with (
            (folder / ARRAYS).open("rb") as file,  # np.load leaves a damaged one open
            np.load(file, allow_pickle=False) as arrays,
        ):
            return Result(table, uncertainty, dict(arrays), Made(**facts))
    except (OSError, ValueError, KeyError, TypeError, BadZipFile, zlib.error) as error:
        raise ValueError(
            f"{folder}: no result of an analysis, which has {TABLE}, {ARRAYS} and {MADE}, "
            f"or a damaged one: {error}"
        ) from error


def _typed(texts: pandas.Series, kind: str) -> pandas.Series:
    """A column of a CSV file in its type; pandas' own reader rounds numbers."""
    if kind == "bool":
        return texts == "True"
    if kind.startswith("float"):  # an empty field is a missing number
        return pandas.Series([float(text or "nan") for text in texts], dtype=kind)
    return texts.astype(kind)
