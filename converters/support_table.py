"""What is read, as a table in Markdown, from the registry itself.

python -m atari_zoo.converters.support_table docs/formats.md    puts it into the page
"""

from __future__ import annotations

import sys
from pathlib import Path

from atari_zoo.converters import convert  # noqa: F401  (it imports every reader)
from atari_zoo.converters.files import written_whole
from atari_zoo.converters.registry import FORMATS

BEGIN, END = "<!-- generated from the registry -->\n", "<!-- end -->\n"


def support_table() -> str:
    """One row for each format, in the order in which they are tried."""
    rows = [f"| {form.title} | `{form.name}` | {form.reads} |" for form in FORMATS.values()]
    return "\n".join(["| file | name | what is read |", "|---|---|---|", *rows]) + "\n"


def with_table(page: str) -> str:
    """The page with the current table between its markers.

    Raises ValueError if it lacks them.
    """
    before, found, rest = page.partition(BEGIN)
    _, ended, after = rest.partition(END)
    if not found or not ended:
        raise ValueError(f"the page lacks the markers {BEGIN.strip()} and {END.strip()}")
    return f"{before}{BEGIN}{support_table()}{END}{after}"


def main(path: Path) -> None:
    """Brings the page up to date."""
    page = with_table(path.read_text())
    with written_whole(path) as beside:
        beside.write_text(page)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
