"""Dopamine's TensorFlow agents: their networks against TensorFlow's, wherever they lie."""

from __future__ import annotations

import pickle
import shutil
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from architectures import observations
from dopamine_files import (
    Variables,
    agent_variables,
    network_variables,
    outputs,
    save,
    save_agent,
    save_run,
)
from real_policies import POLICIES, needs_policies

from atari_zoo.converters.cards import PREPROCESSINGS
from atari_zoo.converters.convert import read, to_onnx, to_torch
from atari_zoo.converters.errors import ConversionError
from atari_zoo.converters.formats import dopamine  # noqa: F401
from atari_zoo.converters.network.heads import CategoricalHead, ImplicitQuantileHead, QHead
from atari_zoo.converters.registry import Source

# widths that differ, so that no two axes can change places unseen
SMALL: dict[str, Any] = {"widths": (5, 6, 4), "units": 9}
HEADS = {"dqn": QHead, "c51": CategoricalHead, "iqn": ImplicitQuantileHead}
RELEASES = ["slim", "keras", "unnamed keras"]


def agrees(found: Source, variables: Variables, algorithm: str = "dqn", **facts: Any) -> None:
    """The network's outputs are TensorFlow's, of the same variables."""
    seen, network = observations(), found.model
    assert isinstance(network, torch.nn.Module)
    head = network.head
    assert isinstance(head, HEADS[algorithm])
    taus = head.embedding.taus.numpy() if algorithm == "iqn" else np.zeros(0)
    expected = outputs(variables, algorithm, seen.numpy(), taus, **facts)
    with torch.no_grad():
        # float32 sums of 7744 terms in another order
        np.testing.assert_allclose(network(seen).numpy(), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("same", [True, False], ids=["same", "valid"])
@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("algorithm", HEADS)
def test_every_release_of_every_agent(
    tmp_path: Path, algorithm: str, release: str, same: bool
) -> None:
    prefix = tmp_path / "tf_ckpt-1"
    saved = save_agent(prefix, algorithm, release, same=same, actions=7, **SMALL)
    found = read(prefix)
    agrees(found, saved, algorithm, same=same)
    assert found.card["algorithm"] == algorithm
    assert found.card["action_rule"] == "argmax"
    assert found.card["preprocessing"] == PREPROCESSINGS["dopamine"]
    assert found.written_by == f"Dopamine (TensorFlow, {release.split()[-1]} layers)"
    notes = " ".join(found.notes)
    assert "Target/ and the optimizer's are left out" in notes
    assert ("51 atoms from -10 to 10" in notes) == (algorithm == "c51")
    assert ("32 quantiles at fixed midpoints" in notes) == (algorithm == "iqn")


@pytest.mark.parametrize("algorithm", HEADS)
def test_agents_of_the_size_that_dopamine_trains(tmp_path: Path, algorithm: str) -> None:
    """And through ONNX, which the command line writes."""
    prefix = tmp_path / "tf_ckpt-199"
    saved = save_agent(prefix, algorithm, actions=18)
    found = read(prefix)
    agrees(found, saved, algorithm)
    network, seen = to_torch(to_onnx(prefix)), observations()
    assert type(network.head) is HEADS[algorithm]
    with torch.no_grad():
        torch.testing.assert_close(network(seen), found.model(seen), atol=1e-6, rtol=1e-6)
    assert network.card.algorithm == algorithm and network.card.format == "dopamine"


def unscoped(seed: int, first: int) -> Variables:
    """IQN's variables under keras's own names, counted from `first`."""
    variables = network_variables("iqn", "unnamed keras", scope="", seed=seed, **SMALL)
    kinds = ["conv2d"] * 3 + ["dense"] * 3
    layers = [f"{kind}_{first + i % 3}" for i, kind in enumerate(kinds)]
    parts = [f"{layer}/{part}" for layer in layers for part in ("kernel", "bias")]
    return dict(zip(parts, variables.values(), strict=True))


def test_layers_without_a_scope(tmp_path: Path) -> None:
    """The first ones made are the policy; 10 comes after 9."""
    saved, target = unscoped(0, first=8), unscoped(1, first=11)
    agrees(read(save(tmp_path / "both", saved | target)), saved, "iqn", scope="")
    found = read(save(tmp_path / "one", saved))
    agrees(found, saved, "iqn", scope="")
    assert any("the first of each kind are the policy" in note for note in found.notes)


@pytest.mark.parametrize(
    ("numbers", "sentinels", "recorded", "latest"),
    [
        ((195, 199), (195, 199), 199, 199),
        ((99, 100), (99, 100), 99, 100),
        ((195, 199), (195,), 199, 195),
        ((195, 199), (195, 203), 199, 195),
        ((195, 199), (), 195, 195),
        ((195, 199), (203,), 203, 199),
        ((195, 199), (), None, 199),
    ],
    ids=["whole", "digits", "cut short", "gone", "record", "record gone", "nothing told"],
)
@pytest.mark.parametrize("packed", [False, True], ids=["folder", "tarball"])
def test_the_latest_whole_checkpoint_is_read(
    tmp_path: Path,
    numbers: tuple[int, ...],
    sentinels: tuple[int, ...],
    recorded: int | None,
    latest: int,
    packed: bool,
) -> None:
    run = tmp_path / "run"
    saved = save_run(run, numbers, sentinels, **SMALL)
    record = run / "checkpoints" / "checkpoint"
    assert f'model_checkpoint_path: "tf_ckpt-{numbers[-1]}"' in record.read_text().replace(
        f"{record.parent}/", ""
    )
    if recorded is None:
        record.unlink()
    else:
        record.write_text(f'model_checkpoint_path: "/old/place/tf_ckpt-{recorded}"\n')
    found = read(packed_up(run) if packed else run)
    agrees(found, saved[latest])
    assert f"'tf_ckpt-{latest}' is the latest checkpoint" in found.notes


def packed_up(folder: Path, compression: str = "gz") -> Path:
    archive = folder.with_name(f"{folder.name}.tar.{compression}".rstrip("."))
    with tarfile.open(archive, f"w:{compression}") as out:
        out.add(folder, folder.name)
    return archive


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Variables]:
    """A run as Dopamine's documentation has it, and its latest variables."""
    folder = tmp_path_factory.mktemp("published") / "rainbow" / "Pong" / "3"
    return folder, save_run(folder, algorithm="rainbow", **SMALL)[199]


PLACES: dict[str, Callable[[Path], Path]] = {
    "run": lambda run: run,
    "checkpoints": lambda run: run / "checkpoints",
    "prefix": lambda run: run / "checkpoints" / "tf_ckpt-199",
    "index": lambda run: run / "checkpoints" / "tf_ckpt-199.index",
    "data": lambda run: run / "checkpoints" / "tf_ckpt-199.data-00000-of-00001",
    "meta": lambda run: run / "checkpoints" / "tf_ckpt-199.meta",
    "tarball": lambda run: packed_up(run),
    "plain tarball": lambda run: packed_up(run, ""),
    "tarball of the agent": lambda run: packed_up(run.parents[1]),
}


@pytest.mark.parametrize("place", PLACES)
def test_it_is_found_by_any_of_its_names(run: tuple[Path, Variables], place: str) -> None:
    path = PLACES[place](run[0])
    found = read(path)
    agrees(found, run[1], "c51")
    told = {name: found.card.get(name) for name in ("algorithm", "game", "run")}
    # the tarball of a run alone lies in the game's folder, and has the run's in it
    assert told == {"algorithm": "rainbow", "game": "Pong", "run": "3"}
    assert found.card["format"] == "dopamine" and found.card["source"] == path.name


def test_relative_paths(run: tuple[Path, Variables], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(run[0] / "checkpoints")
    for path in (".", "tf_ckpt-199", "tf_ckpt-199.index"):
        assert read(path).card["game"] == "Pong"


@pytest.mark.parametrize(
    ("folder", "algorithm", "told"),
    [
        ("dqn/Pong/1", "dqn", {"algorithm": "dqn", "game": "Pong", "run": "1"}),
        ("lucid/iqn/MsPacman/5", "iqn", {"algorithm": "iqn", "game": "MsPacman", "run": "5"}),
        ("c51/Pong/2/checkpoints", "c51", {"algorithm": "c51", "game": "Pong", "run": "2"}),
        ("samples/rainbow/SpaceInvaders_v4/checkpoints", "c51", {"algorithm": "rainbow"}),
        ("Pong/1", "c51", {"algorithm": "c51"}),
        ("rainbow/Pong/1", "dqn", {"algorithm": "dqn"}),
        ("dqn/pong/1", "dqn", {"algorithm": "dqn"}),
        ("dqn/Pong/latest", "dqn", {"algorithm": "dqn"}),
    ],
)
def test_what_a_path_tells(
    tmp_path: Path, folder: str, algorithm: str, told: dict[str, str]
) -> None:
    (tmp_path / folder).mkdir(parents=True)
    save(tmp_path / folder / "tf_ckpt-9", network_variables(algorithm, **SMALL))
    found = read(tmp_path / folder)
    assert {k: v for k, v in found.card.items() if k in ("algorithm", "game", "run")} == told
    unclear = any("C51's and Rainbow's weights look alike" in note for note in found.notes)
    assert unclear == (folder == "Pong/1")


def test_pickles_are_read_where_there_is_nothing_else(tmp_path: Path) -> None:
    """Of Dopamine's JAX agents; beside TensorFlow's checkpoints they hold no weights."""
    variables = network_variables("dqn", scope="", **SMALL)
    arrays = list(variables.values())
    names = ("Conv_0", "Conv_1", "Conv_2", "Dense_0", "Dense_1")
    params = {
        name: {"kernel": arrays[2 * i], "bias": arrays[2 * i + 1]} for i, name in enumerate(names)
    }
    folder = tmp_path / "dqn" / "Seaquest" / "2"
    folder.mkdir(parents=True)
    for number, scale in ((4, 1.0), (12, 1.0), (20, 3.0)):
        scaled = {n: {k: v * scale for k, v in parts.items()} for n, parts in params.items()}
        content = {"online_params": {"params": scaled}, "training_steps": 5, "state": None}
        (folder / f"ckpt.{number}").write_bytes(pickle.dumps(content))
    for number in (4, 12):
        (folder / f"sentinel_checkpoint_complete.{number}").write_text("done")
    for path in (folder, packed_up(folder)):
        found = read(path)
        agrees(found, {f"Online/{k}": v for k, v in variables.items()})
        assert found.notes[0] == "'ckpt.12' is the latest checkpoint"
        assert (found.card["game"], found.card["run"]) == ("Seaquest", "2")


def changed(**changes: tuple[int, ...] | None) -> Callable[[Path], Path]:
    """Saves an agent with some layers' weights of other shapes, or (None) without a variable."""

    def write(folder: Path) -> Path:
        variables = network_variables(**SMALL)
        for name, shape in changes.items():
            name = f"Online/{name.replace('__', '/')}"
            variables.pop(name, None)
            if shape is not None:
                variables[name] = np.zeros(shape, np.float32)
        return save(folder / "model", variables)

    return write


def with_values(name: str, value: Any) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        variables = network_variables(**SMALL)
        variables[name] = np.full_like(variables[name], value, type(value))
        return save(folder / "model", variables)

    return write


def without(pattern: str) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        save_run(folder, **SMALL)
        for path in (folder / "checkpoints").glob(pattern):
            path.unlink()
        return folder

    return write


def cut(pattern: str, size: int) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        save_run(folder, **SMALL)
        (path,) = (folder / "checkpoints").glob(pattern)
        path.write_bytes(path.read_bytes()[:size])
        return path

    return write


def two_runs(folder: Path) -> Path:
    for number in (1, 2):
        save_run(folder / "Pong" / str(number), (1,), (1,), **SMALL)
    return packed_up(folder / "Pong")


def tarball_with_a_link(folder: Path) -> Path:
    save_run(folder / "run", **SMALL)
    (folder / "run" / "passwords").symlink_to("/etc/passwd")
    return packed_up(folder / "run")


def cut_tarball(folder: Path) -> Path:
    save_run(folder / "run", **SMALL)
    path = packed_up(folder / "run")
    path.write_bytes(path.read_bytes()[:-5000])
    return path


def empty_checkpoints(folder: Path) -> Path:
    (folder / "checkpoints").mkdir()
    (folder / "checkpoints" / "notes.txt").write_text("none yet")
    return folder


NOT_A_POLICY = "not a policy of Dopamine's"
WRONG: dict[str, tuple[Callable[[Path], Path], str]] = {
    "two convolutions": (changed(Conv_2__weights=None), NOT_A_POLICY),
    "kernel": (changed(Conv_1__weights=(3, 3, 5, 6)), NOT_A_POLICY),
    "frames": (changed(Conv__weights=(8, 8, 1, 5)), NOT_A_POLICY),
    "chain": (changed(Conv_1__weights=(4, 4, 4, 6)), NOT_A_POLICY),
    "no channels": (changed(Conv_2__weights=(3, 3, 6, 0)), NOT_A_POLICY),
    "flat": (changed(fully_connected__weights=(400, 9)), NOT_A_POLICY),
    "one dense layer": (changed(fully_connected__weights=None), NOT_A_POLICY),
    "four dense layers": (
        changed(fully_connected_2__weights=(6, 6), fully_connected_3__weights=(6, 6)),
        NOT_A_POLICY,
    ),
    "ways": (
        changed(fully_connected__weights=(484, 484), fully_connected_1__weights=(484, 484)),
        "could be read in several ways",
    ),
    "bias": (changed(Conv_1__biases=None), "'Online/Conv_1/biases' is missing"),
    "long bias": (changed(Conv_1__biases=(7,)), r"'Online/Conv_1' has biases \(7,\)"),
    "square bias": (changed(Conv_1__biases=(6, 1)), r"biases \(6, 1\)"),
    "outputs": (
        changed(fully_connected_1__weights=(9, 25), fully_connected_1__biases=(25,)),
        r"none of Dopamine's networks: .*'Online/fully_connected_1' \(9, 25\)",
    ),
    "one action": (changed(fully_connected_1__weights=(9, 51)), "none of Dopamine's networks"),
    "not finite": (with_values("Online/Conv/weights", float("nan")), "not finite"),
    "integers": (with_values("Online/Conv/weights", 1), "type int64, not floats"),
    "no shard": (without("*199.data*"), "tf_ckpt-199.data-00000-of-00001 is missing"),
    "nothing": (empty_checkpoints, "no checkpoint of Dopamine: .* it has 'notes.txt'"),
    "no index": (without("*ckpt*"), "no checkpoint of Dopamine: 'tf_ckpt-N.index' or"),
    "no weights": (without("tf_ckpt*"), "no weights"),
    "cut index": (cut("*199.index", 700), "tf_ckpt-199.index: it does not end .* cut short"),
    "cut shard": (cut("*199.data*", 4000), "ends at byte .*, which has 4000: cut short"),
    "two runs": (two_runs, r"checkpoints in 2 folders \('Pong/1/checkpoints', "),
    "link": (tarball_with_a_link, "'run/passwords' in it is a link"),
    "cut tarball": (cut_tarball, "cut short"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_no_agent_is_refused_and_nothing_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    write, message = WRONG[name]
    (place := tmp_path / "place").mkdir()
    (scratch := tmp_path / "scratch").mkdir()
    path = write(place)
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    with pytest.raises(ConversionError, match=message) as caught:
        read(path)
    assert str(caught.value).startswith(f"{path}: ") and "\n" not in str(caught.value)
    assert not list(scratch.iterdir())


@needs_policies
def test_a_real_checkpoint_of_another_network_is_refused() -> None:
    with pytest.raises(ConversionError, match=NOT_A_POLICY) as caught:
        read(POLICIES / "bundle-SpaceInvaders" / "final.ckpt")
    assert "'OptimizeLoss/Stack/convolution_1/biases/Adam' (16,)" in str(caught.value)
    assert "and 54 more; three convolutions (8x8, 4x4, 3x3)" in str(caught.value)


def test_other_files_are_not_claimed(tmp_path: Path) -> None:
    (tmp_path / "search.index").write_bytes(b"an index of something else")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "notes.txt").write_text("nothing")
    shutil.make_archive(str(tmp_path / "notes"), "gztar", tmp_path / "folder")
    for name in ("search.index", "folder", "notes.tar.gz"):
        with pytest.raises(ConversionError, match="known kind"):
            read(tmp_path / name)
    with pytest.raises(ConversionError, match="no such file"):
        read(tmp_path / "tf_ckpt-199")


def test_a_tarball_by_gnu_tar(run: tuple[Path, Variables], tmp_path: Path) -> None:
    archive = tmp_path / "checkpoints.tar.gz"
    subprocess.run(["tar", "-C", run[0], "-czf", archive, "./checkpoints"], check=True)
    agrees(read(archive), run[1], "c51")


def test_agents_differ_from_their_targets() -> None:
    """So that reading the wrong one shows."""
    seen, taus = observations().numpy(), np.zeros(0)
    variables = agent_variables(**SMALL)
    online, target = (outputs(variables, "dqn", seen, taus, scope=s) for s in ("Onl", "Tar"))
    assert np.abs(online - target).min() > 1e-3
