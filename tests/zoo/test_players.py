"""Whose play a recording is: another game's or other actions' is refused by whatever takes both."""

from __future__ import annotations

import json
from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
import torch
from captum.attr import Saliency
from torch.testing import assert_close
from typer.testing import CliRunner

import atari_zoo as zoo
from atari_zoo.analysis.peaks import recorded_peaks, unit_peaks
from atari_zoo.cli.app import app
from atari_zoo.converters.cards import PREPROCESSINGS, ModelCard
from atari_zoo.converters.network.heads import PolicyHead
from atari_zoo.converters.network.networks import MnihNetwork, Trunk, mnih_convolutions
from atari_zoo.players import check_play, player_words
from atari_zoo.recordings.beginnings import beginning
from atari_zoo.viz.attribution.attribution import attribute
from atari_zoo.viz.movies.clips import Clip
from atari_zoo.viz.movies.movies import activation_movie
from atari_zoo.viz.pages.atlas import atlas
from atari_zoo.viz.patches.finding import patches
from atari_zoo.viz.saliency.decisions import Decision
from atari_zoo.viz.saliency.movies import saliency_movie
from atari_zoo.viz.saliency.step_maps import Question

KEEP = ["screens", "frames", "outputs"]
STEPS = 12


def small(game: str, actions: int = 6, algorithm: str = "es") -> MnihNetwork:
    torch.manual_seed(1)
    trunk = Trunk(mnih_convolutions((4, 4, 4)), units=8)
    return MnihNetwork(trunk, PolicyHead(8, actions), ModelCard(algorithm, game)).eval()


@pytest.fixture(scope="module")
def pong(tmp_path_factory):
    """A small agent of Pong, and play of it, also as a file."""
    network, path = small("Pong"), tmp_path_factory.mktemp("play") / "play.zarr"
    zoo.rollout(network, steps=STEPS, envs=1, keep=KEEP, path=path)
    return network, zoo.open_recording(path), path


TAKERS = {
    "check_play": lambda network, play, path: check_play(network, play),
    "activations": lambda network, play, path: zoo.activations(network, play, "fc"),
    "patches": lambda network, play, path: patches(network, play, "conv3", [0]),
    "atlas": lambda network, play, path: atlas(network, play, path / "a.html"),
    "peaks": lambda network, play, path: unit_peaks(network, play, layer="fc"),
    "recorded_peaks": lambda network, play, path: recorded_peaks(network, play, "fc"),
    "decision": lambda network, play, path: Decision(network, play, 3),
    "saliency_movie": lambda network, play, path: saliency_movie(network, play, path / "m.mp4"),
    "activation_movie": lambda network, play, path: activation_movie(network, play, path / "m.mp4"),
}


@pytest.mark.parametrize("taker", TAKERS)
def test_play_of_another_game_or_action_set_is_refused(pong, tmp_path, taker):
    _, play, _ = pong
    swapped = small("Pong")
    swapped.card = swapped.card.replace(
        action_meanings=("NOOP", "FIRE", "LEFT", "RIGHT", "RIGHTFIRE", "LEFTFIRE")
    )
    for other, message in (
        (small("Seaquest", 18), "es/Seaquest/1 plays Seaquest, but the recording is of Pong"),
        (small("Pong", 18), "the recording has 6 actions and es/Pong/1 18"),
        (swapped, "has the actions NOOP FIRE LEFT RIGHT .*, but the recording NOOP FIRE RIGHT"),
    ):
        with pytest.raises(ValueError, match=message):
            TAKERS[taker](other, play, tmp_path)
    assert not list(tmp_path.iterdir())


def test_screens_of_another_preprocessing_are_named(pong):
    network, play, _ = pong
    other = deepcopy(network)
    rules = {"noops": 3, "sticky": 0.25, "name": "rules", "life_loss_ends": True}
    other.card = other.card.replace(preprocessing=replace(play.preprocessing, **rules))
    assert player_words(other, play) == ""  # it sees the same
    other.card = other.card.replace(preprocessing=PREPROCESSINGS["tf"])
    assert player_words(other, play) == ", seen as 'vector' has it"


def test_another_agents_play_of_the_game_is_named(pong, tmp_path):
    network, play, _ = pong
    other = small("ALE/Pong-v5", algorithm="ga")  # the same game in another spelling
    check_play(other, play)
    assert player_words(network, play) == ""
    assert player_words(other, play) == ", play of es/Pong/1"
    row, _ = Decision(other, play, 3).explained("gradient")
    assert (row["model"], row["player"]) == (other.card.name, "es/Pong/1")
    copy = deepcopy(network)
    copy.card = copy.card.replace(sha256="a" * 64)
    play.header.card = play.card.replace(sha256="b" * 64)
    assert player_words(copy, play) == ", play of es/Pong/1"  # of that name, from another file
    play.header.card = play.card.replace(sha256="")
    atlas(other, play, tmp_path / "a.html", layers=["fc"])
    assert "observations of real play by es/Pong/1." in (tmp_path / "a.html").read_text("utf-8")


@pytest.mark.parametrize(
    "words",
    [
        ["attribute", "--step", "3"],
        ["movie", "-o", "m.mp4"],
        ["movie", "--show", "saliency", "-o", "m.mp4"],
        ["patches", "conv3:2"],
        ["atlas", "--no-synthesis"],
        ["peaks"],
    ],
)
def test_the_commands_refuse_it_too(pong, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    line = [words[0], "a2c/Seaquest/1", *words[1:], "--recording", str(pong[2])]
    run = CliRunner().invoke(app, line)
    assert isinstance(run.exception, ValueError)  # __main__ makes one line and status 2 of it
    assert "a2c/Seaquest/1 plays Seaquest, but the recording is of Pong" in str(run.exception)
    assert not list(tmp_path.iterdir())


def test_steps_are_no_more_than_asked_for(pong, tmp_path):
    """Of a recording, `--steps` is a limit; without it, all are taken."""
    play = str(pong[2])
    for steps, moments in ((["--steps", "5"], 5), ([], STEPS)):
        run = CliRunner().invoke(
            app,
            ["patches", "a2c/Pong/1", "fc:3", "--recording", play, "--json", "--n", "99",
             "--apart", "1", "--force", "-o", str(tmp_path / "p.png"), *steps],
        )  # fmt: skip
        assert run.exit_code == 0, run.output
        (unit,) = json.loads(run.stdout)["units"]
        assert sorted(patch["step"] for patch in unit["patches"]) == list(range(moments))
    none = CliRunner().invoke(app, ["patches", "a2c/Pong/1", "fc:3", "--steps", "0"])
    assert none.exit_code == 2


def test_a_beginning_is_the_first_steps(pong, tmp_path):
    _, play, _ = pong
    whole = {name: np.asarray(rows) for name, rows in play.all_arrays().items()}
    some = beginning(play, 5)
    assert some.starts.shape == (5, 1) and some.steps == 5
    for name, rows in some.all_arrays().items():
        np.testing.assert_array_equal(np.asarray(rows), whole[name][:5], err_msg=name)
    assert torch.equal(some.observations(), play.observations()[:5])
    screens = some.screens
    np.testing.assert_array_equal(screens[-1], whole["screens"][4])
    np.testing.assert_array_equal(screens[::-2], whole["screens"][4::-2])
    np.testing.assert_array_equal(screens[[3, 1]], whole["screens"][[3, 1]])
    with pytest.raises(IndexError):
        screens[5]
    assert beginning(play, 99) is play
    some.save(tmp_path / "some.zarr")
    assert zoo.open_recording(tmp_path / "some.zarr").steps == 5


def test_no_such_environment(pong, tmp_path):
    network, play, _ = pong
    for ask in (
        lambda: play.observations(1),
        lambda: play.observations(-1),
        lambda: Decision(network, play, 3, env=1).explained("gradient"),
        lambda: saliency_movie(network, play, tmp_path / "m.mp4", Question("gradient"), Clip(1)),
    ):
        with pytest.raises(ValueError, match=r"env is -?1; the recording has environments 0 to 0"):
            ask()


def test_actions_are_targets_for_captum_and_for_us(pong):
    network, play, _ = pong
    seen, actions = play.observations()[4:8].float() / 255, play.actions[4:8, 0]
    with pytest.warns(UserWarning, match="did not already require gradients"):
        theirs = Saliency(network).attribute(seen, torch.from_numpy(actions), abs=False)
    assert_close(attribute(network, seen, "gradient", actions).values, theirs)
