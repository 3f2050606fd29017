"""Verbs of analyses, each made from a registered function: its arguments and its settings."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from atari_zoo.analysis.declarations import Declaration, declarations
from atari_zoo.cli.analysis_inputs import AnalysisInput, inputs, units_input
from atari_zoo.cli.options import Csv, Force, Json
from atari_zoo.cli.outputs import check_folder
from atari_zoo.cli.tables import print_table
from atari_zoo.progress import progress_bar

if TYPE_CHECKING:
    from atari_zoo.analysis.registry import RegisteredAnalysis
    from atari_zoo.analysis.results import Result

# what no setting's words go on with, in a docstring
ENDS = (
    r"\w+(?:, \w+)*: |The (?:table|arrays)\b|Arrays: |Of one |Each agent |Raises\b|Returns\b|"
    r">>> |\s*$"
)
SHOWN = 40  # rows of a table on a terminal
PICTURE = "picture.png"
Output = Annotated[
    Path | None,
    typer.Option("-o", "--output", help="A folder for the table, the arrays and the picture."),
]


def add_verbs(app: typer.Typer) -> None:
    """Adds a verb for each analysis whose verb is not written by hand; imports none of them."""
    taken = {command.name for command in app.registered_commands}
    taken |= {command.callback.__name__ for command in app.registered_commands if command.callback}
    for declared in declarations():
        if declared.verb not in taken:
            app.command(
                declared.verb,
                help=declared.summary,
                add_help_option=False,  # the verb itself knows its settings
                context_settings={"ignore_unknown_options": True},
            )(_run_by_name(declared))


def verb_of(registered: RegisteredAnalysis) -> typer.Typer:
    """The verb that runs an analysis, as a program of its own.

    Positional arguments are read as `inputs` says, by their annotations; keywords are options, but
    a layer and its units one text.
    Raises TypeError for an argument of another kind.
    """
    app = typer.Typer(
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        add_completion=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    read, settings = _read_and_set(registered)
    given = [*(option for words in read.values() for option in words.options), *settings]
    examples = [words.example for words in read.values() if words.example]
    line = f"atari-zoo {registered.verb} {' '.join([*examples, *registered.example.split()])}"
    line += f" -o {registered.name}"
    epilog = "\n".join(["\b", "Examples:", f"  $ {line}"])
    verb = _verb(registered, given, read)
    app.command(registered.verb, help=registered.summary, epilog=epilog)(verb)
    return app


def _read_and_set(
    registered: RegisteredAnalysis,
) -> tuple[dict[str, AnalysisInput], list[inspect.Parameter]]:
    """What the function is given by name, in the order that it is read, and its other settings."""
    signature = dict(inspect.signature(registered.function).parameters)
    hints = get_type_hints(registered.function)
    positional = [n for n, p in signature.items() if p.kind is not p.KEYWORD_ONLY]
    try:
        read = inputs({n: hints[n] for n in positional}, "seed" in signature)
    except TypeError as error:
        raise TypeError(f"{registered.name}: {error}") from error
    if {"network", "layer", "units"} <= signature.keys():
        units = units_input("network", signature.pop("layer").default)
        # before play: what is not there is refused at once
        read = {"network": read.pop("network"), signature.pop("units").name: units} | read
    usual = [parameter.default for parameter in signature.values()]
    explained = setting_helps(
        inspect.getdoc(registered.function) or "", [v for v in usual if isinstance(v, str)]
    )
    settings = [
        parameter.replace(
            annotation=Annotated[_as_option(hints[n]), typer.Option(help=explained.get(n, ""))]
        )
        for n, parameter in signature.items()
        # what shows progress is no setting
        if n not in positional and not _is_callback(parameter)
    ]
    return read, settings


def setting_helps(docstring: str, values: Collection[Any] = ()) -> dict[str, str]:
    """What a docstring's lines `name: words.` say of each name.

    values: of settings; words that begin with one keep it as it is written.

    >>> setting_helps("Counts.\\n\\nlayer: its name. seed: of\\n    the draws.")
    {'layer': 'Its name.', 'seed': 'Of the draws.'}
    """
    found: dict[str, str] = {}
    for block in re.findall(rf"^\w+(?:, \w+)*: .*(?:\n(?!{ENDS}).+)*", docstring, re.M):
        text = " ".join(block.split())
        parts = re.split(r"(?:^|(?<=\. ))(\w+(?:, \w+)*): ", text)[1:]
        for names, words in zip(parts[::2], parts[1::2], strict=True):
            first = re.split(r"\W", words, maxsplit=1)[0]
            capital = words[:1] if first in values else words[:1].upper()
            found |= dict.fromkeys(names.split(", "), capital + words[1:].strip())
    return found


def _run_by_name(declared: Declaration) -> Callable[[list[str] | None], None]:
    def run(words: Annotated[list[str] | None, typer.Argument()] = None) -> None:
        from atari_zoo.analysis.registry import ANALYSES

        verb = verb_of(ANALYSES[declared.name])
        name = f"atari-zoo {declared.verb}"
        if status := verb(words or [], prog_name=name, standalone_mode=False):
            raise typer.Exit(status)

    return run


def _verb(
    registered: RegisteredAnalysis,
    given: list[inspect.Parameter],
    read: dict[str, AnalysisInput],
) -> Callable[..., None]:
    progress = [
        parameter.name
        for parameter in inspect.signature(registered.function).parameters.values()
        if _is_callback(parameter)
    ]

    def run(output: Path | None, force: bool, as_csv: bool, as_json: bool, **words: Any) -> None:
        if output is not None:
            check_folder(output, force)
        if as_csv and as_json:
            raise ValueError("--csv and --json are two ways to print: give one of them")
        values: dict[str, Any] = {}
        for name, way in read.items():
            values[name] = way.read(words, values)
        if "units" in values:
            values["layer"], values["units"] = values["units"]
        with progress_bar(registered.verb, "steps") as update:
            result = registered.function(**values, **words, **dict.fromkeys(progress, update))
        _tell(result, output, as_csv, as_json)

    last = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind)
        for name, default, kind in (
            ("output", None, Output),
            ("force", False, Force),
            ("as_csv", False, Csv),
            ("as_json", False, Json),
        )
    ]
    run.__signature__ = inspect.Signature([*given, *last])  # type: ignore[attr-defined]
    run.__annotations__ = {p.name: p.annotation for p in [*given, *last]}
    return run


def _is_callback(parameter: inspect.Parameter) -> bool:
    """What has no default has a class for one, which can be called too."""
    return callable(parameter.default) and parameter.default is not parameter.empty


def _as_option(kind: Any) -> Any:
    """Typer knows lists, but no other sequences."""
    lists: dict[Any, Any] = {
        Sequence[int]: list[int],
        Sequence[int] | None: list[int] | None,
        Sequence[float]: list[float],
        Sequence[float] | None: list[float] | None,
        Sequence[str]: list[str],
        Sequence[str] | None: list[str] | None,
    }
    return lists.get(kind, kind)


def _tell(result: Result, output: Path | None, as_csv: bool, as_json: bool) -> None:
    import sys
    from dataclasses import asdict

    from atari_zoo.analysis.results import PICTURES

    if output is not None:
        try:
            result.save(output)
        except OSError as error:  # what took hours is not lost with the disk's last byte
            print(result.table.to_csv(index=False), end="")
            raise OSError(
                f"{output}: not saved ({error.strerror or error}); the table is printed instead"
            ) from error
        if result.made.analysis in PICTURES:
            result.picture().savefig(output / PICTURE)
        print(output, file=sys.stderr if as_csv or as_json else sys.stdout)
    if as_csv:
        print(result.table.to_csv(index=False), end="")
    elif as_json:
        rows = result.table.astype(object)
        facts = {"made": asdict(result.made), "uncertainty": result.uncertainty}
        print(json.dumps(facts | {"rows": rows.where(rows.notna(), None).to_dict("records")}))
    else:
        _print_table(result)


def _print_table(result: Result) -> None:
    rows = result.table.head(SHOWN).itertuples(index=False)
    cells = ((f"{c:.4g}" if isinstance(c, float) else str(c) for c in row) for row in rows)
    print_table([tuple(row) for row in cells], *map(str, result.table.columns))
    if len(result.table) > SHOWN:
        print(f"and {len(result.table) - SHOWN} more rows: `--csv` prints all, `-o` saves them")
    print(result.uncertainty)
