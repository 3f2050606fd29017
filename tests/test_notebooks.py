"""Notebooks, which are scripts of cells: each runs from its first cell to its last, in order."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest

import atari_zoo.play.standard as standard
from atari_zoo.converters.displays import DISPLAYS, notebook_html

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.py"))


def cells(text: str) -> list[str]:
    """The code of each cell, in order."""
    parts = text.split("# %%")[1:]
    return [part for part in parts if not part.lstrip(" ").startswith("[markdown]")]


def shown(code: str, names: dict[str, Any]) -> Any:
    """Runs a cell; what its last line is, as a notebook shows it."""
    tree = ast.parse(code)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, "a cell", "exec"), names)
    if last is None:
        return None
    assert isinstance(last, ast.Expr)
    return eval(compile(ast.Expression(last.value), "a cell", "eval"), names)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATARI_ZOO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(standard, "STEPS", 400)  # of play that nobody asked to be longer
    names: dict[str, Any] = {"__name__": path.stem}
    pages = 0
    for cell in cells(path.read_text()):
        found = shown(cell, names)
        if type(found).__name__ in DISPLAYS:
            page = notebook_html(found)
            assert page is not None and page.startswith(("<figure", "<table"))
            pages += 1
    assert pages >= 1


def test_cells_are_told_apart() -> None:
    text = "# ---\n\n# %% [markdown]\n# words\n\n# %%\na = 2\na + 1\n\n# %%\nb = a\n"
    names: dict[str, Any] = {}
    assert [shown(cell, names) for cell in cells(text)] == [3, None] and names["b"] == 2
