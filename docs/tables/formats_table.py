"""What is read, as a table in Markdown, from the registry itself.

python docs/tables/formats_table.py docs/formats.md    puts it into the page
"""

from __future__ import annotations

import sys
from pathlib import Path

from generated_tables import bring_up_to_date

from atari_zoo.converters.registry import FORMATS

SOURCE = "the registry"


def formats_table() -> str:
    """One row for each format, by title."""
    forms = sorted(FORMATS.values(), key=lambda form: form.title.lower())
    rows = [f"| {form.title} | `{form.name}` | {form.reads} |" for form in forms]
    return "\n".join(["| file | name | what is read |", "|---|---|---|", *rows]) + "\n"


if __name__ == "__main__":
    bring_up_to_date(Path(sys.argv[1]), formats_table(), SOURCE)
