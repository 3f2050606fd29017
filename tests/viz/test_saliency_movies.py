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
from atari_zoo.analysis.controls import untrained
from atari_zoo.cli.app import app
from atari_zoo.viz.attribution.attribution import attribute
from atari_zoo.viz.movies import boards
from atari_zoo.viz.movies.clips import Clip
from atari_zoo.viz.saliency import decisions
from atari_zoo.viz.saliency import movies as saliency_movies
from atari_zoo.viz.saliency.decisions import Decision, as_floats
from atari_zoo.viz.saliency.movies import saliency_movie
from atari_zoo.viz.saliency.step_maps import FULL, Question, StepMaps, full_colour, step_maps

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
    """The actor alone adds cyan, the critic alone pink, and both together both."""
    ticks: list[tuple[int, int]] = []
    colours = {}
    for of in ("actor", "critic", None):
        options = QUICK | ({} if of is None else {"side": of})
        question = Question(options=options, control=False)
        report = lambda *tick: ticks.append(tick)  # noqa: E731
        saliency_movie(*played, tmp_path / "m.mp4", question, progress=report)
        pictures = decoded(tmp_path / "m.mp4")
        assert len(pictures) == 12
        assert all(side % 16 == 0 for side in pictures.shape[1:3])
        assert ticks[-1] == (24, 24)  # computed, and drawn
        left, top = boards.MARGIN, boards.MARGIN + boards.HEAD + saliency_movies.LABEL
        colours[of] = pictures[:, top : top + 420, left : left + 320].mean(axis=(0, 1, 2))
    red, blue = 0, 2
    assert colours["actor"][blue] - colours["critic"][blue] > 1
    assert colours["critic"][red] - colours["actor"][red] > 3
    assert colours[None][blue] > colours["critic"][blue] + 1
    assert colours[None][red] > colours["actor"][red] + 3


@pytest.mark.parametrize("name", ["dqn/Seaquest/1", "rainbow/Seaquest/1"])
def test_a_network_without_a_critic_has_a_movie_of_the_actor(name, tmp_path):
    network = zoo.load(name)
    recording = zoo.rollout(network, steps=3, envs=1, keep=KEEP)
    saliency_movie(network, recording, tmp_path / "m.mp4", Question(options=QUICK))
    assert len(decoded(tmp_path / "m.mp4")) == 3


def drawn(monkeypatch, *given) -> tuple[list[tuple], list[tuple]]:
    """What the boards and the games of a movie were made of."""
    board, games = saliency_movies.Board, saliency_movies.two_colours
    boards_made, games_made = [], []
    monkeypatch.setattr(saliency_movies, "Board", lambda *g: (boards_made.append(g), board(*g))[1])
    monkeypatch.setattr(
        saliency_movies, "two_colours", lambda *g: (games_made.append(g), games(*g))[1]
    )
    saliency_movie(*given)
    return boards_made, games_made


def test_one_scale_holds_for_the_whole_movie(played, monkeypatch, tmp_path):
    """What is drawn is each step's own values, over the percentile of all steps' values; beside
    them those of an untrained network, over its own."""
    network, recording = played
    question = Question("input_x_gradient", "value")
    clip = Clip(first=4, stop=10)
    _, games = drawn(monkeypatch, network, recording, tmp_path / "m.mp4", question, clip)
    seen = as_floats(recording.observations())[4:10]
    for number, agent in enumerate((network, untrained(network))):
        values = attribute(agent, seen, "input_x_gradient", "value").values
        expected = values.abs().sum(dim=1).numpy()
        expected /= np.percentile(expected, FULL)
        for step, (frame, actor, critic, scale, shown) in enumerate(games[number::2]):
            np.testing.assert_allclose(actor, expected[step], atol=1e-4, rtol=1e-3)
            np.testing.assert_array_equal(frame, recording.frames[4 + step, 0])
            assert (critic, scale, shown) == (None, 2, recording.preprocessing)
    assert len(games) == 2 * 6


def test_a_movie_says_where_it_shows_nothing(played, monkeypatch, tmp_path):
    """A scale of the whole movie leaves steps that depend on little nearly blank."""
    network, recording = played
    made = step_maps

    def weaker(*given):
        found = made(*given)
        sides = {side: np.array(maps) for side, maps in found.sides.items()}
        for maps in sides.values():
            maps[2] *= 1e-3
        return StepMaps(sides, found.scales, found.gap)

    words = []
    picture = boards.Board.picture
    monkeypatch.setattr(saliency_movies, "step_maps", weaker)
    monkeypatch.setattr(
        boards.Board, "picture", lambda self, now: (words.append(now), picture(self, now))[1]
    )
    saliency_movie(network, recording, tmp_path / "m.mp4", Question("gradient"), Clip(stop=4))
    assert [("nothing reaches 10% of the scale" in now) for now in words] == [False] * 2 + [
        True,
        False,
    ]


@pytest.mark.filterwarnings("ignore:integrated_gradients misses the rise")
def test_maps_are_computed_a_few_steps_at_a_time(played, monkeypatch, tmp_path):
    """And are the same, whatever baseline is made of many observations."""
    network, recording = played
    steps, asked = range(2, 12), []
    read = type(recording).observations

    def reading(self, env, steps):
        asked.append(range(*steps.indices(12)))
        return read(self, env, steps)

    for baseline in ("black", "mean"):
        question = Question("integrated_gradients", "value", baseline, options={"steps": 20})
        whole = step_maps(network, recording, 0, steps, question, tmp_path)
        with monkeypatch.context() as patch:
            patch.setattr("atari_zoo.viz.saliency.step_maps.BLOCK", 4)
            patch.setattr(type(recording), "observations", reading)
            (tmp_path / baseline).mkdir()
            some = step_maps(network, recording, 0, steps, question, tmp_path / baseline)
        np.testing.assert_allclose(some.sides["values"], whole.sides["values"], atol=1e-6)
        seen = as_floats(recording.observations())[2:]
        compared = seen.mean(dim=0) if baseline == "mean" else baseline
        values = attribute(network, seen, "integrated_gradients", "value", compared, steps=20)
        expected = values.values.abs().sum(dim=1).numpy()
        np.testing.assert_allclose(some.sides["values"], expected, atol=1e-5)
        assert some.gap == pytest.approx(float(values.delta.abs().max()), abs=1e-5)
    assert asked[:3] == [range(2, 6), range(6, 10), range(10, 12)]
    assert isinstance(some.sides["values"], np.memmap)


def test_a_scale_is_never_nothing():
    maps = np.zeros((3, 4, 4), np.float32)
    assert full_colour(maps) == 1
    maps[1, 2, 2] = 5
    assert full_colour(maps) == pytest.approx(np.percentile(maps, FULL) or 5)


def test_what_a_movie_needs(played, tmp_path):
    network, _ = played
    bare = zoo.rollout(network, steps=3, envs=1, keep=["screens"])
    with pytest.raises(ValueError, match=r"record with keep=\['screens', 'frames'\]"):
        saliency_movie(network, bare, tmp_path / "m.mp4")
    with pytest.raises(ValueError, match="steps 0 to 13 are asked for"):
        saliency_movie(*played, tmp_path / "m.mp4", clip=Clip(stop=13))
    assert not list(tmp_path.iterdir())


def test_a_movie_says_what_is_explained_in_the_right_words(played, monkeypatch, tmp_path):
    network, recording = played
    other = zoo.load("dqn/Pong/1")
    made = []
    for agent, question in (
        (network, Question("gradient")),
        (network, Question(options=QUICK)),
        (other, Question("gradient")),
        (other, Question(options=QUICK, control=False)),
        (network, Question("integrated_gradients", options={"steps": 3})),
    ):
        with monkeypatch.context() as patch:
            given = agent, recording, tmp_path / "m.mp4", question, Clip(stop=6)
            made.append(drawn(patch, *given)[0][0])
    titles, notes = [board[0] for board in made], [" ".join(board[3]) for board in made]
    assert titles[0] == "a2c/Pong/1: gradient of the output of the chosen action"
    assert titles[1] == "a2c/Pong/1: greydanus"  # it has no target
    margin = "the output of the chosen action less that of the best other"
    assert titles[2] == f"dqn/Pong/1, play of a2c/Pong/1: gradient of {margin}"
    assert "cyan: how far the logits move, full colour at" in notes[1]
    assert "pink: how far the value of the state moves" in notes[1]
    assert "half the squared distance" in notes[1] and "(before training " in notes[1]
    assert "cyan: how far the Q-values move, full colour at" in notes[3]
    assert "pink" not in notes[3] and "before training" not in notes[3]
    seen = as_floats(recording.observations())[:6]
    with pytest.warns(UserWarning, match="misses the rise"):
        gap = attribute(network, seen, steps=3).delta.abs().max()
    assert f"sums miss what they should be by up to {gap:.2g} (delta)" in notes[4]


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
    assert -1 <= rows["gradient"]["untrained_correlation"] < 0.9
    assert (tmp_path / "all.png").stat().st_size > 10_000


def test_movie_films_saliency(recorded, tmp_path):
    out = run(
        "movie", "a2c/Pong/1", "--show", "saliency", "--recording", recorded, "--to", 3,
        "--option", "step=28", "-o", tmp_path / "m.mp4",
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
