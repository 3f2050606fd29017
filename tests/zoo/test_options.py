"""A rollout's options and a recording's arrays are declared once, and read from there."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import pytest
import typer

import atari_zoo as zoo
from atari_zoo.cli.app import app
from atari_zoo.converters.arguments import check_kinds
from atari_zoo.play.options import KEY, OptionFacts, check_values, flattened, option, options
from atari_zoo.play.plans import FLAT, Plan, plan_of
from atari_zoo.play.rules import recorded_options, rules
from atari_zoo.play.signatures import options_text, parameters
from atari_zoo.recordings.arrays import ALWAYS, ARRAYS, KEEP, Arrays, Large, Layout
from atari_zoo.recordings.header import Header
from atari_zoo.sweeps.jobs import job_named

NAMES = [f.name for f in fields(Plan)]
ABOUT: dict[str, OptionFacts] = {f.name: about for f, about in options(Plan)}
COMMANDS = typer.main.get_command(app).commands


@pytest.mark.parametrize("name", NAMES)
def test_an_option_is_in_the_signature_and_the_docstring(name: str) -> None:
    field = {f.name: f for f in fields(Plan)}[name]
    about = field.metadata[KEY]
    parameter = inspect.signature(zoo.rollout).parameters[name]
    assert parameter.default == field.default and parameter.kind is parameter.KEYWORD_ONLY
    assert about.help.endswith(".")
    words = " ".join(zoo.rollout.__doc__.split())
    assert f"{name}: {about.help}" in words and about.more in words
    assert not about.header or about.header in {f.name for f in fields(Header)}


@pytest.mark.parametrize("verb", ["play", "record"])
@pytest.mark.parametrize("name", sorted(FLAT))
def test_an_option_is_on_the_command_line_where_it_is_meant_to_be(verb: str, name: str) -> None:
    flat = FLAT[name]
    there = {parameter.name: parameter for parameter in COMMANDS[verb].params}
    assert (name in there) is (verb in flat.about.verbs)
    if name in there:
        assert there[name].help.startswith(flat.about.help)
        flag = flat.about.flag or f"--{name.replace('_', '-')}"
        assert flag in there[name].opts
        assert flat.about.range.lower() in there[name].help.lower()


@pytest.mark.parametrize("job", ["record", "score", "noise"])
def test_an_option_is_a_setting_of_sweeps_jobs(job: str) -> None:
    settings = set(inspect.signature(job_named(job)).parameters)
    noises = set(flattened(zoo.Noise)) if job == "noise" else set()
    assert set(FLAT) - {"seed"} - noises <= settings
    assert "plan" not in settings and not noises & settings


def other(name: str) -> object:
    """A value that is not the usual one."""
    if name == "noise":
        return zoo.Noise(actions=0.5)
    if ABOUT[name].choices:
        return list(ABOUT[name].choices)[-1]
    if Plan.__annotations__[name].startswith("Sequence"):
        return [1]
    return 1 if "int" in Plan.__annotations__[name] else 0.5


HEADED = [name for name in NAMES if ABOUT[name].header == "options" and name != "recompute"]


@pytest.mark.parametrize("name", HEADED)
def test_the_header_tells_what_is_not_as_usual(random_agent: Callable, name: str) -> None:
    network = random_agent("Pong")
    usual, plan = Plan(steps=1), Plan(steps=1, **{name: other(name)})
    if name == "epsilon":  # means something under one rule alone
        plan = Plan(steps=1, action="epsilon-greedy", epsilon=0.5)
    told = [recorded_options(some, rules(some, network)) for some in (usual, plan)]
    assert told[0] == {"action": "sample"} and told[1][name] != told[0].get(name)


RANGES = [name for name, flat in FLAT.items() if flat.about.least is not None]


@pytest.mark.parametrize("name", RANGES)
def test_a_range_is_checked(name: str) -> None:
    flat = FLAT[name]
    holder = Plan if len(flat.path) == 1 else zoo.Noise
    about, inner = flat.about, flat.path[-1]
    wrong = [about.least - 1, float("nan"), float("inf"), "many"]
    wrong += [] if about.most is None else [about.most + 1]
    for value in wrong:
        with pytest.raises(ValueError, match=f"is {value}; it must be {about.range}"):
            check_values(holder, **{inner: value})
    check_values(holder, **{inner: about.least})
    length = {} if name in ("steps", "episodes") else {"steps": 1}
    with pytest.raises(ValueError, match=f"it must be {about.range}"):
        plan_of(length | {name: about.least - 1})


@pytest.mark.parametrize(
    "given, message",
    [
        ({"keep": "ram"}, r"keep is 'ram'; expected a list, such as \['ram'\]"),
        ({"preprocessing": "new"}, "no preprocessing 'new'; there are vector, "),
        ({"noise_place": "sky"}, "no place of noise 'sky'; there are stack, frame"),
    ],
)
def test_a_choice_is_checked(given: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        plan_of({"steps": 1} | given)


def test_an_option_that_there_is_not_is_named(random_agent: Callable) -> None:
    with pytest.raises(TypeError, match="no option 'step'; did you mean steps"):
        zoo.rollout(random_agent("Pong"), step=3)


def test_a_plan_may_be_given_whole(random_agent: Callable) -> None:
    network, plan = random_agent("Pong"), zoo.Plan(steps=5, envs=2, seed=3)
    whole = zoo.rollout(network, plan)
    apart = zoo.rollout(network, steps=5, envs=2, seed=3)
    np.testing.assert_array_equal(whole.actions, apart.actions)
    assert zoo.rollout(network, plan, steps=2).actions.shape == (2, 2)


def test_a_preprocessing_may_be_named(random_agent: Callable) -> None:
    found = zoo.rollout(random_agent("Pong"), steps=2, envs=1, preprocessing="tf").preprocessing
    assert found.name == "tf"


@dataclass(frozen=True, kw_only=True)
class Brighter(Plan):
    """A plan with one option more."""

    brightness: float = option(1.0, "Of the screens.", least=0)


def test_a_new_option_is_one_edit() -> None:
    assert [p.name for p in parameters(Brighter)] == [*NAMES, "brightness"]
    assert options_text(Brighter).endswith("brightness: Of the screens. It is at least 0.")
    assert flattened(Brighter)["brightness"].kind is float
    assert flattened(Brighter)["brightness"].about.verbs == ("play", "record")
    with pytest.raises(ValueError, match="brightness is -1; it must be at least 0"):
        Brighter(steps=1, brightness=-1)


@pytest.mark.parametrize("name", ARRAYS)
def test_an_array_has_a_help_and_a_reader(name: str) -> None:
    array = ARRAYS[name]
    attributes = [key for key, value in vars(Arrays).items() if value is array]
    assert len(attributes) == 1 and array.help
    assert getattr(zoo.Recording, attributes[0]) is array
    computed = name not in ALWAYS and not array.stateful and name != "colours"
    assert (name in KEEP) is computed
    if name in KEEP:
        assert f'"{name}": {array.help}' in " ".join(zoo.rollout.__doc__.split())
        keep = {parameter.name: parameter for parameter in COMMANDS["record"].params}["keep"]
        assert name in keep.help


def test_a_new_array_is_one_declaration(
    random_agent: Callable, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    brightness = Large(
        "the mean of what the agent saw",
        Layout(("float32",), (-1,), {"difference": False}),
        before=lambda moment: moment.observations.float().mean(dim=(2, 3)),
    )
    brightness.name = "brightness"
    monkeypatch.setattr(Arrays, "brightness", brightness, raising=False)
    for table in (ARRAYS, KEEP):
        monkeypatch.setitem(table, "brightness", brightness)
    how = {"steps": 6, "envs": 2, "keep": ["brightness", "screens"]}
    memory = zoo.rollout(random_agent("Pong"), **how)
    disk = zoo.rollout(random_agent("Pong"), path=tmp_path / "play.zarr", **how)
    seen = memory.observations(1).float().mean(dim=(2, 3))
    for recording in (memory, disk):
        np.testing.assert_allclose(recording.brightness[:, 1], seen, rtol=1e-6)


@dataclass(frozen=True)
class Asked:
    """As a plan is, but that nothing else checks its types while tests run."""

    steps: int | None = None
    share: float = 0.5
    game: str | None = None

    def __post_init__(self) -> None:
        check_kinds(self)


def test_numpys_numbers_are_numbers() -> None:
    made = Asked(steps=np.int64(3), share=np.float32(0.25))
    assert (made.steps, made.share) == (3, 0.25)
    assert (type(made.steps), type(made.share)) == (int, float)
    assert Asked(share=1).share == 1
    for name, wrong in (("steps", 1.5), ("steps", True), ("game", 3), ("share", "x")):
        with pytest.raises(ValueError, match=f"{name} is {wrong!r}; expected"):
            Asked(**{name: wrong})
