"""The served explorer in a real browser: a slider on the console's memory, and what it changes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from chromium import chromium, complaints, requests
from explored import SETTINGS, played
from selenium.webdriver import ActionChains, Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select, WebDriverWait

import atari_zoo as zoo
from atari_zoo.analysis.subjects import Subject
from atari_zoo.play.replayed import ReplayedConsole
from atari_zoo.viz.explorer.serving import ServedExplorer, serve_explorer

STEP, PLAYER_Y = 60, 51


@pytest.fixture(scope="module")
def browser() -> Iterator[Chrome]:
    with chromium() as chrome:
        yield chrome


@pytest.fixture(scope="module")
def subject() -> Subject:
    return played(0)


@pytest.fixture(scope="module")
def served(subject: Subject) -> Iterator[ServedExplorer]:
    few = replace(SETTINGS, methods=("gradient",), units=False, iterations=0)
    with serve_explorer([subject], None, few) as found:
        yield found


@pytest.fixture(params=[1400, 420])
def page(browser: Chrome, served: ServedExplorer, request: Any) -> Iterator[Chrome]:
    size = {"width": request.param, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    requests(browser), complaints(browser)
    browser.get("about:blank")
    browser.get(f"{served.address}#step={STEP}")
    until(browser, f"return views.length && views[0].screen.dataset.step === '{STEP}'")
    until(browser, "return memory.now !== null")
    yield browser
    assert browser.execute_script("return document.documentElement.scrollWidth") <= request.param
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    asked, failed = requests(browser)
    inside = (served.address, "data:", "blob:", "about:")
    assert [address for address in asked if not address.startswith(inside)] == failed == []
    assert complaints(browser) == []


def until(browser: Chrome, words: str) -> None:
    WebDriverWait(browser, 60, 0.05).until(lambda _: browser.execute_script(words))


def shown(browser: Chrome) -> np.ndarray:
    """The game's screen, a pixel for each of its own."""
    wide, high, data = browser.execute_script(
        "const c = document.querySelector('canvas.screen'); return [c.width, c.height,"
        "[...c.getContext('2d').getImageData(0, 0, c.width, c.height).data]]"
    )
    zoom = wide // 160
    return np.array(data, np.uint8).reshape(high, wide, 4)[::zoom, ::zoom, :3]


def emulated(subject: Subject, value: int) -> np.ndarray:
    """The screen with the byte set by hand before each of the last 4 actions."""
    replay = ReplayedConsole(subject.recording, 0)
    for before in range(STEP):
        if before >= STEP - 4:
            replay.console.ale.setRAM(PLAYER_Y, value)
        pair = []
        for _ in range(4):
            action = int(subject.recording.actions[before, 0])
            replay.console.ale.act(replay.console.played[action])
            pair = [*pair, replay.console.ale.getScreenRGB()][-2:]
    return np.maximum(*pair)


def test_keys_move_the_slider_and_the_screen_is_the_emulators(
    page: Chrome, subject: Subject
) -> None:
    recorded = np.asarray(subject.recording.frames[STEP, 0])
    np.testing.assert_array_equal(shown(page), recorded)
    value = page.execute_script("return views[0].bars.textContent")
    Select(page.find_element(By.CSS_SELECTOR, "#live select")).select_by_value("player_y")
    slider = page.find_element(By.CSS_SELECTOR, "#live input")
    known = {one.name: one for one in zoo.variables("Pong")}["player_y"].possible
    now = int(subject.recording.variables["player_y"].to_numpy()[STEP])
    assert int(slider.get_attribute("value")) == int(np.flatnonzero(known == now)[0])
    assert page.switch_to.active_element.tag_name == "select"
    page.switch_to.active_element.send_keys(Keys.TAB)
    assert page.switch_to.active_element == slider
    slider.send_keys(Keys.HOME)
    for _ in range(3):
        slider.send_keys(Keys.PAGE_UP)
    target = float(known[int(slider.get_attribute("value"))])
    until(page, f"return views[0].screen.dataset.edited === 'player_y = {target:g}'")
    np.testing.assert_array_equal(shown(page), emulated(subject, int(target)))
    assert (shown(page) != recorded).any()
    assert page.execute_script("return views[0].bars.textContent") != value
    assert "would take" in page.execute_script("return views[0].told.textContent")
    words = page.find_element(By.ID, "live-words").text
    assert words.startswith(f"player_y = {target:g}, which was") and "hold" in words + "held"
    page.find_element(By.CSS_SELECTOR, "#live button").click()
    until(page, "return views[0].screen.dataset.edited === ''")
    np.testing.assert_array_equal(shown(page), recorded)
    assert page.execute_script("return views[0].bars.textContent") == value
    assert int(slider.get_attribute("value")) == int(np.flatnonzero(known == now)[0])


def test_the_map_follows_the_edit_and_another_step_ends_it(page: Chrome) -> None:
    page.execute_script("change({ method: 'gradient' })")
    Select(page.find_element(By.CSS_SELECTOR, "#live select")).select_by_value("player_y")
    slider = page.find_element(By.CSS_SELECTOR, "#live input")
    slider.send_keys(Keys.END)
    until(page, "return views[0].mapWords.textContent.includes('of the edited moment. Full')")
    page.execute_script("change({ method: '' })")
    until(page, "return memory.edit && memory.edit.method === '' && !views[0].mapWords.textContent")
    page.execute_script("document.activeElement.blur()")
    ActionChains(page).send_keys(Keys.ARROW_RIGHT).perform()
    until(page, f"return views[0].screen.dataset.step === '{STEP + 1}'")
    assert page.execute_script("return views[0].screen.dataset.edited + Boolean(memory.edit)") == (
        "false"
    )


def test_a_server_that_stopped_is_told(browser: Chrome, subject: Subject) -> None:
    few = replace(SETTINGS, methods=(), units=False, iterations=0)
    with serve_explorer([subject], None, few) as brief:
        browser.get(f"{brief.address}#step={STEP}")
        until(browser, "return views.length && memory.now !== null")
    browser.execute_script("wantEdit(5)")
    until(browser, "return find('live-words').textContent.startsWith('The server does not')")
    complaints(browser)
