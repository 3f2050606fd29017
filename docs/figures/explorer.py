"""Pictures of the explorer: of Ape-X and Rainbow in Seaquest, by Chromium without a window.

    python docs/figures/explorer.py              # makes the page, writes docs/figures/explorer.png
    python docs/figures/explorer.py page --all shots    # of a page that is there, in all sizes

The view is at the moment at which unit 26 of conv3 answers most, with integrated gradients of the
decision over the game.
"""

from __future__ import annotations

import argparse
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

from atari_zoo.viz.explorer.explorer import explore

MODELS = ["apex/Seaquest/1", "rainbow/Seaquest/1"]
FIGURE = Path(__file__).with_suffix(".png")
VIEW = "agent=apex/1&step=253&layer=conv3&unit=26&method=integrated_gradients"
BESIDE = VIEW + "&beside=rainbow/1"
SIZES = {"wide": (1400, 1500), "narrow": (420, 1500)}
FLAGS = "--headless --no-sandbox --disable-gpu --hide-scrollbars --virtual-time-budget=15000"


def picture(page: Path, fragment: str, size: tuple[int, int], path: Path) -> None:
    """Opens the page and takes its picture once it has read what it shows."""
    where = f"{page.resolve().as_uri()}#{fragment}"
    window = f"--window-size={size[0]},{size[1]}"
    words = ["chromium", *FLAGS.split(), window, f"--screenshot={path.resolve()}", where]
    subprocess.run(words, check=True, capture_output=True)


def main() -> None:
    """Makes the page, if it is not given, and its pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("page", nargs="?", type=Path, help="the folder of a page of these agents")
    parser.add_argument("--all", type=Path, help="a folder for pictures in all sizes and themes")
    given = parser.parse_args()
    with TemporaryDirectory() as name:
        page = (given.page or explore(MODELS, Path(name) / "page").parent) / "index.html"
        picture(page, VIEW, SIZES["wide"], FIGURE)
        if given.all is None:
            return
        given.all.mkdir(exist_ok=True)
        for which, size in SIZES.items():
            for theme in ("light", "dark"):
                for view, words in (("one", VIEW), ("beside", BESIDE)):
                    path = given.all / f"{view}-{which}-{theme}.png"
                    picture(page, f"{words}&theme={theme}", size, path)


if __name__ == "__main__":
    main()
