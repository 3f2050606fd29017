"""A walk over all verbs and their options: what makes no sense gets one line, and loses nothing."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from generated_tables import with_table
from options_table import SOURCE, options_table, verb_options

import atari_zoo as zoo
from atari_zoo.__main__ import main
from atari_zoo.analysis.declarations import declarations
from atari_zoo.converters import save_onnx, to_onnx
from atari_zoo.training.registry import config, trainer

PAGE = Path(__file__).parents[2] / "docs" / "commands.md"
OPTIONS = verb_options()
FOLDERS = "record", "sweep", "train"  # make theirs, and go on with what is in it
AGENT, PLAY, RUN = "agent.onnx", "play.zarr", "run"
# words that each verb would do a little work for
WORDS = {
    "atlas": [AGENT, "--recording", PLAY, "--layer", "fc", "--no-synthesis", "-o", "new.html"],
    "attribute": [AGENT, "--recording", PLAY, "--step", "1", "-o", "new.png"],
    "bench": [AGENT, "--minutes", "0.01", "--envs", "1", "-o", "new.png"],
    "cache": [],
    "convert": [AGENT, "-o", "new.onnx"],
    "explore": [AGENT, "--steps", "4", "--saliency", "none", "--no-open", "-o", "new"],
    "fetch": ["--collection", "sb3", "--game", "Pong", "--dry-run"],
    "freeze": [RUN, "-o", "new"],
    "info": [AGENT],
    "list": ["--game", "Pong"],
    "logs": ["a2c/Pong/1", "-o", "new.png"],
    "grid": [PLAY, "--to", "2", "-o", "new.mp4"],
    "movie": [AGENT, "--recording", PLAY, "--to", "2", "-o", "new.mp4"],
    "maximize": [AGENT, "fc:1", "--iterations", "1", "--steps", "0", "-o", "new.png"],
    "mirror": ["new", "--collection", "sb3", "--game", "Pong", "--dry-run"],
    "patches": [AGENT, "fc:1", "--recording", PLAY, "-o", "new.png"],
    "peaks": [AGENT, PLAY, "--layer", "fc", "-o", "new"],
    "play": [AGENT, "--episodes", "1", "--envs", "1"],
    "push": [AGENT, "me/agent", "--dry-run", "-o", "new"],
    "record": [AGENT, "--steps", "2", "-o", "new.zarr"],
    "watch": [AGENT, "--recording", PLAY, "--to", "2", "-o", "new.mp4"],
    "sweep": ["score", "--models", AGENT, "--set", "episodes=1", "-o", "new"],
    "tour": [AGENT, "--no-open", "-o", "new.html"],
    "train": ["a2c", "Pong", "--frames", "64", "--envs", "1", "-o", "new"],
    "verify": [AGENT],
}
# what they are about is read alike: see `inputs`
SUBJECTS = {
    declared.verb: [AGENT, "--steps", "4", "-o", "new"]
    for declared in declarations()
    if declared.verb not in WORDS and declared.name not in ("filters", "learning_curves")
}
SUBJECTS["edit-ram"] += ["--edits", "102=4"]
WORDS |= SUBJECTS | {"filters": [AGENT, "-o", "new"]}
VALUES = {int: ["x", "nan", "1e3"], float: ["x", "nan", "inf", "-1"], str: ["nonsense"]}
VALUES |= {Path: ["none/new"]}
# what is taken as it comes is left out; what a text may be that is none
OTHERS = {"--run": [], "--tag": [], "--seed": ["x", "1.5"], "--output": []}
OTHERS |= {"--recording": ["none.zarr", "text.zarr", AGENT], "--models": ["no/such/1"]}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory, random_agent: Callable[..., Any]) -> Path:
    """What the words above name, and what is no model, no recording, or there already."""
    folder = tmp_path_factory.mktemp("files")
    agent = random_agent()
    save_onnx(to_onnx(agent), folder / AGENT)
    kept = {"keep": ["screens", "frames"], "path": folder / PLAY}
    zoo.rollout(agent, steps=4, envs=1, seed=0, **kept)
    small = config("a2c", rom="pong", seed=1, frames=64, envs=1)
    trainer("a2c")(folder / RUN, small, accelerator="cpu").train()
    (folder / "empty.onnx").touch()
    (folder / "cut.onnx").write_bytes((folder / AGENT).read_bytes()[:9000])
    for name in ("full/full.zarr", "full/text.txt", "text.zarr"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("text")
    for ending in ("png", "html", "onnx", "mp4"):
        (folder / f"full.{ending}").write_text("kept")
    return folder


def mistakes(verb: str) -> Iterator[list[str]]:
    """Words of the verb that make no sense: an option's value, a model, an output."""
    words = WORDS[verb]
    yield [*words, "--nonsense"]
    if AGENT in words and verb != "sweep":  # where one fails the others are done
        for wrong in ("a2c/Pnog/1", "empty.onnx", "cut.onnx", "full", "full.png", ""):
            yield [wrong if word == AGENT else word for word in words]
    if "-o" in words:
        place = words.index("-o") + 1
        name = Path(words[place])
        full = {"": "full", ".zarr": "full/full.zarr"}.get(name.suffix, f"full{name.suffix}")
        for wrong in [f"none/{name}", full] + ["new.xyz", "full"] * bool(name.suffix):
            if verb not in FOLDERS or wrong not in ("full", f"none/{name}"):
                yield [*words[:place], wrong, *words[place + 1 :]]
    for option in OPTIONS:
        if option.verb == verb and option.kind is not bool:
            for value in OTHERS.get(option.flag, VALUES[option.kind]):
                yield [*words, option.flag, value]


@pytest.mark.parametrize("verb", sorted(WORDS))
def test_what_makes_no_sense_gets_one_line_and_loses_nothing(
    verb: str,
    files: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    shutil.copytree(files, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ATARI_ZOO_CACHE", str(tmp_path / "cache"))
    before = contents(tmp_path)
    wrong = []
    for words in mistakes(verb):
        monkeypatch.setattr(sys, "argv", ["atari-zoo", verb, *words])
        capsys.readouterr()
        try:
            main()
            status: Any = None
        except SystemExit as end:
            status = end.code
        except Exception as error:  # a user would see its traceback
            status = repr(error)
        _, said = capsys.readouterr()
        lines = said.splitlines()
        one = len(lines) == 1 or (lines[2:] and lines[2].strip() == "^")
        if status != 2 or not one or not lines[0].startswith("atari-zoo: "):
            wrong.append((words, status, said[-300:]))
        if contents(tmp_path) != before:
            wrong.append((words, "changed", set(contents(tmp_path)) ^ set(before)))
            before = contents(tmp_path)
    assert not wrong, "\n".join(map(str, wrong))


def contents(folder: Path) -> dict[Path, int]:
    """But for the cache, where play may have been kept."""
    files = (
        path
        for path in folder.rglob("*")
        if path.is_file() and folder / "cache" not in path.parents
    )
    return {path: path.stat().st_mtime_ns for path in files}


def test_the_walk_goes_through_all_verbs() -> None:
    assert {option.verb for option in OPTIONS} == set(WORDS)


def test_an_option_means_the_same_in_every_verb() -> None:
    kinds: dict[str, set[tuple[type, bool]]] = {}
    for option in OPTIONS:
        kinds.setdefault(option.flag, set()).add((option.kind, option.several))
    twice = {flag: found for flag, found in kinds.items() if len(found) > 1}
    # a sweep's place may be an address; an analysis looks at one layer; logs of several algorithms;
    # a measurement tries several numbers of environments and threads
    several = {"--envs", "--threads"}
    assert set(twice) <= {"--output", "--layer", "--algorithm", *several}, twice


def test_the_page_is_current() -> None:
    page = PAGE.read_text()
    assert with_table(page, options_table(), SOURCE) == page, (
        "run: python docs/tables/options_table.py docs/commands.md"
    )
