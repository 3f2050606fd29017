"""The tree on disk is the package that is installed."""

from __future__ import annotations

from importlib import import_module, resources
from pathlib import Path

import pytest

from atari_zoo.catalog.catalog import INITIAL, list_models

ROOT = Path(__file__).parent.parent
FOLDERS = {
    "zoo": "atari_zoo",
    "converters": "atari_zoo.converters",
    "training": "atari_zoo.training",
    "analysis": "atari_zoo.analysis",
    "viz": "atari_zoo.viz",
}
# which folders a folder may import from, besides itself
MAY_IMPORT = {
    "converters": set(),
    "zoo": {"converters"},
    "training": {"zoo", "converters"},
    "analysis": {"zoo", "converters"},
    "viz": {"zoo", "converters", "analysis"},
}
FILES = sorted(path for folder in FOLDERS for path in (ROOT / folder).glob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_every_file_is_a_module_of_the_package(path: Path) -> None:
    name = FOLDERS[path.parent.name]
    name = name if path.stem == "__init__" else f"{name}.{path.stem}"
    if path.stem == "__main__":
        return
    module = import_module(name)
    assert module.__file__ is not None
    installed = Path(module.__file__)
    assert installed.read_text() == path.read_text(), "run `pip install -e .` again"


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_imports_go_one_way(path: Path) -> None:
    subpackages = {"converters", "training", "analysis", "viz"}
    lines = [x.strip() for x in path.read_text().splitlines()]
    allowed = MAY_IMPORT[path.parent.name] | {path.parent.name}
    for line in lines:
        if not line.startswith(("from atari_zoo", "import atari_zoo")):
            continue
        parts = line.split()[1].split(".")
        target = parts[1] if len(parts) > 1 and parts[1] in subpackages else "zoo"
        if path.stem.endswith("cli") and path.parent.name == "zoo":
            continue  # the command line stands over everything
        assert target in allowed, f"{path.relative_to(ROOT)}: {line}"


def test_data_is_installed() -> None:
    package = resources.files("atari_zoo")
    for name in ("py.typed", "data/games.json", "data/agents/catalog.json"):
        assert package.joinpath(name).is_file(), name


def test_the_readme_tells_the_agents_scores() -> None:
    rows = (ROOT / "README.md").read_text()
    for card in list_models(collection="starter"):
        if card.tag == INITIAL:  # nobody has played it
            continue
        scores = card.scores
        score = f"{scores['mean']:.1f} ± {scores['std']:.1f}"
        assert f"| `{card.name}` | {card.frames / 1e6:.1f} million frames | {score} |" in rows
