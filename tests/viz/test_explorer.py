"""The explorer's files: what they hand over is what was played and computed."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from explored import METHODS, SETTINGS, STEPS, handed_over, in_chunks, kept_only, played
from numpy.testing import assert_allclose, assert_array_equal
from typer.testing import CliRunner

import atari_zoo as zoo
from atari_zoo.analysis.embeddings import embed
from atari_zoo.analysis.highlights import highlights
from atari_zoo.analysis.peaks import recorded_peaks
from atari_zoo.analysis.subjects import Subject
from atari_zoo.cli.app import app
from atari_zoo.recordings.recordings import Recording
from atari_zoo.viz.attribution.attribution import attribution_of
from atari_zoo.viz.explorer.effects import effect_words
from atari_zoo.viz.explorer.explorer import explore
from atari_zoo.viz.explorer.matches import nearest_moments
from atari_zoo.viz.explorer.scripts import script_array, write_script
from atari_zoo.viz.explorer.settings import ShownAgent

LAYERS = ["conv1", "conv2", "conv3", "fc"]


@pytest.fixture(scope="module")
def subjects() -> list[Subject]:
    return [played(0), played(1)]


@pytest.fixture(scope="module")
def folder(subjects, tmp_path_factory):
    made = tmp_path_factory.mktemp("made") / "page"
    page = explore(subjects, made, SETTINGS, ["conv3:0,1,2"], "again")
    assert page == made / "index.html" and page.is_file()
    return made


def test_the_screens_are_those_of_the_play(subjects, folder):
    palette = handed_over(folder, "agent0/facts")["frames"]["palette"]
    frames = in_chunks(folder, "agent0", "frames")
    assert_array_equal(palette[frames], np.asarray(subjects[0].recording.frames)[:, 0])
    seen = in_chunks(folder, "agent0", "seen")
    assert_array_equal(seen[..., 0], np.asarray(subjects[0].recording.screens)[:, 0])


def test_layers_are_off_by_half_a_step_at_most(subjects, folder):
    facts = handed_over(folder, "agent1/facts")
    assert [layer["name"] for layer in facts["layers"]] == LAYERS
    computed = zoo.activations(subjects[1].network, subjects[1].recording, LAYERS)
    for number, layer in enumerate(facts["layers"]):
        expected = computed[layer["name"]][:, 0].numpy()
        assert layer["shape"] == list(expected.shape[1:])
        axes = (None, slice(None), *(None,) * (expected.ndim - 2))
        low, high = layer["low"][axes], layer["high"][axes]
        stored = low + in_chunks(folder, "agent1", f"layer{number}") / 63 * (high - low)
        assert (np.abs(stored - expected) <= (high - low) / 126 + 1e-6).all()


def test_decisions_are_the_networks_own(subjects, folder):
    facts = handed_over(folder, "agent0/facts")
    recording = subjects[0].recording
    assert facts["actions"] == list(zoo.game("Pong").actions) and facts["rating"] == "Q-value"
    assert_allclose(facts["rated"], np.asarray(recording.outputs)[:, 0], atol=1e-5)
    assert_allclose(facts["value"], facts["rated"].max(axis=1))
    assert_array_equal(facts["taken"], recording.actions[:, 0])
    assert_array_equal(facts["scores"], recording.scores[:, 0])
    assert_array_equal(np.diff(facts["episodes"]), recording.starts[1:, 0])


def test_maps_are_those_of_the_methods(subjects, folder):
    """Each cell is the mean of 2 x 2 pixels, off by half of one of 15 steps at most."""
    facts = handed_over(folder, "agent0/facts")
    seen = subjects[0].recording.observations() / 255
    for number, (name, every) in enumerate(zip(METHODS, (1, 20), strict=True)):
        told = facts["methods"][number]
        assert (told["name"], told["every"]) == (name, every)
        maps = in_chunks(folder, "agent0", f"map{number}")
        assert len(maps) == -(-STEPS // every)
        values = attribution_of(subjects[0].network, seen[::every], name).values
        whole = values.abs().sum(dim=1).detach()
        cells = torch.nn.functional.avg_pool2d(whole[:, None], 2)[:, 0].numpy()
        assert told["full"] == pytest.approx(np.percentile(cells, 99.8), rel=1e-3)
        scaled = np.clip(cells / told["full"], 0, 1)
        assert np.abs(maps / 15 - scaled).max() <= 1 / 30 + 1e-3


def test_units_tell_what_they_answered_to(subjects, folder):
    one = subjects[0]
    for number, layer in enumerate(LAYERS):
        units = handed_over(folder, f"agent0/units{number}")
        found = recorded_peaks(one.network, one.recording, layer)
        for unit, row in enumerate(units["units"]):
            values = found.values[:, unit].numpy()
            best = row["top"][0]
            assert best["value"] == pytest.approx(values.max(), rel=1e-5)
            assert best["step"] == int(values.argmax())
            assert sum(row["histogram"]) == STEPS
            steps = sorted(spot["step"] for spot in row["top"])
            assert all(later - step >= 15 for step, later in pairwise(steps))
            top, left, height, width = best["seen"]
            newest = np.asarray(one.recording.screens)[best["step"], 0]
            down, right = top - best["whole"][0], left - best["whole"][1]
            patch = units["patches"][unit][down : down + height, right : right + width]
            assert_array_equal(patch, newest[top : top + height, left : left + width])
    weights = handed_over(folder, "agent0/units0")["weights"]
    assert_array_equal(weights, one.network.layers["conv1"].conv.weight.detach().numpy())


def test_the_map_has_every_moment_once_with_its_variables(subjects, folder):
    points, index = handed_over(folder, "points"), handed_over(folder, "index")
    moments = sorted(zip(points["agent"].tolist(), points["step"].tolist(), strict=True))
    assert moments == [(agent, step) for agent in (0, 1) for step in range(STEPS)]
    names = index["points"]["variables"]
    assert "ball_x" in names
    for name in ("ball_x", "player_y"):
        values = handed_over(folder, f"variables/{names.index(name)}")
        for agent in (0, 1):
            own = points["agent"] == agent
            expected = subjects[agent].recording.variables[name].to_numpy()
            assert_array_equal(values[own], expected[points["step"][own]].astype(np.float32))


def test_an_ablated_agent_is_asked_about_the_intact_ones_play(subjects, folder):
    index = handed_over(folder, "index")
    row = index["agents"][2]
    assert row["name"] == f"{subjects[0].name} without conv3:0,1,2" and row["screens"] == "agent0"
    network, recording = subjects[0].network, subjects[0].recording
    with zoo.ablated(network, "conv3:0,1,2"), torch.no_grad():
        expected = network(recording.observations() / 255).numpy()
    facts = handed_over(folder, "agent2/facts")
    assert_allclose(facts["rated"], expected, atol=1e-5)
    assert np.abs(expected - handed_over(folder, "agent0/facts")["rated"]).max() > 1e-3
    assert_array_equal(facts["taken"], expected.argmax(axis=1))


def test_moments_alike_are_the_nearest_by_plain_loops():
    random = np.random.default_rng(0)
    one, other = (random.integers(0, 256, (n, 5)).astype(np.uint8) for n in (7, 9))
    for moment, found in enumerate(nearest_moments(one, other)):
        pairs = [zip(one[moment].tolist(), row.tolist(), strict=True) for row in other]
        distances = [sum((a - b) ** 2 for a, b in pair) for pair in pairs]
        assert found == distances.index(min(distances))


def test_bookmarks_are_the_highlights_of_the_play(subjects, folder):
    kinds = handed_over(folder, "agent0/facts")["bookmarks"]
    settings = {"apart": 25, "diversity": 0.1, "seed": SETTINGS.seed}
    for kind, count in zip(kinds, (12, 5, 5), strict=True):
        table = highlights(subjects[:1], count=count, **settings).table
        rows = table[table.kind == kind["name"]].sort_values("step")
        assert [step for step, _ in kind["moments"]] == rows.step.tolist()
        number = "importance" if kind["name"] == "critical" else "advantage"
        assert_allclose([much for _, much in kind["moments"]], rows[number], rtol=1e-4, atol=1e-4)
    critical, gains, losses = (kind["moments"] for kind in kinds)
    assert critical and [*gains, *losses]


def test_what_silencing_a_unit_changes():
    """By a hook of torch's own on what the layer hands on."""
    network = zoo.load("a2c/Seaquest/3")
    subject = Subject(zoo.rollout(network, steps=40, envs=1, keep=["screens"]), network)
    agent = ShownAgent("a", subject, network, subject.recording, 0, "a", "a")
    words = effect_words(agent, "conv1", 32)
    seen, found = subject.observations(), []
    with torch.inference_mode():
        intact = network(seen).argmax(1)
        for unit in range(32):
            hook = network.layers["conv1"].register_forward_hook(
                lambda module, inputs, values, unit=unit: values.index_fill(
                    1, torch.tensor([unit]), 0
                )
            )
            found.append(float((network(seen).argmax(1) != intact).double().mean()))
            hook.remove()
    assert len(set(found)) > 5
    for share, said in zip(found, words, strict=True):
        assert said.startswith(f"Silenced, it changes the best action at {share:.0%} of 40 moments")
        assert said.endswith(
            f"the median changes {np.median(found):.0%}, the most {max(found):.0%}."
        )


def test_effects_are_of_intact_agents(folder):
    for number in range(len(LAYERS)):
        intact, ablated = (handed_over(folder, f"agent{a}/units{number}")["units"] for a in (0, 2))
        assert all("the best action" in row["effect"] for row in intact)
        assert all(row["effect"] == "" for row in ablated)


def test_an_ablated_agent_has_no_gains_of_another_ones_play(folder):
    assert [k["name"] for k in handed_over(folder, "agent2/facts")["bookmarks"]] == ["critical"]


@pytest.mark.parametrize("changes", [False, True])
def test_scripts_hand_over_arrays_and_odd_texts(tmp_path, changes):
    values = np.random.default_rng(0).integers(0, 256, (4, 3, 2)).astype(np.uint8)
    odd = "</script>\u2028\"'\\ \udcff"
    write_script(tmp_path / "explorer_data", "a/b", {"x": script_array(values, changes), "y": odd})
    text = (tmp_path / "explorer_data/a/b.js").read_text("utf-8")
    assert "</script>" not in text
    found = handed_over(tmp_path, "a/b")
    assert_array_equal(found["x"], values)
    assert found["y"] == odd


@pytest.mark.parametrize("type", [np.int64, np.float64, np.int8])
def test_arrays_that_a_page_cannot_read_are_refused(type):
    with pytest.raises(ValueError, match=r"expected float32, uint16, uint32, uint8"):
        script_array(np.zeros(3, type))
    with pytest.raises(ValueError, match="an array of float32"):
        script_array(np.zeros(3, np.float32), changes=True)


def test_what_cannot_be_shown_is_refused_before_anything_is_written(subjects, tmp_path):
    one = subjects[0]
    blind = Subject(kept_only(one.recording, "frames"), one.network)
    forgetful = Subject(kept_only(one.recording, "ram"), one.network)
    invaders = played(3, 20, "SpaceInvaders")
    few = replace(SETTINGS, methods=(), units=False)
    cases = [
        ([blind], few, (), "no frames in this recording: record with keep="),
        ([forgetful, subjects[1]], few, (), "no RAM in this recording"),
        ([one, invaders], few, (), "an explorer is of one game"),
        ([one], replace(few, layers=("conv8",)), (), "no layer 'conv8'; there are conv1"),
        ([one], replace(few, methods=("magic",)), (), "no method 'magic'"),
        ([one], replace(few, env=1), (), "env is 1; the recording has environments 0 to 0"),
        ([one], few, ["conv3:99"], "no unit 99 in conv3"),
    ]
    for models, settings, ablate, message in cases:
        with pytest.raises(ValueError, match=message):
            explore(models, tmp_path / "page", settings, ablate)
        assert not (tmp_path / "page").exists()
    with pytest.raises(ValueError, match="iterations is 250; expected 0 for no map, or more"):
        replace(few, iterations=250)
    with pytest.raises(ValueError, match="every is 0; expected at least 1"):
        replace(few, every=0)


def test_play_without_memory_is_shown_without_a_map(subjects, tmp_path):
    forgetful = Subject(kept_only(subjects[0].recording, "ram"), subjects[0].network)
    few = replace(SETTINGS, methods=(), steps=30)
    explore([forgetful], tmp_path / "page", few)
    index = handed_over(tmp_path / "page", "index")
    assert index["points"]["nothing"].startswith("No map: no RAM in this recording")
    assert index["agents"][0]["steps"] == 30
    said = handed_over(tmp_path / "page", "agent0/facts")["units"]
    assert said.startswith("What units tell of was not measured: no RAM")


def test_a_saved_embedding_is_of_the_same_play_or_refused(subjects, tmp_path):
    one, few = subjects[0], replace(SETTINGS, methods=(), units=False)
    embed([one], iterations=260, seeds=1).save(tmp_path / "where")
    kept = replace(few, embedding=tmp_path / "where", steps=50)
    explore([one], tmp_path / "page", kept)
    points = handed_over(tmp_path / "page", "points")
    assert sorted(points["step"].tolist()) == list(range(50))
    embed([one], iterations=260, seeds=1, space="fc").save(tmp_path / "fc")
    other = played(5)
    other.name = one.name
    scores = np.arange(STEPS, dtype=float)[:, None]
    arrays = other.recording.arrays | {"scores": scores}
    lucky = Subject(Recording(one.recording.header, arrays), one.network)
    for models, where, message in (
        ([subjects[1]], "where", f"no moments of {subjects[1].name}; it is of {one.name}"),
        ([lucky], "where", "other play"),
        ([one], "fc", "no embedding of the console's memory"),
        ([one], "nowhere", "no result of an analysis"),
    ):
        with pytest.raises(ValueError, match=message):
            explore(models, tmp_path / "new", replace(few, embedding=tmp_path / where))
        assert not (tmp_path / "new").exists()


def test_a_folder_is_kept_and_only_an_explorers_files_replaced(subjects, tmp_path):
    path = tmp_path / "play.zarr"
    subjects[0].recording.save(path)
    (tmp_path / "page").mkdir()
    (tmp_path / "page/mine.txt").write_text("mine")
    words = [
        "explore",
        str(path),
        "-o",
        str(tmp_path / "page"),
        "--no-dictionary",
        "--saliency",
        "none",
    ]
    refused = CliRunner().invoke(app, words)
    assert isinstance(refused.exception, FileExistsError)
    assert "is not empty; choose another folder with -o, or --force" in str(refused.exception)
    assert [file.name for file in (tmp_path / "page").iterdir()] == ["mine.txt"]
