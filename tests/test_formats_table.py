"""The documentation's table of formats is the registry's."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from formats_table import SOURCE, formats_table
from generated_tables import with_table

from atari_zoo.catalog.published import published
from atari_zoo.converters.cards import PREPROCESSINGS
from atari_zoo.converters.registry import FORMATS

PAGE = Path(__file__).parents[1] / "docs" / "formats.md"


def test_the_page_is_current() -> None:
    page = PAGE.read_text()
    assert with_table(page, formats_table(), SOURCE) == page, (
        "run: python docs/tables/formats_table.py docs/formats.md"
    )


def test_every_format_has_its_row() -> None:
    rows = formats_table().splitlines()[2:]
    assert len(rows) == len(FORMATS)
    for form in FORMATS.values():
        assert any(f"`{form.name}`" in row and form.title in row for row in rows)


def test_the_page_says_what_each_collections_agents_saw() -> None:
    rows = [line.split("|")[1:3] for line in PAGE.read_text().splitlines() if line.count("|") == 4]
    names = {name for row, _ in rows for name in re.findall("`([a-z0-9-]+)`", row)}
    assert set(PREPROCESSINGS) <= names
    for group in published():
        assert any(
            f"`{group.preprocessing}`" in name and f"`{group.collection}`" in agents
            for name, agents in rows
        ), group.collection


def test_a_page_without_markers_is_refused() -> None:
    with pytest.raises(ValueError, match="lacks the markers"):
        with_table("# A page", "", SOURCE)
