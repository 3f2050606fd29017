"""Chromium without a window, and what it complains of."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service

FLAGS = (
    "--headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --window-size=1400,1000"
)


@contextmanager
def chromium(*flags: str) -> Iterator[Chrome]:
    options = ChromeOptions()
    for flag in (*FLAGS.split(), *flags):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    with Chrome(options, Service(shutil.which("chromedriver"))) as chrome:
        yield chrome


def complaints(browser: Chrome) -> list[str]:
    return [entry["message"] for entry in browser.get_log("browser")]


def requests(browser: Chrome) -> tuple[list[str], list[str]]:
    """Addresses that were asked for since the last call, and those that failed."""
    asked: dict[str, str] = {}
    failed = []
    for entry in browser.get_log("performance"):
        message = json.loads(entry["message"])["message"]
        facts = message["params"]
        if message["method"] == "Network.requestWillBeSent":
            asked[facts["requestId"]] = facts["request"]["url"]
        if message["method"] == "Network.loadingFailed":
            failed.append(asked.get(facts["requestId"], "?"))
    return list(asked.values()), failed
