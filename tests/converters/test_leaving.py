"""Networks on their way out: loaded by Stable-Baselines3 itself, and read back bit for bit."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from architectures import HEADS, layer_values, network, observations
from safetensors.torch import load_file, save_file
from torch import nn
from torch_zoo_files import sb3_model

from atari_zoo.converters import ConversionError, MnihNetwork, ModelCard, to_torch
from atari_zoo.converters.cards import PREPROCESSINGS
from atari_zoo.converters.convert import read
from atari_zoo.converters.export.weights import (
    save_npz,
    save_safetensors,
    to_numpy,
    to_sb3_state_dict,
)
from atari_zoo.converters.network.heads import QuantileHead
from atari_zoo.converters.network.networks import Trunk, mnih_convolutions

SAVES: dict[str, Callable[[MnihNetwork, Path], None]] = {
    ".safetensors": save_safetensors,
    ".npz": save_npz,
}
CARD = ModelCard(
    "ppo",
    "Seaquest",
    "3",
    "best",
    action_meanings=("NOOP", "FIRE", "UP"),
    action_rule="sample",
    preprocessing=PREPROCESSINGS["deepmind"],
    source="somewhere.zip",
    frames=1000,
    scores={"mean": 20.5},
)


@pytest.mark.parametrize("suffix", SAVES)
@pytest.mark.parametrize("same", [False, True], ids=["valid", "same"])
@pytest.mark.parametrize("head", HEADS)
def test_every_head_comes_back_bit_for_bit(
    tmp_path: Path, head: str, same: bool, suffix: str
) -> None:
    made = network(head, actions=5, same=same)
    made.card = made.card.replace(game="Qbert", frames=7)
    SAVES[suffix](made, tmp_path / f"agent{suffix}")
    source = read(tmp_path / f"agent{suffix}")
    found = source.model
    assert isinstance(found, MnihNetwork) and type(found.head) is type(made.head)
    there, back = made.state_dict(), found.state_dict()
    assert list(there) == list(back)
    for name, tensor in there.items():
        assert torch.equal(tensor, back[name]), name
    assert found.actions == made.actions
    through_onnx = to_torch(tmp_path / f"agent{suffix}")
    seen = observations()
    torch.testing.assert_close(through_onnx(seen), made(seen), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("suffix", SAVES)
def test_the_card_comes_back(tmp_path: Path, suffix: str) -> None:
    made = network("actor-critic", actions=3)
    made.card = CARD
    SAVES[suffix](made, tmp_path / f"agent{suffix}")
    card = to_torch(tmp_path / f"agent{suffix}").card
    assert card.replace(sha256="", format="") == CARD
    assert card.format == {".npz": "numpy"}.get(suffix, "safetensors")


def sb3_network(kind: str, units: int, widths: tuple[int, ...]) -> MnihNetwork:
    """A network of the sizes that SB3 has, with biases that show."""
    made = network(kind, actions=6)
    made.trunk = Trunk(mnih_convolutions(widths), units)
    made.head = type(made.head)(units, 6, *([30] if isinstance(made.head, QuantileHead) else []))
    for name, parameter in made.named_parameters():
        if name.endswith("bias"):
            nn.init.uniform_(parameter, -0.5, 0.5)
    return made.eval()


@pytest.mark.parametrize("widths", [(32, 64, 64), (32, 64, 32), (16, 8, 5)], ids=str)
@pytest.mark.parametrize("units", [512, 96])
@pytest.mark.parametrize(
    ("kind", "algorithm"),
    [("actor-critic", "A2C"), ("actor-critic", "PPO"), ("q", "DQN"), ("quantile", "QRDQN")],
)
def test_stable_baselines3_loads_it_strictly_and_agrees(
    kind: str, algorithm: str, units: int, widths: tuple[int, ...]
) -> None:
    made, seen = sb3_network(kind, units, widths), observations()
    settings: dict[str, Any] = {"n_quantiles": 30} if kind == "quantile" else {}
    policy = sb3_model(algorithm, units=units, **settings).policy
    policy.load_state_dict(to_sb3_state_dict(made), strict=True)
    with torch.no_grad():
        values = layer_values(made, seen)
        if kind == "actor-critic":
            logits = policy.get_distribution(seen).distribution.logits
            pairs = [
                (values["output"].log_softmax(1), logits),
                (values["value"], policy.predict_values(seen)),
            ]
        elif kind == "q":
            pairs = [(values["output"], net(seen)) for net in (policy.q_net, policy.q_net_target)]
        else:
            quantiles = values["quantiles"].transpose(1, 2)
            nets = (policy.quantile_net, policy.quantile_net_target)
            pairs = [(quantiles, net(seen)) for net in nets]
    for found, expected in pairs:
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("kind", ["actor-critic", "q", "quantile"])
def test_what_sb3_saves_of_it_comes_back_bit_for_bit(tmp_path: Path, kind: str) -> None:
    made = sb3_network(kind, 512, (32, 64, 64))
    algorithm = {"actor-critic": "PPO", "q": "DQN", "quantile": "QRDQN"}[kind]
    model = sb3_model(algorithm, **({"n_quantiles": 30} if kind == "quantile" else {}))
    model.policy.load_state_dict(to_sb3_state_dict(made))
    model.save(tmp_path / "agent.zip")
    found = read(tmp_path / "agent.zip").model
    assert isinstance(found, MnihNetwork)
    for name, tensor in made.state_dict().items():
        assert torch.equal(tensor, found.state_dict()[name]), name


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (network("q", same=True), "SAME.*11x11 places"),
        (network("dueling"), "no dueling network"),
        (network("policy"), "no policy network"),
        (network("categorical"), "no categorical network"),
        (network("implicit quantile"), "and a dense layer; this network has .* and none"),
        (
            MnihNetwork(Trunk(mnih_convolutions((64, 64, 64)), 8), network("q").head),
            r"has \(64, 64, 64\)",
        ),
    ],
    ids=["same", "dueling", "policy", "categorical", "no dense layer", "wide"],
)
def test_what_sb3_does_not_have_is_refused(made: MnihNetwork, message: str) -> None:
    with pytest.raises(ConversionError, match=message):
        to_sb3_state_dict(made)


def test_arrays_are_copies_that_numpy_reads(tmp_path: Path) -> None:
    made = network("categorical")
    arrays = to_numpy(made)
    save_npz(made, tmp_path / "agent.npz")
    with np.load(tmp_path / "agent.npz", allow_pickle=False) as saved:
        for name, array in arrays.items():
            np.testing.assert_array_equal(saved[name], array)
    before = made(observations())
    arrays["trunk.conv1.conv.weight"][:] = 0
    assert torch.equal(made(observations()), before)


def test_archives_that_others_write(tmp_path: Path) -> None:
    """Compressed, in Fortran's order, in float64 and big-endian, without a card."""
    made, seen = network("actor-critic"), observations()
    weights = {
        name: np.asfortranarray(array.astype(">f8")) for name, array in to_numpy(made).items()
    }
    np.savez_compressed(tmp_path / "agent.npz", **weights)
    torch.testing.assert_close(to_torch(tmp_path / "agent.npz")(seen), made(seen))


def test_quantiles_that_nothing_tells_are_assumed_and_noted(tmp_path: Path) -> None:
    made = network("quantile")
    made.head = QuantileHead(128, 4)
    save_file(made.state_dict(), tmp_path / "agent.safetensors")
    source = read(tmp_path / "agent.safetensors")
    assert isinstance(source.model, MnihNetwork) and source.model.actions == 4
    assert source.assumptions == ["200 quantiles an action: the file does not tell (--game would)"]


def npz(path: Path, name: str, content: bytes) -> Path:
    """A whole archive, one of its members replaced."""
    file = io.BytesIO()
    save_npz(network("q"), path)
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as new:
        for member in old.namelist():
            new.writestr(member, content if member == name else old.read(member))
    path.write_bytes(file.getvalue())
    return path


def npy(header: str, data: bytes = b"") -> bytes:
    text = header.encode().ljust(118) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + data


def objects() -> bytes:
    file = io.BytesIO()
    np.save(file, np.array([{}]), allow_pickle=True)
    return file.getvalue()


ARRAY = "head.output.weight.npy"
DAMAGED: dict[str, tuple[str, bytes, str]] = {
    "objects": (ARRAY, objects(), "holds object: numbers"),
    "text": (ARRAY, b"hello", "no NumPy array"),
    "empty": (ARRAY, b"", "no NumPy array"),
    "large": (
        ARRAY,
        npy("{'descr': '<f4', 'fortran_order': False, 'shape': (1099511627776,)}"),
        "not what its bytes hold",
    ),
    "negative": (
        ARRAY,
        npy("{'descr': '<f4', 'fortran_order': False, 'shape': (-1, -1)}", bytes(4)),
        "not what its bytes hold",
    ),
    "code": (ARRAY, npy("{'descr': __import__('os').system('touch ran')}"), "no NumPy array"),
    "deep": (ARRAY, npy("(" * 117), "no NumPy array"),
    "card": (
        "atari_zoo.card.npy",
        npy("{'descr': '<U1', 'fortran_order': False, 'shape': ()}", "{".encode("utf-32-le")),
        "its card cannot be read",
    ),
    "no characters": (
        "atari_zoo.card.npy",
        npy("{'descr': '<U1', 'fortran_order': False, 'shape': ()}", b"\xff\xff\xff\xff"),
        "no text",
    ),
    "bomb": (ARRAY, bytes((1 << 28) + 1), "bytes; at most"),
}


@pytest.mark.parametrize("case", DAMAGED)
def test_damaged_archives_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    monkeypatch.chdir(tmp_path)
    member, content, message = DAMAGED[case]
    with pytest.raises(ConversionError, match=message) as caught:
        to_torch(npz(tmp_path / "agent.npz", member, content))
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "card",
    ['{"frames": "many"}', "[]", "{", "[" * 100_000, '{"preprocessing": 3}', '{"scores": []}'],
    ids=lambda card: card[:20],
)
def test_damaged_cards_are_refused(tmp_path: Path, card: str) -> None:
    path = tmp_path / "agent.safetensors"
    save_safetensors(network("q"), path)
    save_file(load_file(path), path, {"atari_zoo.card": card})
    with pytest.raises(ConversionError, match="card cannot be read"):
        to_torch(path)


@pytest.mark.parametrize("save", SAVES.values())
def test_nothing_is_left_where_it_cannot_be_written(
    tmp_path: Path, save: Callable[[MnihNetwork, Path], None]
) -> None:
    with pytest.raises(OSError, match="missing"):
        save(network("q"), tmp_path / "missing" / "agent")
    assert list(tmp_path.iterdir()) == []
