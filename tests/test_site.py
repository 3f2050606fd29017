"""The documentation as a site: it builds without a warning, and asks nothing of other hosts."""

from __future__ import annotations

import doctest
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from importlib import util
from pathlib import Path
from types import ModuleType

import pytest

import atari_zoo

ROOT = Path(__file__).parents[1]


class Addresses(HTMLParser):
    """What a page loads, and the elements that have an id."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.ids: set[str] = set()
        self.feed(page.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        self.ids.add(named.get("id") or "")
        if tag in ("script", "img", "source", "video"):
            self.loaded.append(named.get("src") or "")
        if tag == "link" and named.get("rel") in ("stylesheet", "icon", "preconnect"):
            self.loaded.append(named.get("href") or "")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    words = [sys.executable, "-m", "mkdocs", "build", "--strict", "-q", "-d", str(folder)]
    env = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(words, cwd=ROOT, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def part(name: str) -> ModuleType:
    """A script of docs/site, which is in no package."""
    spec = util.spec_from_file_location(f"site_{name}", ROOT / "docs" / "site" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_page_of_the_docs_is_in_it(site: Path) -> None:
    pages = {path.relative_to(ROOT / "docs") for path in (ROOT / "docs").rglob("*.md")}
    expected = {Path("index.html"), Path("contributing/index.html"), Path("benchmarks/index.html")}
    for page in pages:
        folder = page.parent if page.name == "README.md" else page.with_suffix("")
        expected.add(folder / "index.html")
    notebooks = {path.stem for path in (ROOT / "notebooks").glob("*.py")}
    expected |= {Path("notebooks", name, "index.html") for name in notebooks}
    there = {path.relative_to(site) for path in site.rglob("*.html")}
    assert expected <= there
    shown = re.findall(r": ([\w/]+\.md)$|- ([\w/]+\.md)$", (ROOT / "mkdocs.yml").read_text(), re.M)
    assert {str(page) for page in pages} <= {"".join(names) for names in shown}  # of the nav


def test_nothing_is_loaded_from_elsewhere(site: Path) -> None:
    for page in site.rglob("*.html"):
        for address in Addresses(page).loaded:
            assert not re.match(r"\w+:|//", address), (page, address)
            if address:
                assert (page.parent / address.partition("?")[0]).exists() or address[0] == "/"


def test_the_reference_has_the_public_names(site: Path) -> None:
    ids = Addresses(site / "api/zoo/index.html").ids
    public = {name for name in dir(atari_zoo) if not name.startswith("_")}
    assert {f"atari_zoo.{name}" for name in public} <= ids
    text = (site / "api/zoo/index.html").read_text()
    assert "<strong>units</strong>: as in" in text


@pytest.mark.parametrize("name", ["docstrings", "hooks", "notebooks"])
def test_the_examples_of_its_parts_hold(name: str) -> None:
    found = doctest.testmod(part(name))
    assert found.attempted and not found.failed
