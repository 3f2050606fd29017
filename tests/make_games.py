"""Writes zoo/data/games.json anew from the installed emulator; the scores are kept.

python tests/make_games.py
"""

from __future__ import annotations

import json
from pathlib import Path

from ale_py import roms

from atari_zoo.emulator.environments import screen

# for two players only: ale-py ships the ROM but cannot play it alone
TWO_PLAYERS = {"combat", "joust", "maze_craze", "warlords"}
TABLE = Path(__file__).parent.parent / "zoo" / "data" / "games.json"


def rows(scores: dict[str, list[float]]) -> list[dict[str, object]]:
    """One row for each game that ale-py ships and can play."""
    table = []
    for rom in sorted(set(roms.get_all_rom_ids()) - TWO_PLAYERS):
        size = screen(rom)
        row = {"name": rom.title().replace("_", ""), "rom": rom}
        row |= {"height": size.height, "width": size.width, "actions": list(size.actions)}
        if rom in scores:
            row |= dict(zip(("random", "human"), scores[rom], strict=True))
        table.append(row)
    return table


def main() -> None:
    """Rewrites the table, one game a line."""
    old = json.loads(TABLE.read_text())
    scores = {r["rom"]: [r["random"], r["human"]] for r in old["games"] if "human" in r}
    lines = ",\n  ".join(json.dumps(row) for row in rows(scores))
    head = json.dumps({key: old[key] for key in old if key != "games"}, indent=1)[:-2]
    TABLE.write_text(f'{head},\n "games": [\n  {lines}\n ]\n}}\n')


if __name__ == "__main__":
    main()
