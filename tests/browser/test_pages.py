"""The pages in a real browser: their scripts run, their pictures are there, what is clicked works.

They need Chromium and its driver, which pip does not install: `pytest tests/browser`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from chromium import chromium, complaints
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

import atari_zoo as zoo
from atari_zoo.viz.pages.atlas import atlas
from atari_zoo.viz.pages.tour import tour


@pytest.fixture(scope="module")
def browser() -> Iterator[Chrome]:
    with chromium() as chrome:
        yield chrome


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("atlas") / "atlas.html"
    network = zoo.load("a2c/Pong/1")
    play = zoo.rollout(network, steps=60, envs=2, keep=["screens", "frames"])
    atlas(network, play, path, layers=["conv1", "conv3", "output"])
    return path


def cards(browser: Chrome) -> list[str]:
    found = browser.find_elements(By.CSS_SELECTOR, "section:not([hidden]) .card .name")
    return [name.get_attribute("textContent") or "" for name in found]


def asked(browser: Chrome, words: str) -> list[str]:
    field = browser.find_element(By.ID, "words")
    field.clear()
    field.send_keys(words, " ")  # clearing alone is no input
    return cards(browser)


def test_an_atlas_shows_and_finds_its_units(browser: Chrome, page: Path) -> None:
    browser.get(page.as_uri())
    actions = [f"output:{n} {name}" for n, name in enumerate(zoo.game("Pong").actions)]
    # of a map the largest value is shown, of an output the action is named
    maps = [f"{layer}:{n}@max" for layer, of in LAYERS.items() for n in range(of)]
    units = maps[: -len(actions)] + actions
    assert cards(browser) == units
    assert browser.find_element(By.ID, "count").text == f"{len(units)} of {len(units)} units"
    assert asked(browser, "conv3:5") == ["conv3:5@max"]
    assert asked(browser, "output") == actions
    assert asked(browser, "leftfire") == actions[5:]
    dead, alive = asked(browser, "dead conv1"), asked(browser, "alive conv1")
    assert sorted(dead + alive) == sorted(f"conv1:{n}@max" for n in range(32))
    assert len(dead) > len(alive) > 0  # most of this agent's first filters are dead
    assert asked(browser, "nothing of the kind") == []
    assert complaints(browser) == []


LAYERS = {"conv1": 32, "conv3": 64, "output": 6}


def test_a_card_opens_and_the_arrows_go_on(browser: Chrome, page: Path) -> None:
    browser.get(f"{page.as_uri()}#conv3:7")  # a unit's own address
    browser.refresh()
    dialog = browser.find_element(By.ID, "details")
    assert dialog.is_displayed() and browser.find_element(By.ID, "which").text.endswith(
        "conv3:7@max"
    )
    pieces = dialog.find_elements(By.CSS_SELECTOR, ".piece")
    assert pieces and all(piece.size["width"] > 0 for piece in pieces)
    for piece in pieces:
        assert 'url("data:image/png' in piece.value_of_css_property("background-image")
    dialog.send_keys(Keys.ARROW_RIGHT)
    assert browser.current_url.endswith("#conv3:8")
    browser.find_element(By.ID, "before").click()
    assert browser.current_url.endswith("#conv3:7")
    browser.find_element(By.ID, "close").click()
    assert not dialog.is_displayed() and browser.current_url == page.as_uri()
    asked(browser, "conv3:9")
    browser.find_element(By.CSS_SELECTOR, "section:not([hidden]) .card").click()
    assert browser.find_element(By.ID, "which").text.endswith("conv3:9@max")
    assert complaints(browser) == []


def test_a_tours_pictures_and_movie_are_there(browser: Chrome, tmp_path: Path) -> None:
    path = tmp_path / "tour.html"
    tour("a2c/Pong/1", path, steps=20, score_steps=20)
    browser.get(path.as_uri())
    widths = browser.execute_script(
        "return [...document.images].map((image) => image.naturalWidth)"
    )
    assert len(widths) > 3 and min(widths) > 0
    movies = browser.execute_script(
        "return Promise.all([...document.querySelectorAll('video')].map((video) => "
        "new Promise((done) => { if (video.readyState > 0) done(video.videoWidth); "
        "video.onloadedmetadata = () => done(video.videoWidth); "
        "video.onerror = () => done(0); })))"
    )
    assert movies and min(movies) > 0
    assert complaints(browser) == []
