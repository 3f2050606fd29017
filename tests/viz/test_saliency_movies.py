"""Saliency movies and the commands: what they write and say."""

from __future__ import annotations

import io
import json

import av
import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import atari_zoo as zoo
from atari_zoo.cli.app import app
from atari_zoo.viz.attribution.attribution import attribute
from atari_zoo.viz.saliency import decisions
from atari_zoo.viz.saliency import movies as saliency_movies
from atari_zoo.viz.saliency.decisions import Decision, as_floats
from atari_zoo.viz.saliency.movies import Question, saliency_movie

KEEP = ["screens", "frames"]
QUICK = {"step": 28}  # 9 masks and not 289


@pytest.fixture(scope="module")
def played():
    """An agent with a critic, and 12 steps of its play."""
    network = zoo.load("a2c/Pong/1")
    return network, zoo.rollout(network, steps=12, envs=1, keep=KEEP)


@pytest.fixture(scope="module")
def recorded(played, tmp_path_factory):
    """The same play as a file."""
    path = tmp_path_factory.mktemp("play") / "play.zarr"
    zoo.rollout(played[0], steps=12, envs=1, keep=KEEP, path=path)
    return path


def decoded(path) -> np.ndarray:
    with av.open(str(path)) as file:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in file.decode(video=0)])


def test_a_movie_of_actor_and_critic(played, tmp_path):
    """The actor alone adds blue, the critic alone red, and both together both."""
    ticks: list[tuple[int, int]] = []
    colours = {}
    for of in ("actor", "critic", None):
        options = QUICK | ({} if of is None else {"side": of})
        report = lambda *tick: ticks.append(tick)  # noqa: E731
        saliency_movie(*played, tmp_path / "m.mp4", Question(options=options), progress=report)
        pictures = decoded(tmp_path / "m.mp4")
        assert len(pictures) == 12
        assert all(side % 2 == 0 for side in pictures.shape[1:3])
        assert ticks[-1] == (12, 12)
        colours[of] = pictures[:, 36:456, 16:336].mean(axis=(0, 1, 2))
    red, blue = 0, 2
    assert colours["actor"][blue] - colours["critic"][blue] > 3
    assert colours["critic"][red] - colours["actor"][red] > 3
    assert colours[None][blue] > colours["critic"][blue] + 3
    assert colours[None][red] > colours["actor"][red] + 3


@pytest.mark.parametrize("name", ["dqn/Seaquest/1", "rainbow/Seaquest/1"])
def test_a_network_without_a_critic_has_a_movie_of_the_actor(name, tmp_path):
    network = zoo.load(name)
    recording = zoo.rollout(network, steps=3, envs=1, keep=KEEP)
    saliency_movie(network, recording, tmp_path / "m.mp4", Question(options=QUICK))
    assert len(decoded(tmp_path / "m.mp4")) == 3


def test_one_scale_holds_for_the_whole_movie(played, monkeypatch, tmp_path):
    """The scale that each picture gets is the percentile of all steps' values."""
    scales = []
    draw = saliency_movies.overlay

    def spying(frame, values, factor, scale, preprocessing):
        scales.append(scale)
        assert preprocessing == recording.preprocessing
        return draw(frame, values, factor, scale, preprocessing)

    network, recording = played
    monkeypatch.setattr(saliency_movies, "overlay", spying)
    saliency_movie(network, recording, tmp_path / "m.mp4", Question("input_x_gradient", "value"))
    seen = as_floats(recording.observations())
    values = attribute(network, seen, "input_x_gradient", "value").values
    expected = np.percentile(values.abs().sum(dim=1).numpy(), saliency_movies.FULL)
    assert len(scales) == 12
    assert scales == pytest.approx([expected] * 12, rel=1e-4)


def test_what_a_movie_needs(played, tmp_path):
    network, _ = played
    bare = zoo.rollout(network, steps=3, envs=1, keep=["screens"])
    with pytest.raises(ValueError, match=r"record with keep=\['screens', 'frames'\]"):
        saliency_movie(network, bare, tmp_path / "m.mp4")
    with pytest.raises(ValueError, match="fps is 0"):
        saliency_movie(*played, tmp_path / "m.mp4", fps=0)
    assert not list(tmp_path.iterdir())


def test_the_title_of_a_movie_says_what_is_explained(played, monkeypatch, tmp_path):
    titles = []
    draw = saliency_movies._labelled
    monkeypatch.setattr(
        saliency_movies, "_labelled", lambda *given: (titles.append(given[1:4:2]), draw(*given))[1]
    )
    network, recording = played
    other = zoo.load("dqn/Pong/1")
    for agent, question in (
        (network, Question("gradient")),
        (network, Question(options=QUICK)),
        (other, Question("gradient")),
        (network, Question("integrated_gradients", options={"steps": 3})),
    ):
        saliency_movie(agent, recording, tmp_path / "m.mp4", question)
    chosen, greydanus, margin, _ = (title for title, _ in titles[::12])
    seen = as_floats(recording.observations())
    with pytest.warns(UserWarning, match="misses the rise"):
        gap = attribute(network, seen, steps=3).delta.abs().max()
    assert titles[36][1][-1] == f"sums miss what they should be by up to {gap:.2g} (delta)"
    assert chosen == ["a2c/Pong/1", "gradient of the output of the chosen action"]
    assert greydanus == ["a2c/Pong/1", "greydanus"]  # it has no target
    assert margin[0] == "dqn/Pong/1, play of a2c/Pong/1"
    assert margin[1] == "gradient of the output of the chosen action less that of the best other"
    assert "half the squared distance" in titles[12][1][-1]


def test_a_decision_is_explained_in_numbers(played):
    network, recording = played
    decision = Decision(network, recording, 7, "margin", "mean")
    row, picture = decision.explained("deeplift")
    seen = as_floats(recording.observations())[:8]
    found = attribute(network, seen[7:], "deeplift", "margin", seen.mean(dim=0))
    assert row["per_frame"] == pytest.approx(found.per_frame()[0].tolist(), abs=1e-5)
    assert row["action"] == zoo.game("Pong").actions[int(network(seen[7:]).argmax())]
    assert picture.std() > 10
    with pytest.raises(ValueError, match="step is 12; the recording has 0 to 11"):
        _ = Decision(network, recording, 12).seen


def run(*words) -> str:
    result = CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_attribute_prints_json_and_writes_a_picture(recorded, played, tmp_path):
    network, recording = played
    words = ("attribute", "a2c/Pong/1", "--recording", recorded, "--step", 9, "--json")
    out = run(*words, "--option", "steps=20", "--target", "value", "-o", tmp_path / "why.png")
    row = json.loads(out)
    seen = as_floats(recording.observations())[9:10]
    expected = attribute(network, seen, "integrated_gradients", "value", steps=20)
    assert row["per_frame"] == pytest.approx(expected.per_frame()[0].tolist(), abs=1e-4)
    assert row["delta"] == pytest.approx(float(expected.delta[0]), abs=1e-4)
    assert (row["step"], row["target"], row["game"]) == (9, "value", "Pong")
    with Image.open(io.BytesIO((tmp_path / "why.png").read_bytes())) as image:
        assert np.asarray(image).std() > 10


def test_captions_say_what_a_method_has():
    """What is explained, whether with signs, and in which scale: as the method really has them."""
    network = zoo.load("dqn/Seaquest/1")
    decision = Decision(network, zoo.rollout(network, steps=4, envs=1, keep=KEEP), 3)
    first, second = decision.outputs.argsort(descending=True)[:2].tolist()
    names = zoo.game("Seaquest").actions
    margin = f"the output of {names[first]} less {names[second]}'s, the best other"
    none = "no signs: the brighter, the more depends on it"
    slope = "red: brighter pixels there raise the number, blue: they lower it"
    raised = "red raised the number, blue lowered it"
    target = "units of what is explained"
    for method, explains, signs, unit in (
        ("input_x_gradient", margin, raised, target),
        ("gradient", margin, slope, "of the target for a pixel from black to white"),
        ("sarfa", f"the output of {names[first]}", none, "0 to 1"),
        ("greydanus", "all outputs", none, "half the squared distance of the outputs"),
        ("grad_cam", margin, "red raised the number; what lowered it is left out", "slope"),
    ):
        options = {"step": 40} if method in ("sarfa", "greydanus") else {}
        shown = []
        draw = decisions.explanation

        def spying(*given, draw=draw, shown=shown):
            shown.append(given)
            return draw(*given)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(decisions, "explanation", spying)
            row, _ = decision.explained(method, options)
        _, _, values, title, notes, said, signed, _ = shown[0]
        assert row["explains"] == explains and title.endswith(f"{method} of {explains}")
        assert said == signs and unit in notes[0]
        assert signed or values.min() >= 0
        assert (row["target"] is None) == (method == "greydanus")


def test_attribute_shows_all_methods(recorded, tmp_path):
    out = run(
        "attribute", "a2c/Pong/1", "--recording", recorded, "--step", 3, "--all-methods",
        "--json", "--target", "entropy", "-o", tmp_path / "all.png",
    )  # fmt: skip
    rows = {row["method"]: row for row in json.loads(out)}
    assert "integrated_gradients" in rows and "chance" not in rows
    assert "would be wrong" in rows["deeplift"]["refused"]
    assert rows["greydanus"]["target"] is None
    assert (tmp_path / "all.png").stat().st_size > 10_000


def test_saliency_movie_plays_and_films(tmp_path):
    out = run(
        "saliency-movie", "a2c/Pong/1", "--steps", 3, "--option", "step=28",
        "-o", tmp_path / "m.mp4",
    )  # fmt: skip
    assert out.strip() == str(tmp_path / "m.mp4")
    assert len(decoded(tmp_path / "m.mp4")) == 3


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--option", "steps"], "--option takes NAME=VALUE, such as steps=200; it was 'steps'"),
        (["-o", "why.jpg"], "why.jpg: its name must end in .png"),
        (["--table", "-o", "why.png"], "why.png: its name must end in .csv or .md"),
        (["--method", "tarot"], "no method 'tarot'"),
    ],
)
def test_attribute_refuses(words, message):
    with pytest.raises(ValueError, match=message):
        CliRunner().invoke(
            app, ["attribute", "a2c/Pong/1", "--step", "1", *words], catch_exceptions=False
        )
