"""Inputs of an analysis on the command line: its arguments as options, and what they stand for.

An agent is a name or a file, and `--device`. Recorded play is `--recording`; where there is an
agent, it plays otherwise, `--steps` in `--envs`. A layer and its units are one text, as in
`patches`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from inspect import Parameter
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer

from atari_zoo.cli.objectives import shown_in_place
from atari_zoo.cli.options import STEPS, Device, Envs, Model, Played, Seed, seen_play

Words = dict[str, Any]
MODELS = "Names, patterns such as '*/Seaquest/*', or the paths of models' files."
SUBJECTS = (
    "Agents: names, patterns such as '*/Seaquest/*', files of models or of recorded play. Who has "
    "no play plays 2,500 steps, recorded once and kept."
)
SUBJECT_STEPS = "Agent steps of play, where no recording is given."
LOGS = "Models' names, files of logs, runs' folders."
RECORDED = "Recorded play: a file or an address."
UNITS = "A layer, and units of it if not all: conv3, conv3:0..3, output:FIRE."


class AnalysisInput(NamedTuple):
    """options: of the verb. example: of its words. read: the value, from the words by name and the
    values that were read before."""

    options: tuple[Parameter, ...]
    example: str
    read: Callable[[Words, Mapping[str, Any]], Any]


def inputs(hints: Mapping[str, Any], seeded: bool = True) -> dict[str, AnalysisInput]:
    """How each argument of an analysis is given, by its name and annotation; agents first.

    seeded: whether the analysis has a seed, which then is of play too.
    Raises TypeError for one of a kind that has no words.
    """
    import pandas

    import atari_zoo as zoo
    from atari_zoo.analysis.subjects import Subject
    from atari_zoo.converters.network.foreign import Network

    readers: dict[Any, tuple[str, str, Callable[[str], Any]]] = {
        # `@checked` makes networks of them: a name may be a pattern of several
        Sequence[Network]: (MODELS, "'*/Seaquest/*'", str),
        Sequence[zoo.Recording]: (RECORDED, "play.zarr", zoo.open_recording),
        Sequence[pandas.DataFrame]: (LOGS, "a2c/Pong/1", zoo.training_log),
    }
    agents = [name for name, kind in hints.items() if kind == Network]
    found = {name: _agent(name) for name in agents}
    for name, kind in hints.items():
        if kind == zoo.Recording:
            found[name] = _play(name, agents[0], seeded) if agents else _recording(name)
        elif kind == Sequence[Subject]:
            found[name] = _subjects(name)
        elif kind in readers:
            found[name] = _several(name, *readers[kind])
        elif kind != Network:
            raise TypeError(f"no words for '{name}', which is {kind}")
    return found


def units_input(network: str, layer: str) -> AnalysisInput:
    """Of an analysis's `layer` and `units`, with the name of the agent that has them; `layer`: the
    usual one. What is read is the layer and the units, None for all of them."""

    def read(words: Words, values: Mapping[str, Any]) -> tuple[str, list[int] | None]:
        from atari_zoo.units.texts import parse_units

        text = words.pop("units")
        with shown_in_place():
            name, numbers = parse_units(text, values[network])
        return name, numbers if text.strip() != name else None

    kind = Annotated[str, typer.Argument(help=UNITS)]
    return AnalysisInput((_option("units", kind, layer),), f"{layer}:0..3", read)


def _agent(name: str) -> AnalysisInput:
    def read(words: Words, values: Mapping[str, Any]) -> Any:
        import atari_zoo as zoo

        return zoo.load(words.pop(name), words.pop("device"))

    options = (_option(name, Model), _option("device", Device, "cpu"))
    return AnalysisInput(options, "a2c/Pong/1", read)


def _play(name: str, agent: str, seeded: bool) -> AnalysisInput:
    def read(words: Words, values: Mapping[str, Any]) -> Any:
        seed = words["seed"] if seeded else words.pop("seed")
        recording, steps = words.pop("recording"), words.pop("steps")
        return seen_play(values[agent], recording, steps, seed, words.pop("envs"))

    steps = Annotated[int | None, typer.Option("--steps", help=STEPS, min=1, show_default="1000")]
    options = [
        _option("recording", Played, None),
        _option("steps", steps, None),
        _option("envs", Envs, 1),
    ]
    if not seeded:
        options.append(_option("seed", Seed, 0))
    return AnalysisInput(tuple(options), "", read)


def _recording(name: str) -> AnalysisInput:
    def read(words: Words, values: Mapping[str, Any]) -> Any:
        import atari_zoo as zoo

        return zoo.open_recording(words.pop(name))

    return AnalysisInput(
        (_option(name, Annotated[Path, typer.Argument(help=RECORDED)]),), "play.zarr", read
    )


def _subjects(name: str) -> AnalysisInput:
    def read(words: Words, values: Mapping[str, Any]) -> Any:
        from atari_zoo.analysis.subjects import as_subjects

        return as_subjects(words.pop(name), words.pop("steps"))

    steps = Annotated[
        int | None, typer.Option("--steps", help=SUBJECT_STEPS, min=1, show_default="2500")
    ]
    options = (
        _option(name, Annotated[list[str], typer.Argument(help=SUBJECTS)]),
        _option("steps", steps, None),
    )
    return AnalysisInput(options, "'*/Seaquest/*'", read)


def _several(name: str, about: str, example: str, reader: Callable[[str], Any]) -> AnalysisInput:
    def read(words: Words, values: Mapping[str, Any]) -> Any:
        return [reader(word) for word in words.pop(name)]

    kind = Annotated[list[str], typer.Argument(help=about)]
    return AnalysisInput((_option(name, kind),), example, read)


def _option(name: str, kind: Any, *default: Any) -> Parameter:
    """default: none of an argument that must be given."""
    usual = default[0] if default else Parameter.empty
    return Parameter(name, Parameter.KEYWORD_ONLY, default=usual, annotation=kind)
