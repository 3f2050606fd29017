"""Pictures of probes, units and concepts: saved with their results, and what stands in them."""

from __future__ import annotations

import numpy as np
import planted_play
import pytest

from atari_zoo.analysis.concepts import concept_sensitivities
from atari_zoo.analysis.probes import variable_probes
from atari_zoo.analysis.results import open_result
from atari_zoo.analysis.units import unit_variables


@pytest.fixture(scope="module")
def played():
    return planted_play.dense_play()


@pytest.fixture(scope="module")
def results(played):
    return {
        "probes": variable_probes([played], layer=["fc", "output"]),
        "units": unit_variables([played], layer=["fc"], most=10),
        "concepts": concept_sensitivities(
            [played], concept=["oxygen<20"], layer=["fc", "output"], splits=4
        ),
    }


@pytest.mark.parametrize("name", ["probes", "units", "concepts"])
def test_a_result_comes_back_and_draws(results, name, tmp_path):
    results[name].save(tmp_path)
    again = open_result(tmp_path)
    assert again.made.analysis == name and again.made.inputs == {"agents": ["dqn/Seaquest/7"]}
    assert again.table.equals(results[name].table)
    for key, array in results[name].arrays.items():
        np.testing.assert_array_equal(again.arrays[key], array)
    again.picture().savefig(tmp_path / "picture.png")
    assert (tmp_path / "picture.png").stat().st_size > 10_000


def test_probes_show_the_gain_and_the_control(results):
    figure = results["probes"].picture()
    own, control, _ = figure.axes  # the last is the colours'
    names = [text.get_text().removesuffix(" *") for text in own.get_yticklabels()]
    table = results["probes"].table
    (gain,) = table[(table["variable"] == "oxygen") & (table["layer"] == "fc")]["gain"]
    assert own.images[0].get_array()[names.index("oxygen"), 0] == pytest.approx(gain)
    assert (
        own.get_title(loc="left") == "DQN 7" and control.get_title(loc="left") == "shuffled labels"
    )
    assert control.images[0].get_array()[names.index("oxygen"), 0] < gain / 2
    assert own.images[0].get_clim() == control.images[0].get_clim() == (-1, 1)


def test_units_show_the_share_and_what_is_next(results):
    (panel,) = results["units"].picture().axes
    table = results["units"].table
    assert [bar.get_width() for bar in panel.patches] == pytest.approx(table["share"].tolist())
    first = panel.get_yticklabels()[0].get_text()
    assert first == f"{table['unit'][0]}  {table['variable'][0]}"
    drawn = [line.get_xdata() for line in panel.lines[:2]]
    np.testing.assert_allclose(drawn, [table["next_share"], table["untrained"]])


def test_concepts_show_accuracy_score_and_random_concepts(results):
    accuracy, score = results["concepts"].picture().axes
    table = results["concepts"].table
    for panel, names in ((accuracy, ("accuracy", "random_accuracy")), (score, ("random_score",))):
        drawn = [np.asarray(line.get_ydata(), float).tolist() for line in panel.lines]
        for name in names:
            assert table[name].tolist() in drawn
    assert "chosen" in score.get_title(loc="left")
