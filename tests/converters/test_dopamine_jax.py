"""Dopamine's JAX checkpoints: flax's own outputs, read where there is no jax."""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from architectures import observations
from jax_files import (
    ATOMS,
    QUANTILES,
    DeviceArray,
    DopamineDense,
    DopamineFullRainbow,
    DopamineImpala,
    DopamineImplicit,
    Params,
    dopamine_bundle,
    dopamine_outputs,
    dopamine_pickle,
    jax_of_2022,
    parameters,
)

from atari_zoo.converters import ConversionError, MnihNetwork, ModelCard, to_torch
from atari_zoo.converters.cards import PREPROCESSINGS
from atari_zoo.converters.formats.dopamine_jax import read_dopamine_pickle
from atari_zoo.converters.registry import FORMATS, Probe

# no two of these sizes are equal: what is swapped or transposed shows
SIZES: dict[str, Any] = {"widths": (8, 12, 10), "units": 24, "actions": 6}


@dataclass(frozen=True)
class Case:
    """An agent, the generation of its file, and what must be found in it."""

    module: Any
    generation: str
    algorithm: str
    kind: str
    notes: int = 0


CASES = {
    "dqn": Case(DopamineDense(), "E", "dqn", "q"),
    "dqn frozen": Case(DopamineDense(**SIZES), "D", "dqn", "q"),
    "dqn flax.nn": Case(DopamineDense(**SIZES), "C", "dqn", "q"),
    "dqn valid": Case(DopamineDense(**SIZES, padding="VALID"), "E", "dqn", "q"),
    "dqn 18 actions": Case(DopamineDense(**SIZES | {"actions": 18}), "E", "dqn", "q"),
    "categorical": Case(DopamineDense(**SIZES, atoms=ATOMS), "E", "c51", "categorical", 2),
    "categorical flax.nn": Case(DopamineDense(**SIZES, atoms=ATOMS), "C", "c51", "categorical", 2),
    "quantile": Case(DopamineDense(**SIZES, atoms=QUANTILES), "E", "qrdqn", "quantile"),
    "quantile flax.nn": Case(DopamineDense(**SIZES, atoms=QUANTILES), "C", "qrdqn", "quantile"),
    "iqn": Case(DopamineImplicit(**SIZES), "E", "iqn", "implicit-quantile", 1),
    "iqn flax.nn": Case(DopamineImplicit(**SIZES), "C", "iqn", "implicit-quantile", 1),
    "noisy dueling": Case(DopamineFullRainbow(**SIZES), "E", "rainbow", "categorical", 2),
    "dueling": Case(DopamineFullRainbow(**SIZES, noisy=False), "D", "rainbow", "categorical", 1),
    "noisy": Case(DopamineFullRainbow(**SIZES, dueling=False), "E", "rainbow", "categorical", 2),
    "dueling values": Case(
        DopamineFullRainbow(**SIZES, noisy=False, atoms=1), "E", "dqn", "dueling"
    ),
    "neither": Case(
        DopamineFullRainbow(**SIZES, noisy=False, dueling=False), "E", "c51", "categorical", 2
    ),
}

READ_WITHOUT_JAX = """
import sys
for name in ("jax", "jaxlib", "flax", "optax", "tensorflow"):
    sys.modules[name] = None
import numpy as np, torch
from pathlib import Path
from atari_zoo.converters.formats.dopamine_jax import read_dopamine_pickle
torch.set_num_threads(1)
seen = torch.from_numpy(np.load("seen.npy"))
found = {}
for path in sorted(Path().glob("*/ckpt.199")):
    with torch.no_grad():
        found[path.parent.name] = read_dopamine_pickle(path).model(seen).numpy()
np.savez("found.npz", **found)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every case's file, flax's outputs, and ours from a process that cannot import jax."""
    folder = tmp_path_factory.mktemp("dopamine")
    seen = observations().numpy()
    np.save(folder / "seen.npy", seen)
    for name, case in CASES.items():
        params = parameters(case.module)
        (folder / name).mkdir()
        written = dopamine_pickle(dopamine_bundle(params, case.generation))
        (folder / name / "ckpt.199").write_bytes(written)
        np.save(folder / name / "outputs.npy", dopamine_outputs(case.module, params, seen))
    subprocess.run([sys.executable, "-c", READ_WITHOUT_JAX], cwd=folder, check=True)
    return folder


@pytest.mark.parametrize("name", CASES)
def test_outputs_are_flaxs_own(folder: Path, name: str) -> None:
    expected = np.load(folder / name / "outputs.npy")
    found = np.load(folder / "found.npz")[name]
    assert expected.std() > 0.01  # else nothing is told
    # float32 sums of up to 7744 terms in another order
    np.testing.assert_allclose(found, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", CASES)
def test_what_a_file_tells(folder: Path, name: str) -> None:
    case, source = CASES[name], read_dopamine_pickle(folder / name / "ckpt.199")
    assert isinstance(source.model, MnihNetwork)
    assert source.model.head.kind == case.kind
    assert source.card == {
        "algorithm": case.algorithm,
        "action_rule": "argmax",
        "preprocessing": PREPROCESSINGS["dopamine"],
        "frames": 199_000_000,
    }
    assert ModelCard().replace(**source.card).frames == 199_000_000
    assert source.written_by.endswith("flax.nn)" if case.generation == "C" else "linen)")
    assert source.flatten == "H, W, C" and len(source.notes) == case.notes


@pytest.mark.parametrize(
    ("place", "told"),
    [
        ("rainbow/Pong/2", {"algorithm": "rainbow", "game": "Pong", "run": "2"}),
        ("rainbow/Pong/2/checkpoints", {"algorithm": "rainbow", "game": "Pong", "run": "2"}),
        ("runs/rainbow/checkpoints", {"algorithm": "rainbow"}),
        ("c51/Pong/1", {"algorithm": "c51", "game": "Pong", "run": "1"}),
        ("iqn/Pong/1", {"algorithm": "c51"}),  # the shapes contradict the folder
    ],
)
def test_the_folder_tells_rainbow_from_c51(
    tmp_path: Path, tiny: Callable[..., Params], place: str, told: dict[str, str]
) -> None:
    path = tmp_path / place / "ckpt.199"
    path.parent.mkdir(parents=True)
    path.write_bytes(dopamine_pickle(dopamine_bundle(tiny(atoms=ATOMS))))
    source = read_dopamine_pickle(path)
    known = {key: source.card[key] for key in ("algorithm", "game", "run") if key in source.card}
    assert known == told
    assert any("look alike" in note for note in source.notes) == ("iqn" in place)


def test_a_file_reaches_its_reader(tmp_path: Path, tiny: Callable[..., Params]) -> None:
    path = tmp_path / "ckpt.199"
    path.write_bytes(dopamine_pickle(dopamine_bundle(tiny(atoms=QUANTILES))))
    found = to_torch(path)
    assert isinstance(found, MnihNetwork) and found.card.format == "dopamine-jax"
    assert found.card.algorithm == "qrdqn"


@pytest.fixture(scope="module")
def tiny() -> Callable[..., Params]:
    """Makes parameters of a small network."""

    def make(**sizes: Any) -> Params:
        return parameters(DopamineDense(**{"widths": (4, 4, 4), "units": 8, **sizes}))

    return make


def test_arrays_as_jax_of_2022_pickled_them(tmp_path: Path) -> None:
    """By the structure in jax/_src/device_array.py; that jax does not run on this Python."""
    module = DopamineDense(**SIZES)
    params, seen = parameters(module), observations()
    layers = {
        name: {part: DeviceArray(array) for part, array in layer.items()}
        for name, layer in params["params"].items()
    }
    path = tmp_path / "ckpt.3"
    with jax_of_2022():
        path.write_bytes(dopamine_pickle({"online_params": {"params": layers}}))
    assert b"reconstruct_device_array" in path.read_bytes()
    model = read_dopamine_pickle(path).model
    assert isinstance(model, MnihNetwork)
    expected = torch.from_numpy(dopamine_outputs(module, params, seen.numpy()))
    torch.testing.assert_close(model(seen), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("steps", "frames"), [(250_000, 1_000_000), (0, None), (-3, None), (2.5, None), (10**12, None)]
)
def test_frames_are_four_a_training_step(
    tmp_path: Path, tiny: Callable[..., Params], steps: object, frames: int | None
) -> None:
    path = tmp_path / "ckpt.1"
    path.write_bytes(dopamine_pickle(dopamine_bundle(tiny(), training_steps=steps)))
    assert read_dopamine_pickle(path).card.get("frames") == frames


def changed(params: Params, **layers: Any) -> dict[str, Any]:
    """A bundle with some layers replaced, added, or (None) left out."""
    merged = params["params"] | layers
    kept = {name: layer for name, layer in merged.items() if layer is not None}
    return {"online_params": {"params": kept}}


def dense(inputs: int, outputs: int) -> Params:
    return {
        "kernel": np.zeros((inputs, outputs), np.float32),
        "bias": np.zeros(outputs, np.float32),
    }


def convolution(*shape: int) -> Params:
    return {"kernel": np.zeros(shape, np.float32), "bias": np.zeros(shape[3], np.float32)}


def refused() -> dict[str, tuple[Callable[[Params], Any], str]]:
    """Bundles made from sound parameters, and what is said of them."""
    nan = np.full((8, 6), np.nan, np.float32)
    void = np.zeros((4, 4, 0, 1 << 30), np.float32)
    objects = np.array([{}, []], dtype=object)
    return {
        "tensorflow's": (
            lambda p: {"state": None, "training_steps": 3, "current_iteration": 1, "logs": {}},
            "no weights: give the tf_ckpt-N files",
        ),
        "ppo": (lambda p: {"network_params": p, "training_steps": 3}, "PPO or SAC"),
        "list": (lambda p: [p, "online_params"], "dict was expected; it is list"),
        "impala": (
            lambda p: {"online_params": parameters(DopamineImpala())},
            r"IMPALA.*'Dense_1' \(484, 32\).*'Stack_0'",
        ),
        "opaque params": (lambda p: {"online_params": 3}, "no parameters by layer"),
        "strange layer": (lambda p: changed(p, Gru_0=dense(8, 8)), "dense layers .*'Gru_0'"),
        "strange key": (lambda p: {"online_params": {3: 4}}, r"it has '\?'"),
        "two convolutions": (lambda p: changed(p, Conv_2=None), "three convolutions"),
        "four convolutions": (
            lambda p: changed(p, Conv_3=convolution(3, 3, 4, 4)),
            "three convolutions",
        ),
        "wide convolution": (
            lambda p: changed(p, Conv_1=convolution(4, 4, 1, 4)),
            r"each on the one before.*\(4, 4, 1, 4\)",
        ),
        "kernel": (lambda p: changed(p, Conv_0=convolution(5, 5, 4, 4)), "5x5, 4x4, 3x3 on 4"),
        "frames": (
            lambda p: changed(p, Conv_0=convolution(8, 8, 1, 4)),
            r"agents see \(4, 84, 84\); this one \(1, 84, 84\)",
        ),
        "flat": (lambda p: changed(p, Dense_0=dense(100, 8)), "none of Dopamine's networks"),
        "outputs": (
            lambda p: changed(p, Dense_1=dense(8, 25)),
            r"none of Dopamine's.*'Dense_1' \(8, 25\)",
        ),
        "one action": (lambda p: changed(p, Dense_1=dense(8, 51)), "none of Dopamine's"),
        "headless": (lambda p: changed(p, Dense_1=None), "none of Dopamine's"),
        "three dense": (lambda p: changed(p, Dense_2=dense(6, 6)), "none of Dopamine's"),
        "four dense": (
            lambda p: changed(p, Dense_2=dense(8, 6), Dense_3=dense(8, 1)),
            "three convolutions",
        ),
        "both kinds": (lambda p: changed(p, NoisyNetwork_0=dense(8, 6)), "three convolutions"),
        "bias": (lambda p: changed(p, Dense_1={"kernel": nan * 0}), "'Dense_1': no weights 'bias'"),
        "bias length": (
            lambda p: changed(p, Dense_1=dense(8, 6) | {"bias": np.zeros(5, np.float32)}),
            r"'Dense_1' has biases \(5,\)",
        ),
        "axes": (
            lambda p: changed(p, Dense_1={"kernel": np.zeros((1, 1, 8, 6)), "bias": np.zeros(6)}),
            "'Dense_1' has weights",
        ),
        "nan": (lambda p: changed(p, Dense_1=dense(8, 6) | {"kernel": nan}), "not finite"),
        "ints": (
            lambda p: changed(p, Dense_1=dense(8, 6) | {"kernel": np.zeros((8, 6), int)}),
            "int64, not floats",
        ),
        "empty": (
            # no bytes, but a billion channels
            lambda p: changed(p, Conv_1=convolution(4, 4, 4, 4) | {"kernel": void}),
            "'Conv_1': no weights 'kernel'",
        ),
        "objects": (
            lambda p: changed(p, Dense_1=dense(8, 6) | {"kernel": objects}),
            "numpy object arrays are refused",
        ),
        "code": (
            lambda p: {"online_params": p, "logs": RunsCode()},
            "would run code.*'posix.system'",
        ),
    }


class RunsCode:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        import os

        return os.system, ("touch ran",)


@pytest.mark.parametrize("name", refused())
def test_other_networks_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny: Callable[..., Params], name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    make, message = refused()[name]
    path = tmp_path / "ckpt.199"
    path.write_bytes(pickle.dumps(make(tiny())))
    with pytest.raises(ConversionError, match=message) as caught:
        read_dopamine_pickle(path)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 600
    assert not (tmp_path / "ran").exists()


def test_told_from_other_pickles(tmp_path: Path, tiny: Callable[..., Params]) -> None:
    sniff = FORMATS["dopamine-jax"].sniff
    contents = {
        "ckpt.199": dopamine_bundle(tiny()),
        "side.199": {"state": 1, "training_steps": 1, "current_iteration": 1, "logs": {}},
        "other.pkl": {"weights": np.zeros(3)},
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(pickle.dumps(content))
    torch.save({"training_steps": 3}, tmp_path / "legacy.pt", _use_new_zipfile_serialization=False)
    (tmp_path / "text").write_bytes(b"online_params")
    taken = {p.name: sniff(Probe(p, p.read_bytes()[:512])) for p in tmp_path.iterdir()}
    assert taken == {
        "ckpt.199": True,
        "side.199": True,
        "other.pkl": False,
        "legacy.pt": False,
        "text": False,
    }
    assert not sniff(Probe(tmp_path, b""))
