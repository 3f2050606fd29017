"""Registries: a name is given once, members are found by their files, nothing is imported early."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from atari_zoo.converters.recognition.operators import OPERATORS, operator
from atari_zoo.converters.registration import RegisteredTwice, Registry
from atari_zoo.converters.registry import FORMATS, reader
from atari_zoo.converters.tf.operators import TF_OPERATORS, tf_operator
from atari_zoo.logs.formats import LOG_FORMATS, log_reader
from atari_zoo.sweeps import jobs
from atari_zoo.viz.attribution.baselines import BASELINES, baseline
from atari_zoo.viz.attribution.methods.relevance import RULES, rule
from atari_zoo.viz.attribution.registry import ATTRIBUTION_METHODS, method
from atari_zoo.viz.attribution.target_registry import TARGETS, target
from atari_zoo.viz.objectives.words import WORDS, word
from atari_zoo.viz.parameterizations.registry import PARAMETERIZATIONS, parameterized_as

MEMBER = """
from letters import LETTERS
def {function}(): ...
LETTERS.add("{name}", {value!r}, {function})
"""


@pytest.fixture
def letters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A registry `letters.LETTERS`, whose members are the files of the package `alphabet`."""
    (tmp_path / "alphabet").mkdir()
    (tmp_path / "alphabet" / "__init__.py").touch()
    (tmp_path / "letters.py").write_text(
        "from atari_zoo.converters.registration import Registry\n"
        "LETTERS = Registry('letter', 'alphabet')\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path / "alphabet"
    for name in [name for name in sys.modules if name.split(".")[0] in ("letters", "alphabet")]:
        del sys.modules[name]


def put(folder: Path, file: str, name: str, value: str, function: str = "make") -> None:
    text = MEMBER.format(name=name, value=value, function=function)
    (folder / f"{file}.py").write_text(text)
    importlib.invalidate_caches()


def registry() -> Registry[str]:
    return importlib.import_module("letters").LETTERS


def test_a_new_file_is_a_new_member(letters):
    put(letters, "second", "b", "B")
    put(letters, "first", "a", "A")
    assert "alphabet.first" not in sys.modules
    assert dict(registry()) == {"a": "A", "b": "B"}
    assert list(registry()) == ["a", "b"]  # by files
    assert len(registry()) == 2 and "c" not in registry()


def test_the_order_is_the_same_whatever_was_imported_first(letters):
    put(letters, "second", "b", "B")
    put(letters, "first", "a", "A")
    importlib.import_module("alphabet.second")
    assert list(registry()) == ["a", "b"]


def test_two_files_with_one_name_are_both_named(letters):
    put(letters, "first", "a", "A", "alpha")
    put(letters, "second", "a", "B", "aleph")
    with pytest.raises(RegisteredTwice) as caught:
        registry()["a"]
    assert "two letters are called 'a'" in str(caught.value)
    assert "alphabet.first.alpha" in str(caught.value)
    assert "alphabet.second.aleph" in str(caught.value)
    with pytest.raises(RegisteredTwice):  # whoever asks again is not given half of them
        len(registry())


def test_two_of_one_name_in_one_file_are_refused(letters):
    put(letters, "first", "a", "A")
    path = letters / "first.py"
    path.write_text(path.read_text() * 2)
    with pytest.raises(RegisteredTwice, match=r"alphabet\.first\.make and alphabet\.first\.make"):
        registry()["a"]


def test_a_module_that_is_loaded_again_replaces_its_own(letters):
    put(letters, "first", "a", "A")
    assert registry()["a"] == "A"
    put(letters, "first", "a", "new, and longer")
    importlib.reload(sys.modules["alphabet.first"])
    assert registry()["a"] == "new, and longer"


def test_a_broken_file_is_told_each_time(letters):
    put(letters, "first", "a", "A")
    (letters / "second.py").write_text("import no_such_library\n")
    for _ in range(2):
        with pytest.raises(ImportError, match="no_such_library"):
            registry()["a"]
    put(letters, "second", "b", "B")
    assert dict(registry()) == {"a": "A", "b": "B"}


def test_a_miss_says_what_there_is(letters):
    put(letters, "first", "alpha", "A")
    with pytest.raises(ValueError, match="no letter 'alpa'; did you mean 'alpha'"):
        registry().named("alpa")
    with pytest.raises(ValueError, match="no letter 'x'; there are alpha"):
        registry().named("x")


def again(*args: object) -> None:
    """Registered in each test under a name that is taken."""


@pytest.mark.parametrize(
    ("members", "name", "register"),
    [
        (FORMATS, "onnx", lambda: reader("onnx", "", "", bool)(again)),
        (LOG_FORMATS, "monitor", lambda: log_reader("monitor", "", bool)(again)),
        (OPERATORS, "Relu", lambda: operator("Relu")(again)),
        (TF_OPERATORS, "Relu", lambda: tf_operator("Relu")(again)),
        (BASELINES, "black", lambda: baseline("black")(again)),
        (RULES, "gamma", lambda: rule("gamma")(again)),
        (TARGETS, "margin", lambda: target("margin[:ACTION]", "a margin")(again)),
        (WORDS, "tv", lambda: word("tv")(again)),
        (PARAMETERIZATIONS, "pixels", lambda: parameterized_as("pixels")(type(again))),
    ],
    ids=lambda value: getattr(value, "kind", None),
)
def test_every_registry_refuses_a_name_that_is_taken(members, name, register):
    kept = dict(members)
    with pytest.raises(RegisteredTwice, match=re.escape(f"'{name}': atari_zoo.")) as caught:
        register()
    assert __name__ in str(caught.value) or "builtins" in str(caught.value)
    assert dict(members) == kept


def test_a_method_of_a_name_that_is_taken_is_refused():
    def lrp() -> None: ...

    assert "lrp" in ATTRIBUTION_METHODS
    with pytest.raises(RegisteredTwice, match=r"relevance\.lrp and .*test_registration"):
        method("")(lrp)


def test_two_packages_with_a_job_of_one_name_are_both_named(monkeypatch):
    brought = [
        EntryPoint("score", "atari_zoo.sweeps.jobs:score", jobs.POINTS),
        EntryPoint("score", "other.package:score", jobs.POINTS),
    ]
    monkeypatch.setattr(jobs, "entry_points", lambda group: brought)
    with pytest.raises(
        RegisteredTwice, match=r"atari_zoo\.sweeps\.jobs:score and other\.package:score"
    ):
        jobs.job_named("score")
    monkeypatch.setattr(jobs, "entry_points", lambda group: brought[:1] * 2)  # found on two paths
    assert jobs.job_named("score") is jobs.score


def test_registering_imports_no_other_member():
    code = (
        "import sys; from atari_zoo.converters.registration import Registry\n"
        "Registry('format', 'atari_zoo.converters.formats')\n"
        "assert 'torch' not in sys.modules and 'atari_zoo.converters.formats' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
