"""Examples of the README, the documentation and the verbs' help: all can be typed as they stand."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
import typer
from frozen_graphs import dqn
from typer.exceptions import TyperException

from atari_zoo.__main__ import main
from atari_zoo.cli.app import app
from atari_zoo.cli.verbs import verbs
from atari_zoo.viz.pages import tour

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
README = PAGES[0]
GRAPH = dqn(actions=18).data
# less of the same work; nothing is fetched from elsewhere or sent there
SHORTER = {
    "play": "--episodes 1",
    "record": "--steps 20",
    "maximize": "--iterations 40 --steps 40",
    "patches": "--steps 40",
    "atlas": "--steps 20 --iterations 1 --layer conv3",
    "attribute": "--step 3",
    "movie": "--from 0 --to 2",
    "grid": "--to 2",
    "watch": "--from 0 --to 2 -o watch.mp4",
    "sweep": "--seeds 1 --workers 0 --set episodes=1",
    "fetch": "--dry-run",
    "train": "--frames 400 --envs 2 --set buffer=300 --set min_history=60",
    "push": "--dry-run -o pages",
    "tour": "--no-open",
    "compare": "--states 64 --layer conv3 --layer fc",
    "probe": "--layer fc --variable oxygen",
    "units": "--variable oxygen",
    "ablate": "--episodes 0 --states 40",
    "bench": "--minutes 0.02 --envs 2",
    "explore": "--steps 30 --no-dictionary --iterations 0 --saliency integrated_gradients",
}


def commands(page: Path) -> list[str]:
    """The page's blocks of command lines; a comment after two spaces or more is none of it."""
    lines = re.findall(r"^ {4}\$? ?(atari-zoo .*(?:\\\n.*)*)$", page.read_text(), re.M)
    return [re.sub(r"\s{2,}#.*", "", line.replace("\\\n", " ")) for line in lines]


def examples() -> Iterator[tuple[str, str]]:
    """Whole command lines, and those that a text speaks of, which may be a verb alone."""
    for page in PAGES:
        if page.name != "extending.md":  # its verbs are yet to be written
            spoken = re.findall(r"`(atari-zoo [a-z][^`]*)`", page.read_text())
            for line in [*commands(page), *(" ".join(line.split()) for line in spoken)]:
                yield page.name, line
    for command in verbs():
        for line in command.examples:
            yield command.name, line


def test_examples_have_verbs_and_options_that_there_are() -> None:
    group = typer.main.get_command(app)
    wrong, count = [], 0
    for place, line in examples():
        verb, *words = shlex.split(line.partition(" > ")[0], comments=True)[1:]
        alone = place.endswith(".md") and not any(word.startswith("-") for word in words)
        if verb.isupper() or "--help" in words or "..." in words:  # VERB stands for all
            continue
        count += 1
        try:
            group.commands[verb].make_context(verb, words)  # type: ignore[attr-defined]
        except (KeyError, TyperException) as error:
            if not (alone and "Missing parameter" in str(error)):
                wrong.append((place, line, str(error)))
    assert not wrong and count > 60


def test_the_readmes_commands_do_what_they_show(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    short = partial(tour.tour, steps=12, score_steps=40)
    monkeypatch.setattr(tour, "tour", short)
    (tmp_path / "graph.pb").write_bytes(GRAPH)
    lines = [line for line in commands(README) if "VERB" not in line]
    assert len(lines) > 15
    for line in lines:
        words = shlex.split(line.replace("*/Seaquest/*", "ga/Seaquest/1"))[1:]
        monkeypatch.setattr(sys, "argv", ["atari-zoo", *words, *SHORTER.get(words[0], "").split()])
        if words[0] == "freeze":  # of the run above, by what it is called there
            assert (tmp_path / words[1]).is_dir()
        with pytest.raises(SystemExit) as end:
            main()
        said = capsys.readouterr()
        assert not end.value.code, f"{line}: {said.err}"
        for place, word in enumerate(words):
            if words[place - 1] == "-o":
                assert (tmp_path / word).exists(), line


@pytest.mark.parametrize("page", [page for page in PAGES if "```python" in page.read_text()])
def test_the_pages_programs_run(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "graph.pb").write_bytes(GRAPH)
    blocks = re.findall(r"```python\n(.*?)```", page.read_text(), re.S)
    program = "\n".join(block for block in blocks if "dask_jobqueue" not in block)
    program = program.replace("episodes=10", "episodes=1").replace("steps=500", "steps=120")
    assert program
    exec(compile(program, page.name, "exec"), {"__name__": "example"})
