"""Panning 45,000 points in the explorer, beside plotly's scattergl: frames in a second.

    pip install plotly selenium
    python benchmarks/explorer.py --quick

Both in the same Chromium without a GPU (Debian's, with chromedriver), in a window of 1400 x 1000,
each page moved a little at every frame that the browser asks for. "nothing" is a page that draws
nothing.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from rows import arguments, row, show
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.support.ui import WebDriverWait

import atari_zoo as zoo
from atari_zoo.analysis.subjects import Subject
from atari_zoo.viz.explorer.explorer import explore
from atari_zoo.viz.explorer.scripts import script_array, write_script
from atari_zoo.viz.explorer.settings import ExplorerSettings

POINTS, STEPS, SECONDS = 45_000, 120, 4
FLAGS = (
    "--headless --no-sandbox --window-size=1400,1000 --use-gl=angle --use-angle=swiftshader "
    "--enable-unsafe-swiftshader"
)
# calls what moves the page once a frame, and answers with frames in a second
COUNT = """
const [seconds, answer] = arguments, begun = performance.now();
let frames = 0;
function next(now) {
  if (now - begun > seconds * 1000) return answer(frames / (now - begun) * 1000);
  frames += 1;
  Promise.resolve(window.move(frames)).then(() => requestAnimationFrame(next));
}
requestAnimationFrame(next);
"""
OURS = "window.move = (n) => { cloud.pan(n % 20 < 10 ? 3 : -3, 2 * (n % 2) - 1); redraw('cloud'); }"
THEIRS = """
window.move = (n) => Plotly.relayout("plot", { "xaxis.range": [n % 20, 100 + n % 20] });
"""


def places() -> tuple[np.ndarray, np.ndarray]:
    """Groups of points, as t-SNE makes them."""
    random = np.random.default_rng(0)
    middles = random.uniform(0.05, 0.95, (300, 2))
    found = middles[random.integers(0, 300, POINTS)] + random.normal(0, 0.01, (POINTS, 2))
    found = np.clip(found, 0, 1)
    return found[:, 0], found[:, 1]


def our_page(folder: Path) -> Path:
    network = zoo.load("a2c/Pong/1")
    play = zoo.rollout(network, steps=STEPS, envs=1, keep=["screens", "frames", "ram"])
    few = ExplorerSettings(methods=(), units=False, iterations=300)
    page = explore([Subject(play, network)], folder / "ours", few)
    x, y = places()
    points = {
        "x": script_array(np.rint(x * 65535).astype(np.uint16)),
        "y": script_array(np.rint(y * 65535).astype(np.uint16)),
        "agent": script_array(np.zeros(POINTS, np.uint8)),
        "step": script_array((np.arange(POINTS) % STEPS).astype(np.uint32)),
        "score": script_array(np.zeros(POINTS, np.float32)),
    }
    write_script(page.parent / "explorer_data", "points", points)
    return page


def their_page(folder: Path) -> Path:
    import plotly.graph_objects as go

    x, y = places()
    points = go.Scattergl(x=x * 100, y=y * 100, mode="markers", marker={"size": 3})
    path = folder / "theirs.html"
    layout = {"width": 690, "height": 560, "xaxis_range": [0, 100], "yaxis_range": [0, 100]}
    figure = go.Figure(points).update_layout(**layout)
    figure.write_html(path, include_plotlyjs=True, div_id="plot")
    return path


def rate(browser: Chrome, page: Path, ready: str, move: str) -> float:
    browser.get(page.as_uri())
    WebDriverWait(browser, 60).until(lambda _: browser.execute_script(f"return {ready}"))
    browser.execute_script(move)
    return float(browser.execute_async_script(COUNT, SECONDS))


def main() -> None:
    given = arguments(__doc__).parse_args()
    options = ChromeOptions()
    for flag in FLAGS.split():
        options.add_argument(flag)
    rates: dict[str, list[float]] = {"ours": [], "theirs": [], "nothing": []}
    driver = Service(shutil.which("chromedriver"))
    with TemporaryDirectory() as name, Chrome(options, driver) as browser:
        folder = Path(name)
        blank = folder / "blank.html"
        blank.write_text("<!doctype html><title>nothing</title>")
        ours, theirs = our_page(folder), their_page(folder)
        browser.set_script_timeout(120)
        drawn = "Boolean(document.querySelector('#plot .gl-canvas'))"
        for _ in range(1 if given.quick else 3):
            painted = "typeof cloud !== 'undefined' && Boolean(cloud && cloud.painted)"
            rates["ours"].append(rate(browser, ours, painted, OURS))
            rates["theirs"].append(rate(browser, theirs, drawn, THEIRS))
            rates["nothing"].append(rate(browser, blank, "true", "window.move = () => {}"))
    show(
        [
            row("explorer", "pan 45,000 points", "plotly scattergl", *_both(rates, "theirs")),
            row("explorer", "pan 45,000 points", "nothing drawn", *_both(rates, "nothing")),
        ],
        given.json,
    )


def _both(rates: dict[str, list[float]], peer: str) -> tuple[list[float], list[float], str]:
    return rates["ours"], rates[peer], "frames/s"


if __name__ == "__main__":
    main()
