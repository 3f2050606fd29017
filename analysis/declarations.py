"""Declarations of analyses, read from their files' text: a command lists them before any import.

An analysis needs torch or pandas, whose imports take longer than `atari-zoo --help` may.
"""

from __future__ import annotations

import ast
import pkgutil
from collections.abc import Iterator
from importlib.machinery import SourceFileLoader
from importlib.util import find_spec
from typing import NamedTuple

ROOM = "atari_zoo.analysis"


class Declaration(NamedTuple):
    """What `@analysis(name, verb=...)` says, and the first line of the function's docstring."""

    name: str
    verb: str
    summary: str


def declarations() -> list[Declaration]:
    """Of every analysis in the room, by files."""
    room = find_spec(ROOM)
    places = room.submodule_search_locations if room is not None else None
    found: list[Declaration] = []
    for module in pkgutil.iter_modules(places or [], f"{ROOM}."):
        spec = find_spec(module.name)
        if spec is not None and isinstance(spec.loader, SourceFileLoader):
            found += _declared(ast.parse(spec.loader.get_source(module.name) or ""))
    return found


def _declared(tree: ast.Module) -> Iterator[Declaration]:
    for node in tree.body:
        if not isinstance(node, ast.FunctionDef):
            continue
        for call in node.decorator_list:
            if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "analysis":
                name = ast.literal_eval(call.args[0])
                words = {word.arg: word.value for word in call.keywords}
                verb = ast.literal_eval(words["verb"]) if "verb" in words else name
                yield Declaration(name, verb, (ast.get_docstring(node) or "").partition("\n")[0])
