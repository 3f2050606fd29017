"""Notebooks as pages of the site: their words as they are, their cells as blocks of code."""

from __future__ import annotations

import re
from pathlib import Path

FOLDER = Path(__file__).parents[2] / "notebooks"
CELL = re.compile(r"^# %%(.*)\n", re.M)


def notebook_pages() -> dict[str, str]:
    """Markdown of each notebook, by its name in the site."""
    found = sorted(FOLDER.glob("*.py"))
    return {f"notebooks/{path.stem}.md": as_page(path.read_text("utf-8")) for path in found}


def as_page(script: str) -> str:
    r"""A script of cells as Markdown.

    >>> as_page("# ---\n# %% [markdown]\n# # Hello\n\n# %%\nprint(1)\n")
    '# Hello\n\n```python\nprint(1)\n```\n'
    """
    _, *parts = CELL.split(script)
    cells = zip(parts[::2], parts[1::2], strict=True)
    return "\n\n".join(_cell(kind, text.strip("\n")) for kind, text in cells) + "\n"


def _cell(kind: str, text: str) -> str:
    if "[markdown]" in kind:
        return re.sub(r"^# ?", "", text, flags=re.M)
    return f"```python\n{text.strip()}\n```"
