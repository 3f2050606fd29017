"""Tables in the documentation that programs write: they stand between two markers of a page."""

from __future__ import annotations

from pathlib import Path

from atari_zoo.converters.files import written_whole

END = "<!-- end -->\n"


def with_table(page: str, table: str, source: str) -> str:
    """The page with `table` between the markers of what is generated from `source`.

    Raises ValueError if it lacks them.
    """
    begin = f"<!-- generated from {source} -->\n"
    before, found, rest = page.partition(begin)
    _, ended, after = rest.partition(END)
    if not found or not ended:
        raise ValueError(f"the page lacks the markers {begin.strip()} and {END.strip()}")
    return f"{before}{begin}{table}{END}{after}"


def bring_up_to_date(path: Path, table: str, source: str) -> None:
    """The same of a file."""
    page = with_table(path.read_text(), table, source)
    with written_whole(path) as beside:
        beside.write_text(page)
