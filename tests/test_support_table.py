"""The documentation's table of formats is the registry's."""

from __future__ import annotations

from pathlib import Path

import pytest

from atari_zoo.converters.generated_tables import with_table
from atari_zoo.converters.registry import FORMATS
from atari_zoo.converters.support_table import SOURCE, support_table

PAGE = Path(__file__).parent.parent / "docs" / "formats.md"


def test_the_page_is_current() -> None:
    page = PAGE.read_text()
    assert with_table(page, support_table(), SOURCE) == page, (
        "run: python -m atari_zoo.converters.support_table docs/formats.md"
    )


def test_every_format_has_its_row() -> None:
    rows = support_table().splitlines()[2:]
    assert len(rows) == len(FORMATS)
    for form in FORMATS.values():
        assert any(f"`{form.name}`" in row and form.title in row for row in rows)


def test_a_page_without_markers_is_refused() -> None:
    with pytest.raises(ValueError, match="lacks the markers"):
        with_table("# A page", "", SOURCE)
