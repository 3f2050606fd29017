"""Hooks of the site: pages that stand elsewhere in the repository join it, and links follow them.

README.md is the site's first page; CONTRIBUTING, CHANGELOG and the benchmarks' numbers are pages.
"""

from __future__ import annotations

import posixpath
import re
import sys
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(Path(__file__).parent))
from reference import reference_pages  # noqa: E402

from notebooks import notebook_pages  # noqa: E402 - beside this file, which is in no package

# in the repository, and in the site
JOINED = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "benchmarks/README.md": "benchmarks.md",
}
LINK = re.compile(r"(?<=\]\()(?!https?:|#|mailto:)([^)#\s]+)")


def on_files(files: Files, config: Any) -> Files:
    """Adds the pages from elsewhere, the notebooks' and the reference's."""
    pages = {page: (ROOT / source).read_text("utf-8") for source, page in JOINED.items()}
    for page, text in (pages | reference_pages() | notebook_pages()).items():
        files.append(File.generated(config, page, content=text))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Has links lead to pages of the site where what they name is one."""
    place = page.file.src_uri
    source = next((there for there, here in JOINED.items() if here == place), f"docs/{place}")
    return LINK.sub(lambda link: linked(link[1], source, place), markdown)


def linked(target: str, source: str, place: str) -> str:
    """A link of the file `source` of the repository, as the page `place` has it.

    >>> linked("docs/ram.md", "README.md", "index.md")
    'ram.md'
    """
    named = posixpath.normpath(posixpath.join(posixpath.dirname(source), target))
    if named in JOINED:
        found = JOINED[named]
    elif named.startswith("docs/"):
        found = named.removeprefix("docs/")
    else:
        return target
    return posixpath.relpath(found, posixpath.dirname(place) or ".")
