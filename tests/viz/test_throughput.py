"""The picture of a machine's speed: its points are the result's numbers."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.container import ErrorbarContainer

from atari_zoo.bench.cases import BOUND, EMULATOR, NETWORK, PLAY, RECORDING, BenchCase, CaseRate
from atari_zoo.bench.peers import ENV_POOL
from atari_zoo.bench.results import GroupRates, Throughput
from atari_zoo.viz.throughput import WORDS, draw_throughput


def slices(case: BenchCase, rate: float) -> CaseRate:
    return CaseRate(case, (rate, rate - 50, rate + 200))


def result(envs: tuple[int, ...] = (8, 32)) -> Throughput:
    groups = [
        GroupRates(
            "reach",
            "",
            (
                slices(BenchCase(EMULATOR, n), 2000.0 + n),
                slices(BenchCase(NETWORK, batch=n // 2), 3000.0 + n),
                slices(BenchCase(PLAY, n), 900.0 + n),
                slices(BenchCase(BOUND, n), 1000.0 + n),
            ),
        )
        for n in envs
    ]
    others = slices(BenchCase(PLAY, 8), 9999.0), slices(BenchCase(ENV_POOL, 8), 600.0)
    groups += [GroupRates("peers", "", others)]
    groups += [GroupRates("recording", "", (slices(BenchCase(RECORDING, 8), 700.0),))]
    return Throughput("a2c/Pong/[b]1", "Mnih $x$", "Pong", "Z80, 1 core", "v", tuple(groups[::-1]))


def test_points_are_the_medians_and_bars_the_slowest_and_fastest() -> None:
    figure = draw_throughput(result())
    figure.draw_without_rendering()
    (panel,) = figure.axes
    drawn = {c.get_label(): c for c in panel.containers if isinstance(c, ErrorbarContainer)}
    expected = {
        WORDS[EMULATOR]: [2008, 2032],
        WORDS[NETWORK]: [3008, 3032],
        WORDS[BOUND]: [1008, 1032],
        WORDS[PLAY]: [908, 932],
        WORDS[RECORDING]: [700],
        ENV_POOL: [600],
    }
    assert drawn.keys() == expected.keys()
    for words, values in expected.items():
        line, _, (bars,) = drawn[words].lines
        np.testing.assert_allclose(line.get_ydata(), values)
        np.testing.assert_allclose(np.rint(np.log2(line.get_xdata())), [3, 5][: len(values)])
        ends = [segment[:, 1].tolist() for segment in bars.get_segments()]
        np.testing.assert_allclose(ends, [[value - 50, value + 200] for value in values])
    assert panel.get_ylim()[0] == 0 and panel.get_xscale() == "log"
    assert [text.get_text() for text in panel.get_xticklabels()] == ["8", "32"]


def test_it_says_who_on_what_and_how_sure() -> None:
    figure = draw_throughput(result((8,)))
    figure.draw_without_rendering()
    words = " ".join(figure.get_supxlabel().split())
    assert "medians of 3 slices" in words and "Z80, 1 core; v." in words and "Mnih $x$" in words
    assert figure.axes[0].get_title(loc="left") == "a2c/Pong/[b]1 playing Pong"


def test_without_play_there_is_no_picture() -> None:
    with pytest.raises(ValueError, match="play was not measured"):
        draw_throughput(Throughput("m", "a", "Pong", "Z80", "v"))
