"""Attribution, saliency, maximization and peaks of agents that carry a state: in which state they
are asked is what is recorded, or said; against gradients taken by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from recurrent_agents import recurrent_network
from torch import Tensor

import atari_zoo as zoo
from atari_zoo.agent_states import held_words
from atari_zoo.analysis.peaks import recorded_peaks
from atari_zoo.converters import save_onnx, to_onnx
from atari_zoo.converters.network.recurrent import RecurrentNetwork
from atari_zoo.recordings.recordings import Recording
from atari_zoo.viz.attribution.attribution import attribute
from atari_zoo.viz.movies import movies
from atari_zoo.viz.movies.layer_values import value_blocks
from atari_zoo.viz.pages.tour import tour
from atari_zoo.viz.render.ascent import Settings
from atari_zoo.viz.render.rendering import render
from atari_zoo.viz.saliency.decisions import Decision
from atari_zoo.viz.saliency.movies import saliency_movie
from atari_zoo.viz.saliency.step_maps import Question, step_maps

STEP = 20


@pytest.fixture(scope="module")
def network() -> RecurrentNetwork:
    return recurrent_network()


@pytest.fixture(scope="module")
def play(network: RecurrentNetwork) -> Recording:
    return zoo.rollout(network, steps=30, envs=2, keep=["screens", "frames", "outputs"])


def slope(network: RecurrentNetwork, seen: Tensor, state: Tensor) -> Tensor:
    """The chosen output's gradient, by hand."""
    pixels = (seen / 255).requires_grad_()
    outputs, _ = network.step(pixels, state)
    outputs.max().backward()
    assert pixels.grad is not None
    return pixels.grad


def test_a_decision_is_explained_in_the_state_that_it_was_made_in(
    network: RecurrentNetwork, play: Recording
) -> None:
    seen = play.observations(1)[STEP : STEP + 1]
    state = torch.from_numpy(np.array(play.state[STEP, 1]))[None]
    expected = slope(network, seen, state)
    held = zoo.as_it_was(network, play, STEP, 1)
    found = attribute(held, seen / 255, "gradient", "chosen").values
    torch.testing.assert_close(found.abs(), expected.abs(), atol=1e-5, rtol=1e-4)
    zero = slope(network, seen, torch.zeros_like(state))
    with pytest.warns(UserWarning, match=r"held at that of an episode's first step"):
        other = attribute(network, seen / 255, "gradient", "chosen").values
    torch.testing.assert_close(other.abs(), zero.abs(), atol=1e-5, rtol=1e-4)
    assert (expected - zero).abs().max() > 0.1 * expected.abs().max()  # it matters
    assert network.held is None  # the agent itself is what it was


def test_a_sum_is_the_rise_in_that_state(network: RecurrentNetwork, play: Recording) -> None:
    seen = play.observations(0)[STEP : STEP + 1] / 255
    held = zoo.as_it_was(network, play, STEP)
    found = attribute(held, seen, target="decision", steps=200)
    with torch.no_grad():
        rise = held(seen).max() - held(torch.zeros_like(seen))[0, held(seen).argmax()]
    assert found.delta is not None
    torch.testing.assert_close(found.values.sum(), rise, atol=0.05 * float(rise.abs()), rtol=0)


def test_a_picture_says_in_which_state(network: RecurrentNetwork, play: Recording) -> None:
    decision = Decision(network, play, STEP, env=1)
    np.testing.assert_allclose(decision.outputs, play.outputs[STEP, 1], atol=1e-5)
    rows, _ = decision.explained("gradient")
    best = int(np.asarray(play.outputs[STEP, 1]).argmax())
    assert rows["action"] == zoo.game("Pong").actions[best]
    assert "is as it was recorded" in held_words(decision.asked)
    assert "first step" in held_words(network)
    lone = {name: array for name, array in play.arrays.items() if name != "state"}
    with pytest.raises(ValueError, match="which this recording lacks"):
        Decision(network, Recording(play.header, lone), STEP)


def test_a_movies_maps_are_each_in_its_own_state(
    network: RecurrentNetwork, play: Recording, tmp_path: Path
) -> None:
    question = Question("gradient", "chosen")
    states = torch.from_numpy(np.array(play.state[:, 0]))
    steps = range(len(play.starts))
    maps = step_maps(network, play, 0, steps, question, tmp_path).sides
    for step in (0, STEP):
        some = play.observations(0)[step : step + 1]
        wanted = slope(network, some, states[step : step + 1]).abs().sum(1)[0]
        np.testing.assert_allclose(maps["values"][step], wanted, atol=1e-4, rtol=1e-3)
    saliency_movie(network, play, tmp_path / "m.mp4", question)
    assert (tmp_path / "m.mp4").stat().st_size > 1000


@pytest.mark.parametrize("method", ["deeplift", "deep_shap", "lrp"])
def test_what_has_no_rule_for_a_memory_is_refused(
    network: RecurrentNetwork, play: Recording, method: str
) -> None:
    held = zoo.as_it_was(network, play, STEP)
    with pytest.raises(ValueError, match=r"wrong on this network: its memory \(LSTM\) bends"):
        attribute(held, play.observations(0)[STEP : STEP + 1] / 255, method)


def test_maximization_says_that_the_state_is_zero(network: RecurrentNetwork) -> None:
    with pytest.warns(UserWarning, match=r"\(hidden 1x24, cell 1x24\), which is held at"):
        found = render(network, "memory:3", Settings(steps=8))
    with torch.no_grad():
        hidden = network.memory.rnn(network.trunk(found.images))[0]  # type: ignore[union-attr]
    torch.testing.assert_close(found.activation[0], hidden[0, 3], atol=1e-3, rtol=1e-3)
    render(network, "conv3:1", Settings(steps=2))  # no state reaches it: nothing is said


def test_peaks_are_those_of_play(network: RecurrentNetwork, play: Recording) -> None:
    found = recorded_peaks(network, play, "memory", batch=7)
    expected = zoo.activations(network, play, "memory")["memory"].flatten(0, 1)
    torch.testing.assert_close(found.values, expected, atol=1e-4, rtol=0)


def test_a_movie_shows_the_memory(
    network: RecurrentNetwork, play: Recording, tmp_path: Path
) -> None:
    steps = range(5, len(play.starts))
    found = [
        block.layers["memory"][..., 0]
        for block in value_blocks(network, play, 0, steps, ["fc", "memory"])
    ]
    expected = zoo.activations(network, play, "memory")["memory"][5:, 0]
    np.testing.assert_allclose(np.concatenate(found), expected, atol=1e-4)
    movies.activation_movie(network, play, tmp_path / "m.mp4")
    assert (tmp_path / "m.mp4").stat().st_size > 1000


def test_what_is_recomputed_takes_the_recorded_states(
    network: RecurrentNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("atari_zoo.models.load", lambda name: network)
    play = zoo.rollout(network, steps=12, envs=2, keep=["screens"], recompute=["memory"])
    expected = zoo.activations(network, play, "memory")["memory"]
    np.testing.assert_allclose(play.activations["memory"][3:9], expected[3:9], atol=2e-3)


def test_a_tour_goes_through_its_memory(network: RecurrentNetwork, tmp_path: Path) -> None:
    save_onnx(to_onnx(network), tmp_path / "agent.onnx")
    tour(tmp_path / "agent.onnx", tmp_path / "tour.html", steps=6, score_steps=6)
    page = (tmp_path / "tour.html").read_text("utf-8")
    assert "memory 5,568" in page and "zoo.as_it_was(net, rec, step)" in page


def test_the_originals_form_has_them_too(network: RecurrentNetwork, tmp_path: Path) -> None:
    from atari_zoo.recordings.original_saved import save_cached_play

    play = zoo.rollout(network, steps=8, envs=1, keep=["screens", "frames"])
    save_cached_play(play, tmp_path / "play.npz", network=network, layer="memory")
    with np.load(tmp_path / "play.npz", allow_pickle=False) as saved:
        expected = zoo.activations(network, play, "memory")["memory"][:, 0]
        np.testing.assert_allclose(saved["representation"], expected, atol=1e-4)
