"""Thousands of damaged and hostile files for each reader: read, or refused in one line."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from fuzz import in_own_process
from fuzz_seeds import SEEDS

from atari_zoo.converters import convert  # noqa: F401  (it imports every reader)
from atari_zoo.converters.registry import FORMATS

CASES = 1000  # `python tests/fuzz.py --cases 100000` has more


def test_every_format_is_fuzzed() -> None:
    assert set(FORMATS) <= set(SEEDS)


@pytest.fixture(scope="module")
def outcomes() -> dict[str, dict[str, Any]]:
    """Of every format; as many at once as there are cores."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        told = pool.map(lambda name: in_own_process(name, CASES), SEEDS)
        return dict(zip(SEEDS, told, strict=True))


@pytest.mark.parametrize("name", SEEDS)
def test_only_conversion_errors_come_out(name: str, outcomes: dict[str, dict[str, Any]]) -> None:
    told = outcomes[name]
    assert not told["failures"], told["failures"][:3]
    assert told["cases"] == CASES
    # damage that no reader notices would test nothing; nor would damage that stops at the door
    assert 0.2 * CASES < told["refused"] <= CASES
