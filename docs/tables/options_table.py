"""The command line's options and which verbs have them, as a table in Markdown, from the verbs.

python docs/tables/options_table.py docs/commands.md    puts it into the page
"""

from __future__ import annotations

import inspect
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, Union, get_args, get_origin, get_type_hints

from generated_tables import bring_up_to_date
from typer.models import OptionInfo

from atari_zoo.analysis.registry import ANALYSES
from atari_zoo.cli.analyses import verb_of
from atari_zoo.cli.verbs import verbs

SOURCE = "the verbs"


class VerbOption(NamedTuple):
    """An option of a verb. kind: the type of one value; None aside. several: whether as often as
    wanted."""

    verb: str
    flag: str
    kind: type
    several: bool
    help: str


def verb_options() -> list[VerbOption]:
    """All options of all verbs, by verbs."""
    written = {command.name: command.run for command in verbs()}
    made = {
        analysis.verb: verb_of(analysis).registered_commands[0].callback
        for analysis in ANALYSES.values()
        if analysis.verb not in written
    }
    return [option for name, run in sorted((written | made).items()) for option in _of(name, run)]


def _of(verb: str, run: Callable[..., Any] | None) -> Iterator[VerbOption]:
    assert run is not None
    hints = get_type_hints(run, include_extras=True)
    for parameter in inspect.signature(run).parameters.values():
        kind, *about = get_args(hints.get(parameter.name, parameter.annotation))
        for info in about:
            if isinstance(info, OptionInfo):
                declared = [info.default, *(info.param_decls or ())]  # typer keeps the first so
                flags = [flag for flag in declared if str(flag).startswith("--")]
                flag = flags[0].partition("/")[0] if flags else f"--{parameter.name}"
                kinds = [k for k in _parts(kind) if k is not types.NoneType]
                several = get_origin(kinds[0]) is list
                one = get_args(kinds[0])[0] if several else kinds[0]
                yield VerbOption(verb, flag.replace("_", "-"), one, several, info.help or "")


def _parts(kind: Any) -> tuple[Any, ...]:
    union = get_origin(kind) in (Union, types.UnionType)
    return get_args(kind) if union else (kind,)


def options_table() -> str:
    """A row for each option that two verbs or more have: what it means, and which."""
    rows: dict[str, list[VerbOption]] = {}
    for option in verb_options():
        rows.setdefault(option.flag, []).append(option)
    lines = ["| option | means | verbs |", "|---|---|---|"]
    for flag, found in sorted(rows.items()):
        if len(found) > 1:
            many = any(option.several for option in found)
            names = ", ".join(
                f"`{option.verb}`" + " (once)" * (many and not option.several) for option in found
            )
            lines.append(f"| `{flag}` | {found[0].help} | {names} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    bring_up_to_date(Path(sys.argv[1]), options_table(), SOURCE)
