"""The explorer in a real browser, opened from disk: what is shown is what was recorded."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from chromium import chromium, complaints, requests
from explored import SETTINGS, STEPS, played
from selenium.webdriver import ActionChains, Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select, WebDriverWait

from atari_zoo.analysis.subjects import Subject
from atari_zoo.viz.explorer.explorer import explore

ODD = "<img src=x onerror=alert(1)></script>&amp; 'quoted'"


@dataclass
class Page:
    """An explorer, who is on it, and the browser."""

    browser: Chrome
    folder: Path
    subjects: list[Subject]

    def open(self, fragment: str = "") -> None:
        self.browser.get("about:blank")
        self.browser.get((self.folder / "index.html").as_uri() + fragment)
        self.until("return index !== null && Boolean(views.length && views[0].rows)")

    def script(self, words: str, *arguments: Any) -> Any:
        return self.browser.execute_script(words, *arguments)

    def until(self, words: str, *arguments: Any) -> None:
        WebDriverWait(self.browser, 20, 0.05).until(lambda _: self.script(words, *arguments))

    def shows(self, agent: int, step: int) -> None:
        """Waits until the screen is of that step, and compares every pixel."""
        self.until("return views[0].screen.dataset.step === arguments[0]", str(step))
        expected = np.asarray(self.subjects[agent].recording.frames[step, 0])
        np.testing.assert_array_equal(self.canvas("canvas.screen", 160), expected)

    def canvas(self, selector: str, width: int) -> np.ndarray:
        """A canvas's pixels, RGB, one for each of the picture's own."""
        words = (
            "const c = document.querySelector(arguments[0]);"
            "return [c.width, c.height, [...c.getContext('2d')"
            ".getImageData(0, 0, c.width, c.height).data]]"
        )
        wide, high, data = self.script(words, selector)
        zoom = wide // width
        assert wide == width * zoom
        return np.array(data, np.uint8).reshape(high, wide, 4)[::zoom, ::zoom, :3]

    def press(self, *keys: str) -> None:
        ActionChains(self.browser).send_keys(*keys).perform()

    def find(self, selector: str) -> Any:
        return self.browser.find_element(By.CSS_SELECTOR, selector)

    def address(self, words: str) -> None:
        self.until("return decodeURIComponent(location.hash).includes(arguments[0])", words)


@pytest.fixture(scope="module")
def browser() -> Iterator[Chrome]:
    with chromium() as chrome:
        yield chrome


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Subject]]:
    subjects = [played(0), played(1)]
    folder = tmp_path_factory.mktemp("made") / "page"
    explore(subjects, folder, SETTINGS, ["conv3:0,1,2"], "atari-zoo explore x -o page")
    return folder, subjects


@pytest.fixture
def page(browser: Chrome, made: tuple[Path, list[Subject]]) -> Page:
    requests(browser)
    complaints(browser)
    return Page(browser, *made)


def test_it_opens_from_disk_and_asks_nobody_else(page: Page) -> None:
    page.open()
    page.shows(0, 0)
    for key in ("s", "]", "b", Keys.END):
        page.press(key)
    page.until("return have('points') && have('agent0/units1')")
    asked, failed = requests(page.browser)
    inside = page.folder.as_uri() + "/"
    outside = [a for a in asked if not a.startswith((inside, "data:", "blob:", "about:"))]
    assert len(asked) > 20 and outside == [] and failed == []
    assert complaints(page.browser) == []
    assert not page.find("#failure").is_displayed()


def test_keys_step_through_it(page: Page) -> None:
    page.open()
    for keys, step in (
        ((Keys.ARROW_RIGHT,), 1),
        ((Keys.SHIFT, Keys.ARROW_RIGHT), 11),
        ((Keys.ARROW_LEFT,), 10),
        ((Keys.END,), STEPS - 1),
        ((Keys.ARROW_RIGHT,), STEPS - 1),
        ((Keys.HOME,), 0),
    ):
        chain = ActionChains(page.browser)
        if len(keys) > 1:
            chain.key_down(keys[0]).send_keys(keys[1]).key_up(keys[0]).perform()
        else:
            chain.send_keys(*keys).perform()
        page.shows(0, step)
    kinds = page.script("return factsOf(current()).bookmarks")
    marked = sorted(step for kind in kinds for step, _ in kind["moments"])
    assert kinds[0]["name"] == "critical" and marked
    assert page.script("return find('bookmarks').querySelectorAll('button').length") == len(marked)
    page.press("b")
    page.shows(0, next((step for step in marked if step), marked[0]))
    for key, words in (("]", "layer=conv2"), (Keys.ARROW_DOWN, "unit=1"), ("s", "method=gradient")):
        page.press(key)
        page.address(words)
    page.press(" ")
    page.until("return player.timer && state.step > arguments[0]", marked[0] + 2)
    page.press(" ")
    page.until("return !player.timer")
    page.press("?")
    assert page.find("#keys").is_displayed()


def test_a_link_restores_the_view_and_the_way_back_works(page: Page) -> None:
    name = page.subjects[1].name
    page.open(f"#agent={name}&step=57&layer=fc&unit=7&method=greydanus&colour=score")
    page.until("return views[0].mapWords.textContent.includes('of step 40, 17 before')")
    assert page.find("h2.who").text == name
    assert page.find('[data-layer="fc"]').get_attribute("aria-pressed") == "true"
    assert page.find("#unit-title").text.startswith("The unit fc:7")
    assert page.find("#colour").get_attribute("value") == "score"
    page.find('[data-layer="conv1"]').click()
    page.address("layer=conv1")
    page.browser.back()
    page.address("layer=fc&unit=7")
    page.until("return document.querySelector('#unit-title').textContent.includes('fc:7')")
    page.browser.forward()
    page.address("layer=conv1")
    Select(page.find(".methods")).select_by_value("")
    page.shows(1, 57)


@pytest.mark.parametrize("step", [0, 2, 103])
def test_what_the_agent_was_given_is_shown(page: Page, step: int) -> None:
    page.open(f"#step={step}")
    page.shows(0, step)
    page.until("return document.querySelectorAll('.frames canvas').length === 4")
    seen = page.subjects[0].recording.observations()[step].numpy()
    for place, frame in enumerate(seen):
        drawn = page.canvas(f'.frames canvas[data-place="{place}"]', 84)
        np.testing.assert_array_equal(drawn[..., 0], frame)


def test_a_point_shows_its_moment(page: Page) -> None:
    page.open()
    page.until("return Boolean(cloud && cloud.painted)")
    for agent, step in ((1, 33), (0, 90)):
        words = (
            "const p = have('points'), all = [...p.step.values.keys()];"
            "const one = all.find((n) => p.agent.values[n] === arguments[0] && "
            "p.step.values[n] === arguments[1]);"
            "[cloud.middleX, cloud.middleY] = [cloud.x[one], cloud.y[one]];"
            "cloud.wide = GRID / 100; redraw('cloud'); return cloud.nearest("
            "cloud.canvas.width / 2, cloud.canvas.height / 2) === one"
        )
        assert page.script(words, agent, step)
        canvas = page.find("#cloud")
        page.script("arguments[0].scrollIntoView({block: 'start'})", canvas)
        ActionChains(page.browser).move_to_element(canvas).click().perform()
        page.until("return state.step === arguments[0]", step)
        page.until("return factsOf(current()) !== undefined")
        page.until("return current() === index.agents[arguments[0]]", agent)
        page.shows(agent, step)


def test_a_toggle_hides_exactly_a_runs_points(page: Page) -> None:
    page.open()
    page.until("return Boolean(cloud && cloud.painted)")
    whose = np.array(page.script("return [...have('points').agent.values]"))
    assert sorted(np.bincount(whose)) == [STEPS, STEPS]
    short = page.script("return index.agents[1].short")
    page.script("arguments[0].click()", page.find(f'input[data-agents="{short}"]'))
    page.address(f"hidden={short}")
    page.until("return cloud.paint.includes(0)")
    paint = np.array(page.script("return [...cloud.paint]"))
    np.testing.assert_array_equal(paint == 0, whose == 1)
    page.until("return document.querySelectorAll('.legend input:checked').length === 2")
    page.script("showStrip(0, 0, board.canvas.width, board.canvas.height)")
    assert page.find("#strip h3").text.startswith(f"{STEPS} moments of 1 agent; 12 of them")
    assert len(page.browser.find_elements(By.CSS_SELECTOR, "#strip .moment")) == 12


def test_agents_stand_side_by_side_at_moments_alike(page: Page) -> None:
    page.open("#step=60")
    Select(page.find("#beside")).select_by_index(1)
    page.until("return views.length === 2 && views[1].screen.dataset.step !== undefined")
    first, second = (np.asarray(one.recording.ram)[:, 0] for one in page.subjects)
    distances = ((second.astype(int) - first[60].astype(int)) ** 2).sum(axis=1)
    nearest = int(distances.argmin())
    differing = int((second[nearest] != first[60]).sum())
    words = page.script("return views[1].told.textContent")
    assert words.startswith(f"step {nearest},") and f"; {differing} of 128 bytes differ" in words
    Select(page.find("#beside")).select_by_index(2)  # the same agent without three units
    page.until("return views[1].screen.dataset.step === '60'")
    assert "would take" in page.script("return views[1].told.textContent")
    assert complaints(page.browser) == []


def test_everything_is_reached_by_keyboard_and_named(page: Page) -> None:
    page.open("#step=5&layer=conv1")
    page.until("return Boolean(cloud && cloud.painted && document.querySelector('#moments'))")
    words = (
        "return [...document.querySelectorAll('button, select, input, summary, [tabindex]')]"
        ".filter((e) => e.checkVisibility()).map((e) => { e.dataset.mark ??= 1; return 1; }).length"
    )
    count = page.script(words)
    reached = set()
    page.script("document.activeElement.blur()")
    for _ in range(count + 5):
        page.press(Keys.TAB)
        reached.add(page.script("return document.activeElement"))
    assert sum(page.script("return arguments[0].dataset.mark === '1'", e) for e in reached) == count
    unnamed = page.script(
        "return [...document.querySelectorAll('canvas')].filter((e) => e.checkVisibility() && "
        "!e.getAttribute('aria-label') && !e.className.includes('scale') && "
        "e.getAttribute('aria-hidden') !== 'true').length"
    )
    assert unnamed == 0
    nameless = page.script(
        "return [...document.querySelectorAll('button')].filter((e) => !e.textContent.trim() && "
        "!e.getAttribute('aria-label')).length"
    )
    assert nameless == 0


@pytest.mark.parametrize("width", [1400, 420])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_nothing_is_cut_and_the_theme_is_taken(page: Page, width: int, theme: str) -> None:
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    page.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        page.open(f"#theme={theme}&step=30")
        page.until("return Boolean(cloud && cloud.painted && document.querySelector('#moments'))")
        page.shows(0, 30)
        assert page.script("return document.documentElement.scrollWidth") <= width
        ground = page.find("body").value_of_css_property("background-color")
        channels = [int(part) for part in ground[ground.index("(") + 1 : -1].split(",")[:3]]
        assert max(channels) < 60 if theme == "dark" else min(channels) > 200
    finally:
        page.browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    assert complaints(page.browser) == []


def test_odd_names_are_text(browser: Chrome, tmp_path: Path) -> None:
    subject = played(2, steps=40)
    subject.network.card = subject.network.card.replace(algorithm=ODD, run="{{ 7*7 }}")
    header = replace(subject.recording.header, card=subject.network.card)
    subject.recording.header = header
    subject = Subject(subject.recording, subject.network)
    few = replace(SETTINGS, methods=(), units=False, iterations=0)
    explore([subject], tmp_path / "page", few, made_by=f"explore {ODD}")
    complaints(browser)
    page = Page(browser, tmp_path / "page", [subject])
    page.open("#step=3&agent=%3Cimg%3E")
    page.shows(0, 3)
    assert page.find("h2.who").text == subject.name == f"{ODD}/Pong/{{{{ 7*7 }}}}"
    assert page.browser.find_elements(By.TAG_NAME, "img") == []
    assert ODD in page.browser.title
    assert page.find("#failure").text == "no agent <img> on this page"
    assert page.find("#points-inside").text == "No map was asked for (iterations 0)."
    assert "without a dictionary" in page.find("#unit-inside").text
    assert complaints(browser) == []


def test_a_missing_file_is_told(browser: Chrome, tmp_path: Path) -> None:
    few = replace(SETTINGS, methods=(), units=False, iterations=0)
    explore([played(2, steps=40)], tmp_path / "page", few)
    (tmp_path / "page/explorer_data/agent0/frames_0.js").unlink()
    browser.get((tmp_path / "page/index.html").as_uri())
    told = browser.find_element(By.ID, "failure")
    WebDriverWait(browser, 20).until(lambda _: told.is_displayed())
    assert "explorer_data/agent0/frames_0.js cannot be read" in told.text
    complaints(browser)
