"""Thousands of damaged and hostile files for each reader: read, or refused in one line."""

from __future__ import annotations

import pytest
from fuzz import in_own_process
from fuzz_seeds import SEEDS

from atari_zoo.converters import convert  # noqa: F401  (it imports every reader)
from atari_zoo.converters.registry import FORMATS

CASES = 2000


def test_every_format_is_fuzzed() -> None:
    assert set(FORMATS) <= set(SEEDS)


@pytest.mark.parametrize("name", SEEDS)
def test_only_conversion_errors_come_out(name: str) -> None:
    told = in_own_process(name, CASES)
    assert not told["failures"], told["failures"][:3]
    assert told["cases"] == CASES
    # damage that no reader notices would test nothing; nor would damage that stops at the door
    assert 0.2 * CASES < told["refused"] <= CASES
