"""The tree on disk is the package that is installed; its imports go one way."""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterator
from importlib import import_module, resources
from pathlib import Path

import pytest

from atari_zoo.catalog import list_models
from atari_zoo.catalog.catalog import INITIAL

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
FOLDERS = {folder: package for package, folder in PROJECT["package-dir"].items()}
FILES = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))

# A room (a folder, or a file beside them) may import those of the rows above it, and itself.
# Training, analysis and viz stand beside each other, but that viz may import analysis.
ROWS = """
    converters: errors files arguments environment_ids algorithms registration
    converters: preprocessings displays
    converters: cards
    converters: half_floats onnx_runtime
    converters: not_models
    converters: network archives hdf5
    converters: registry recognition pickles
    converters: interchange structures
    converters: weights tf
    converters: keras
    converters: export
    converters: formats
    converters: convert
    converters: stepwise
    converters: verification saving
    converters: reports
    zoo: seeds
    zoo: intervals progress threads interrupts
    zoo: machines
    zoo: games downloads preprocessing observations
    zoo: ram
    zoo: players arrays emulator publishing_pages
    zoo: untrained agent_states
    zoo: catalog remote
    zoo: models logs wrapping
    zoo: layers units
    zoo: interventions
    zoo: recordings publishing
    zoo: play
    zoo: verification living_units sweeps bench
    training: presets runs captured criteria health hyperparameters
    training: trainers
    training: registry on_policy off_policy evolution
    training: trained_agents
    training: freeze starters
    analysis: declarations results
    analysis: registry
    analysis: measures subjects controls
    analysis: responses
    analysis: moments
    analysis: shared_states beginnings unit_health
    analysis: shown_layers
    analysis: embedding classifier
    analysis: probing
    analysis: tuning concept_vectors
    analysis: ram_edits
    analysis: first_convolutions
    analysis: filter_values
    analysis: filter_rows
    analysis: dictionaries
    analysis: peaks learning_curves similarity health embeddings state_classifier
    analysis: probes units concepts interventions memory noise highlights
    analysis: filters sparse_features
    viz: images sheets parameterizations reference_lines plots
    viz: attribution objectives filters curves throughput
    viz: fidelity movies
    viz: saliency patches render
    viz: pages jobs analyses displays
    viz: explorer
    zoo: cli
    zoo: __main__
"""
ORDER = {
    f"{folder}/{room}": number
    for number, row in enumerate(ROWS.strip().splitlines())
    for folder, rooms in [row.strip().split(": ")]
    for room in rooms.split()
}
APART = {
    ("training", "analysis"),
    ("training", "viz"),
    ("analysis", "training"),
    ("viz", "training"),
}


def module_name(path: Path) -> str:
    """A file's name as a module."""
    folder, *parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join([FOLDERS[folder], *parts]).removesuffix(".__init__")


NAMES = {module_name(path): path for path in FILES}


def room_of(path: Path) -> str:
    """The folder and its room, as in "zoo/play"; a face of a folder is in none."""
    folder, *parts = path.relative_to(ROOT).with_suffix("").parts
    return f"{folder}/{parts[0]}"


def imported(path: Path) -> Iterator[Path]:
    """The package's files that a file imports, wherever it does so."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                found = NAMES.get(f"{node.module}.{alias.name}") or NAMES.get(node.module)
                if found is not None:
                    yield found
        elif isinstance(node, ast.Import):
            yield from (NAMES[alias.name] for alias in node.names if alias.name in NAMES)


def complaints(path: Path) -> list[str]:
    """What a file imports and may not."""
    room, said = room_of(path), []
    for target in imported(path):
        other = room_of(target)
        if other in (room, f"{other.split('/')[0]}/__init__"):
            continue
        folders = room.split("/")[0], other.split("/")[0]
        if room != "zoo/cli" and (ORDER[other] >= ORDER[room] or folders in APART):
            said.append(f"{path.relative_to(ROOT)} imports {target.relative_to(ROOT)}")
    return said


def test_imports_go_one_way() -> None:
    faces = {f"{folder}/__init__" for folder in FOLDERS}
    rooms = {room_of(path) for path in FILES} - faces
    assert rooms == set(ORDER), "every room has its place in the table above"
    assert [line for path in FILES if room_of(path) not in faces for line in complaints(path)] == []


def test_a_wrong_import_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for line, wrong in (
        ("from atari_zoo.play.rollouts import rollout", True),
        ("from atari_zoo.viz import filters", True),
        ("from atari_zoo.games import game", False),
    ):
        place = ROOT / "zoo" / "emulator" / "made_up.py"
        monkeypatch.setattr(Path, "read_text", lambda self, line=line: line)
        assert bool(complaints(place)) is wrong, line
        monkeypatch.undo()


def test_no_files_import_each_other_in_a_circle() -> None:
    """But those that a recording imports where it is asked for a copy."""
    lazy = {
        ("zoo/recordings/recordings.py", f"zoo/recordings/{name}.py")
        for name in ("files", "minari")
    }
    ahead = {
        path: {
            target
            for target in imported(path)
            if (str(path.relative_to(ROOT)), str(target.relative_to(ROOT))) not in lazy
            and target.name != "__init__.py"
        }
        for path in FILES
    }
    done: set[Path] = set()

    def walk(path: Path, way: list[Path]) -> None:
        assert path not in way, [str(x.relative_to(ROOT)) for x in [*way[way.index(path) :], path]]
        if path not in done:
            for target in ahead[path] - {path}:
                walk(target, [*way, path])
            done.add(path)

    for path in FILES:
        walk(path, [])


def test_every_room_is_named_in_pyproject() -> None:
    there = {module_name(path) for path in FILES if path.name == "__init__.py"}
    assert set(PROJECT["packages"]) == there
    without = {path.parent for path in FILES if not (path.parent / "__init__.py").exists()}
    assert not without


@pytest.mark.parametrize("name", [name for name in NAMES if not name.endswith("__main__")])
def test_every_file_is_a_module_of_the_package(name: str) -> None:
    module = import_module(name)
    assert module.__file__ is not None
    installed = Path(module.__file__)
    assert installed.read_text() == NAMES[name].read_text(), "run `pip install -e .` again"


@pytest.mark.parametrize(
    "face", sorted(path for f in FOLDERS for path in (ROOT / f).rglob("*.pyi"))
)
def test_a_room_shows_the_names_that_it_hands_on(face: Path) -> None:
    package = import_module(module_name(face.with_suffix(".py")))
    imports = [line for line in face.read_text().splitlines() if line.startswith("from ")]
    names = [line.split()[-1] for line in imports]
    assert sorted(names) == sorted(package.__all__) and names
    assert set(names) <= set(dir(package))
    for name in names:
        assert getattr(package, name) is not None
    modules = {path.stem for path in face.parent.glob("*.py")} | {
        path.parent.name for path in face.parent.glob("*/__init__.py")
    }
    own = {name for name in names if f"from . import {name} " in face.read_text()}
    over = (set(names) - own) & modules  # the import system would set the module over the name
    assert not over


def test_data_is_installed() -> None:
    package = resources.files("atari_zoo")
    for name in ("py.typed", "data/games.json", "data/agents/catalog.json", "web/model_page.md"):
        assert package.joinpath(name).is_file(), name


def test_the_readme_tells_the_agents_scores() -> None:
    rows = (ROOT / "README.md").read_text()
    for card in list_models(collection="starter"):
        if card.tag == INITIAL:  # nobody has played it
            continue
        scores = card.scores
        score = f"{scores['mean']:.1f} ± {scores['std']:.1f}"
        assert f"| `{card.name}` | {card.frames / 1e6:.1f} million frames | {score} |" in rows


# what these decorate is found by its name in a registry; nobody imports it
REGISTERING = set("verb reader log_reader operator tf_operator method target baseline".split())
REGISTERING |= set("word rule job job_of_a_plan keras_layer traces".split())
# names that mean the same in each of their modules
SAME = {"main"}  # of programs


def definitions(path: Path) -> Iterator[ast.FunctionDef | ast.ClassDef]:
    """A module's public functions and classes, but for what is registered."""
    for node in ast.parse(path.read_text()).body:
        if not isinstance(node, ast.FunctionDef | ast.ClassDef) or node.name.startswith("_"):
            continue
        calls = (d.func if isinstance(d, ast.Call) else d for d in node.decorator_list)
        if not REGISTERING & {call.id for call in calls if isinstance(call, ast.Name)}:
            yield node


def makes(function: ast.AST, name: str) -> bool:
    """Whether it is a function whose result, or whose result's part, is of the class `name`."""
    returns = getattr(function, "returns", None)
    return returns is not None and name in {
        node.id for node in ast.walk(returns) if isinstance(node, ast.Name)
    }


def test_a_public_name_means_one_thing() -> None:
    found: dict[str, set[str]] = {}
    for path in FILES:
        for node in definitions(path):
            found.setdefault(node.name, set()).add(str(path.relative_to(ROOT)))
    twice = {name: sorted(places) for name, places in found.items() if len(places) > 1}
    assert {name: places for name, places in twice.items() if name not in SAME} == {}


def test_names_that_differ_by_case_are_a_class_and_what_makes_it() -> None:
    found: dict[str, list[ast.FunctionDef | ast.ClassDef]] = {}
    for path in FILES:
        for node in definitions(path):
            found.setdefault(node.name.lower(), []).append(node)
    wrong = set()
    for nodes in found.values():
        names = {node.name for node in nodes}
        functions = [node for node in nodes if isinstance(node, ast.FunctionDef)]
        classes = [node.name for node in nodes if isinstance(node, ast.ClassDef)]
        if len(names) > 1 and not all(makes(f, name) for f in functions for name in classes):
            wrong |= names
    assert wrong == set()


# a module's docstring says what is in it: it begins with a noun
QUESTIONS = set("What Where Which Who Whose When Whether Why How".split())


def test_a_modules_docstring_begins_with_a_noun() -> None:
    asking = [
        str(path.relative_to(ROOT))
        for path in FILES
        if (ast.get_docstring(ast.parse(path.read_text())) or "").partition(" ")[0] in QUESTIONS
    ]
    assert asking == []
