"""CleanRL's JAX models: flax's own files and outputs, read where there is no flax."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import flax
import jax.numpy as jnp
import msgpack
import numpy as np
import pytest
from architectures import observations
from flax import linen as nn
from jax_files import (
    ATOMS,
    CleanRL,
    CleanRLImpala,
    Params,
    cleanrl_c51_file,
    cleanrl_dqn_file,
    cleanrl_ppo_file,
    parameters,
)
from torch_zoo_files import save_cleanrl

from atari_zoo.catalog.catalog import find
from atari_zoo.converters import ConversionError, ImpalaNetwork, MnihNetwork, to_torch
from atari_zoo.converters.cards import PREPROCESSINGS
from atari_zoo.converters.formats import flax_messages as messages
from atari_zoo.converters.formats.flax_files import read_flax
from atari_zoo.converters.registry import FORMATS, Probe

# no two of these sizes are equal: what is swapped or transposed shows
SIZES: dict[str, Any] = {"widths": (8, 12, 10), "units": 24}
TINY: dict[str, Any] = {"widths": (4, 4, 4), "units": 8}
SCREENS = (1, 4, 84, 84)


def dqn(kind: type[nn.Module] = CleanRL, **sizes: Any) -> tuple[bytes, np.ndarray]:
    module = kind(**sizes)
    params = parameters(module, SCREENS)
    return cleanrl_dqn_file(params), np.array(module.apply(params, seen()))


def frozen() -> tuple[bytes, np.ndarray]:
    """As flax before 2023 had parameters."""
    module = CleanRL(**SIZES)
    params = parameters(module, SCREENS)
    return cleanrl_dqn_file(flax.core.freeze(params)), np.array(module.apply(params, seen()))


def c51(atoms: int = ATOMS, low: float = -10, high: float = 10) -> tuple[bytes, np.ndarray]:
    module = CleanRL(**SIZES, atoms=atoms)
    params = parameters(module, SCREENS)
    support = np.linspace(low, high, num=atoms)  # as c51_atari_jax.py has it
    written = cleanrl_c51_file(params, n_atoms=atoms, v_min=low, v_max=high)
    return written, np.array((module.apply(params, seen()) * support).sum(-1))


def ppo(kind: type[nn.Module] = CleanRL, **more: Any) -> tuple[bytes, np.ndarray]:
    network, actor, critic = kind(**SIZES, actions=0), nn.Dense(6), nn.Dense(1)
    params = [
        parameters(network, SCREENS),
        parameters(OneDense(6), (1, 24), 1),
        parameters(OneDense(1), (1, 24), 2),
    ]
    features = network.apply(params[0], seen())
    logits, values = (
        head.apply({"params": of["params"]["Dense_0"]}, features)
        for head, of in zip((actor, critic), params[1:], strict=True)
    )
    return cleanrl_ppo_file(*params, **more), np.array(jnp.concatenate([logits, values], axis=1))


class OneDense(nn.Module):
    """The Actor and the Critic of ppo_atari_envpool_xla_jax.py."""

    outputs: int

    @nn.compact
    def __call__(self, x: Any) -> Any:
        return nn.Dense(self.outputs)(x)


def seen() -> Any:
    return jnp.asarray(observations().numpy())


Written = Callable[[], tuple[bytes, np.ndarray]]
# name -> the file and flax's outputs, the card, the head
CASES: dict[str, tuple[Written, dict[str, Any], str]] = {
    "dqn": (dqn, {"algorithm": "dqn"}, "q"),
    "dqn of other sizes": (lambda: dqn(**SIZES, actions=18), {"algorithm": "dqn"}, "q"),
    "dqn frozen": (frozen, {"algorithm": "dqn"}, "q"),
    "c51": (
        c51,
        {"algorithm": "c51", "game": "Breakout", "run": "1", "frames": 40_000_000},
        "categorical",
    ),
    "c51 other support": (
        lambda: c51(21, -1.5, 4.0),
        {"algorithm": "c51", "game": "Breakout", "run": "1", "frames": 40_000_000},
        "categorical",
    ),
    "ppo": (
        ppo,
        {
            "algorithm": "ppo",
            "game": "Breakout",
            "run": "1",
            "frames": 40_000_000,
            "action_rule": "sample",
        },
        "actor-critic",
    ),
}

CLEANBA = "cleanba_impala_envpool_impala_atari_wrapper"
RESIDUAL: dict[str, tuple[Written, dict[str, Any], str]] = {
    "dqn, ResNet": (lambda: dqn(CleanRLImpala, **SIZES), {"algorithm": "dqn"}, "q"),
    "dqn, ResNet of three blocks": (
        lambda: dqn(CleanRLImpala, residuals=3, widths=(4, 5), units=8),
        {"algorithm": "dqn"},
        "q",
    ),
    "cleanba": (
        lambda: ppo(CleanRLImpala, exp_name=CLEANBA),
        CASES["ppo"][1] | {"algorithm": "impala"},
        "actor-critic",
    ),
}
CASES |= RESIDUAL

READ_WITHOUT_FLAX = """
import sys
for name in ("jax", "jaxlib", "flax", "tensorflow"):
    sys.modules[name] = None
import numpy as np, torch
from pathlib import Path
from atari_zoo.converters.formats.flax_files import read_flax
torch.set_num_threads(1)
seen = torch.from_numpy(np.load("seen.npy"))
found = {}
for path in sorted(Path().glob("*.cleanrl_model")):
    model, values = read_flax(path).model, []
    if "value" in model.layers:
        model.layers["value"].register_forward_hook(lambda _m, _i, out: values.append(out))
    with torch.no_grad():
        found[path.stem] = torch.cat([model(seen), *values], dim=1).numpy()
np.savez("found.npz", **found)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every case's file, flax's outputs, and ours from a process that cannot import flax."""
    folder = tmp_path_factory.mktemp("cleanrl")
    np.save(folder / "seen.npy", observations().numpy())
    for name, (make, _, _) in CASES.items():
        written, outputs = make()
        (folder / f"{name}.cleanrl_model").write_bytes(written)
        np.save(folder / f"{name}.npy", outputs)
    subprocess.run([sys.executable, "-c", READ_WITHOUT_FLAX], cwd=folder, check=True)
    return folder


@pytest.mark.parametrize("name", CASES)
def test_outputs_are_flaxs_own(folder: Path, name: str) -> None:
    expected = np.load(folder / f"{name}.npy")
    assert expected.std() > 0.01  # else nothing is told
    # float32 sums of up to 3136 terms in another order
    found = np.load(folder / "found.npz")[name]
    np.testing.assert_allclose(found, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", CASES)
def test_what_a_file_tells(folder: Path, name: str) -> None:
    _, card, kind = CASES[name]
    path = folder / f"{name}.cleanrl_model"
    assert FORMATS["flax"].sniff(Probe(path, path.read_bytes()[:512]))
    source = read_flax(path)
    expected = ImpalaNetwork if name in RESIDUAL else MnihNetwork
    assert isinstance(source.model, expected) and source.model.head.kind == kind
    assert not source.assumptions
    seen = PREPROCESSINGS["envpool" if kind == "actor-critic" else "cleanrl"]
    assert source.card == {"action_rule": "argmax", "preprocessing": seen} | card
    assert source.flatten == "H, W, C" and "CleanRL" in source.written_by
    assert len(source.notes) == (kind == "categorical")


def test_as_many_frames_are_stacked_as_it_sees(tmp_path: Path) -> None:
    params = parameters(CleanRL(**TINY), (1, 2, 84, 84))
    (tmp_path / "agent.cleanrl_model").write_bytes(cleanrl_dqn_file(params))
    source = read_flax(tmp_path / "agent.cleanrl_model")
    assert source.model.shape == (2, 84, 84) and source.card["preprocessing"].stack == 2


@pytest.mark.parametrize("algorithm", ["dqn", "c51"])
def test_an_agent_sees_the_same_from_torch_from_jax_and_by_its_name(
    tmp_path: Path, algorithm: str
) -> None:
    """The scripts have one `make_env`; folders are named as on the Hub."""
    cards = [find(f"cleanrl:{algorithm}/Breakout/{run}").card for run in ("1", "jax-1")]
    torch_file = tmp_path / f"BreakoutNoFrameskip-v4-{algorithm}_atari-seed1" / "a.cleanrl_model"
    jax_file = tmp_path / f"BreakoutNoFrameskip-v4-{algorithm}_atari_jax-seed1" / "a.cleanrl_model"
    for file in (torch_file, jax_file):
        file.parent.mkdir()
    save_cleanrl(torch_file, algorithm, **TINY)
    written = cleanrl_dqn_file if algorithm == "dqn" else cleanrl_c51_file
    atoms = {"atoms": ATOMS} if algorithm == "c51" else {}
    jax_file.write_bytes(written(parameters(CleanRL(**TINY, **atoms), SCREENS)))
    cards += [to_torch(file).card for file in (torch_file, jax_file)]
    assert {(card.algorithm, card.game) for card in cards} == {(algorithm, "Breakout")}
    assert {card.preprocessing for card in cards} == {PREPROCESSINGS["cleanrl"]}


def test_who_was_trained_with_envpool_sees_its_screens(tmp_path: Path) -> None:
    named = find("cleanrl:ppo/Breakout/1").card
    folder = tmp_path / "Breakout-v5__ppo_atari_envpool__1__1680000000"
    folder.mkdir()
    of_torch = to_torch(save_cleanrl(folder / "a.cleanrl_model", "ppo", **TINY)).card
    assert {named.preprocessing, of_torch.preprocessing} == {PREPROCESSINGS["envpool"]}


@pytest.fixture(scope="module")
def tiny() -> Callable[..., Params]:
    """Makes parameters of a small network."""
    return lambda **sizes: parameters(CleanRL(**TINY | sizes), SCREENS)


def test_a_file_reaches_its_reader(tmp_path: Path, tiny: Callable[..., Params]) -> None:
    path = tmp_path / "agent.cleanrl_model"
    path.write_bytes(cleanrl_c51_file(tiny(atoms=ATOMS)))
    found = to_torch(path)
    assert isinstance(found, MnihNetwork) and found.card.format == "flax"
    assert found.card.name == "c51/Breakout/1"


def test_a_whole_train_state_is_read(tmp_path: Path, tiny: Callable[..., Params]) -> None:
    """What `to_bytes(state)` writes of a flax.training TrainState."""
    import optax
    from flax.training.train_state import TrainState

    module, params = CleanRL(**TINY), tiny()
    state = TrainState.create(apply_fn=module.apply, params=params, tx=optax.adam(1e-3))
    (tmp_path / "state").write_bytes(flax.serialization.to_bytes(state))
    (tmp_path / "alone").write_bytes(cleanrl_dqn_file(params))
    found, alone = (read_flax(tmp_path / name).model for name in ("state", "alone"))
    for a, b in zip(found.parameters(), alone.parameters(), strict=True):
        assert a.equal(b)


def to_bytes(tree: Any) -> bytes:
    return flax.serialization.to_bytes(tree)


def changed(params: Params, **layers: Any) -> bytes:
    """Parameters with some layers replaced or added."""
    return to_bytes({"params": params["params"] | layers})


def extension(code: int, content: Any) -> bytes:
    return msgpack.packb({"params": {"Conv_0": msgpack.ExtType(code, msgpack.packb(content))}})


def c51_with(**args: Any) -> Callable[[Callable[..., Params]], bytes]:
    return lambda make: cleanrl_c51_file(make(atoms=ATOMS), **args)


def layer(*shape: int) -> Params:
    return {"kernel": np.zeros(shape, np.float32), "bias": np.zeros(shape[-1], np.float32)}


def resnet(**changes: Any) -> Params:
    """A residual network's parameters, those of the first part changed, or (None) left out."""
    params = parameters(CleanRLImpala(widths=(4, 4), units=8), SCREENS)["params"]
    first = params["ConvSequence_0"] | changes
    return params | {"ConvSequence_0": {k: v for k, v in first.items() if v is not None}}


REFUSED: dict[str, tuple[Callable[[Callable[..., Params]], bytes], str]] = {
    "no dense layers": (
        lambda make: to_bytes({"ConvSequence_0": {"Conv_0": make()["params"]["Conv_0"]}}),
        "residual network.*'ConvSequence_0'",
    ),
    "a part of nothing": (lambda make: to_bytes(resnet(Conv_0=None)), "a convolution and residual"),
    "a block of one": (
        lambda make: to_bytes(resnet(ResidualBlock_1={"Conv_0": {}})),
        "'ConvSequence_0/ResidualBlock_1': two convolutions were expected",
    ),
    "widths that differ": (
        lambda make: to_bytes(resnet(Conv_0=layer(3, 3, 4, 9))),
        r"do not follow each other: 'ConvSequence_0/Conv_0' \(9, 4, 3, 3\)",
    ),
    "kernels of 5": (lambda make: to_bytes(resnet(Conv_0=layer(5, 5, 4, 4))), "3x3 were expected"),
    "c51 without settings": (
        lambda make: to_bytes(make(atoms=ATOMS)),
        "306 outputs are no Q-values",
    ),
    "no range": (c51_with(v_min=None), "setting 'v_min' is missing"),
    "endless range": (c51_with(v_max=float("inf")), "setting 'v_max'"),
    "no number": (c51_with(v_max=float("nan")), "setting 'v_max'"),
    "range turned round": (c51_with(v_min=3, v_max=2), "from 3 to 2"),
    "other atoms": (c51_with(n_atoms=50), "not a multiple of 50 atoms"),
    "half an atom": (c51_with(n_atoms=50.5), "50.5 atoms"),
    "a million atoms": (c51_with(n_atoms=10**9), "setting 'n_atoms'"),
    "three dense": (
        lambda make: changed(make(), Dense_2=make()["params"]["Dense_1"]),
        r"two dense layers.*'Dense_2' \(8, 6\)",
    ),
    "ppo of another actor": (
        lambda make: cleanrl_ppo_file(make(actions=0), make(), make()),
        "one dense layer was expected; it has 'Conv_0'",
    ),
    "ppo with a head in its trunk": (
        lambda make: cleanrl_ppo_file(
            make(), parameters(OneDense(6), (1, 8)), parameters(OneDense(1), (1, 8))
        ),
        "one dense layer in the trunk",
    ),
    "ppo whose actor reads more": (
        lambda make: cleanrl_ppo_file(
            make(actions=0), parameters(OneDense(6), (1, 9)), parameters(OneDense(1), (1, 9))
        ),
        "reads 9 features",
    ),
    "ppo without a critic": (
        lambda make: cleanrl_ppo_file(
            make(actions=0), parameters(OneDense(6), (1, 8)), parameters(OneDense(3), (1, 8))
        ),
        r"'Dense_0' has weights \(3, 8\)",
    ),
    "bfloat16": (
        lambda make: to_bytes(flax.core.copy(_as_bfloat16(make()))),
        "arrays of type 'bfloat16' are refused",
    ),
    "list": (lambda make: msgpack.packb(["params", "kernel"]), "not list"),
    "nothing": (lambda make: b"\x81\xa6params\x80", "no parameters by layer"),
    "cut": (lambda make: to_bytes(make())[:-100], "cut short or damaged"),
    "more": (lambda make: to_bytes(make()) + b"\0", "cut short or damaged"),
    "shape beyond the bytes": (
        lambda make: extension(1, ([1 << 30, 1 << 30], "float32", b"1234")),
        "with 4 bytes",
    ),
    "shape below nothing": (lambda make: extension(1, ([-1], "float32", b"1234")), "damaged shape"),
    "objects": (lambda make: extension(1, ([1], "object", b"12345678")), "type 'object'"),
    "records": (lambda make: extension(1, ([1], "f4,f4", b"12345678")), "type 'f4,f4'"),
    "array in an array": (
        lambda make: extension(1, ([1], "float32", msgpack.ExtType(1, b"abcd"))),
        "without its bytes",
    ),
    "another library's type": (lambda make: extension(7, 1), "extension 7 is none of flax's"),
    "a list in each list": (lambda make: b"\x81\xa6params" + b"\x91" * 100_000, "damaged"),
    "a list of 5000": (lambda make: msgpack.packb({"params": 5000 * [0]}), "damaged"),
    "a dict of 5000": (
        lambda make: msgpack.packb({"params": {str(i): 0 for i in range(5000)}}),
        "damaged",
    ),
    "a long list": (lambda make: b"\x81\xa6params\xdd\x7f\xff\xff\xff", "damaged"),
    "many lists": (lambda make: b"\x81\xa6params" + 6 * (b"\xdc\x10\0" + b"\x90" * 4095), "many"),
    "numbers as keys": (lambda make: msgpack.packb({"params": {1: 2}}), "damaged"),
}


def _as_bfloat16(params: Params) -> Params:
    layers = params["params"]
    kernel = layers["Dense_1"]["kernel"].astype(jnp.bfloat16)
    return {"params": layers | {"Dense_1": layers["Dense_1"] | {"kernel": kernel}}}


@pytest.mark.parametrize("name", REFUSED)
def test_other_files_are_refused(tmp_path: Path, tiny: Callable[..., Params], name: str) -> None:
    make, message = REFUSED[name]
    path = tmp_path / "agent.cleanrl_model"
    path.write_bytes(make(tiny))
    with pytest.raises(ConversionError, match=message) as caught:
        read_flax(path)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 600


def test_what_flax_writes_is_what_is_read() -> None:
    """Arrays of every type, scalars and settings, as flax's own reader gives them."""
    tree = {name: np.arange(6).reshape(2, 3).astype(name) for name in messages.TYPES} | {
        "scalar": np.float32(2.5),
        "zero": np.zeros((3, 0)),
        "complex": 1 + 2j,
        "settings": {"a": 1, "b": None, "c": "text", "d": [1.5, True], "e": b"bytes"},
    }
    written = to_bytes(tree)
    expected = flax.serialization.msgpack_restore(written)
    found = messages.flax_message(written)
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_equal(found[name], value)
        assert getattr(found[name], "dtype", None) == getattr(value, "dtype", None)


@pytest.mark.parametrize(
    "content",
    [b"\x80\x04\x95 params kernel", b"PK params kernel", b"\x81\xa6params", b"\x93params kernel"],
    ids=["pickle", "zip", "no weights", "list"],
)
def test_told_from_other_files(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    assert not FORMATS["flax"].sniff(Probe(path, content))
