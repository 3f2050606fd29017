"""The documentation's table of the package's own agents is that of their cards."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path

import numpy as np
from agents_table import SOURCE, agents_table
from generated_tables import with_table

PAGE = Path(__file__).parents[1] / "docs" / "agents.md"


def test_the_page_is_current() -> None:
    page = PAGE.read_text()
    assert with_table(page, agents_table(), SOURCE) == page, (
        "run: python docs/tables/agents_table.py docs/agents.md"
    )


def test_each_agent_has_its_row_with_what_its_file_says() -> None:
    agents = resources.files("atari_zoo").joinpath("data/agents")
    catalogue = json.loads(agents.joinpath("catalog.json").read_text())
    rows = {line.split("`")[1]: line for line in agents_table().splitlines()[2:]}
    assert len(rows) == len(catalogue)
    for row in catalogue:
        card = row["card"]
        tag = f"@{card['tag']}" if card["tag"] else ""
        line = rows[f"{card['algorithm']}/{card['game']}/{card['run']}{tag}"]
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        assert cells[1] == f"{card['frames'] / 1e6:.1f}"
        assert cells[3] == f"{np.mean(card['scores']['returns']):.1f}"
        low, high = map(float, cells[4].split(" to "))
        spread = np.std(card["scores"]["returns"]) / np.sqrt(len(card["scores"]["returns"]))
        assert low <= float(cells[3]) <= high
        assert high - low <= 5 * spread + 0.11  # 3.92 of a normal mean, and two roundings
