"""The reference's pages: which names stand on each, read from the faces of folders."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
FACE = re.compile(r"^from (\.[\w.]*) import (\w+) as \w+$", re.M)
TITLES = {
    "zoo": "atari_zoo",
    "converters": "atari_zoo.converters",
    "analysis": "atari_zoo.analysis",
    "viz": "atari_zoo.viz",
    "training": "atari_zoo.training",
}
RESULTS = ["subjects.Subject", "results.Result", "results.open_result", "controls.untrained"]
TRAINING = ["registry.trainer", "registry.config", "freeze.freeze"]


def reference_pages() -> dict[str, str]:
    """Markdown of each page, by its name in the site."""
    names = {
        "zoo": _face(ROOT / "zoo", "atari_zoo"),
        "converters": _face(ROOT / "converters", "atari_zoo.converters"),
        "analysis": [f"atari_zoo.analysis.{name}" for name in [*_analyses(), *RESULTS]],
        "viz": _faces_of_rooms(ROOT / "viz", "atari_zoo.viz"),
        "training": [f"atari_zoo.training.{name}" for name in TRAINING],
    }
    return {
        f"api/{page}.md": "\n\n".join([f"# {TITLES[page]}", *(f"::: {name}" for name in found)])
        for page, found in names.items()
    }


def _face(folder: Path, package: str) -> list[str]:
    """What the face of a folder hands on; whole modules are left to their own rooms."""
    found = FACE.findall((folder / "__init__.pyi").read_text("utf-8"))
    return [f"{package}.{name}" for module, name in found if module != "."]


def _faces_of_rooms(folder: Path, package: str) -> list[str]:
    rooms = sorted(face.parent for face in folder.glob("*/__init__.pyi"))
    each = [_face(room, f"{package}.{room.name}") for room in rooms]
    return list(dict.fromkeys(name for names in each for name in names))


def _analyses() -> list[str]:
    """The functions that `@analysis` registers."""
    found = []
    for file in sorted((ROOT / "analysis").glob("*.py")):
        for node in ast.parse(file.read_text("utf-8")).body:
            if isinstance(node, ast.FunctionDef) and any(map(_registers, node.decorator_list)):
                found.append(f"{file.stem}.{node.name}")
    return found


def _registers(decorator: ast.expr) -> bool:
    return isinstance(decorator, ast.Call) and getattr(decorator.func, "id", "") == "analysis"
