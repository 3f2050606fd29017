"""Modules saved whole, and torch's format before zip: written by torch, read without running."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch
import torch_zoo_files
from architectures import layer_values, network, observations
from residual_networks import TorchBeast
from residual_networks import lively as lively_residual
from torch import Tensor, nn
from torch_zoo_files import acktr_model, lively, nature, save_acktr

from atari_zoo.converters import ConversionError, ImpalaNetwork, MnihNetwork, to_torch
from atari_zoo.converters.formats.torch_files import opened_torch, torch_file, weights_in

SMALL: dict[str, Any] = {"widths": (4, 4, 4), "units": 8}
FORMATS = pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])


def save(content: Any, path: Path, legacy: bool) -> Path:
    torch.save(content, path, _use_new_zipfile_serialization=not legacy)
    return path


@FORMATS
@pytest.mark.parametrize("statistics", [False, True])
def test_an_actor_critic_saved_whole(tmp_path: Path, legacy: bool, statistics: bool) -> None:
    """[actor_critic, ob_rms] of pytorch-a2c-ppo-acktr-gail, whose classes are nowhere."""
    path = save_acktr(tmp_path / "Pong.pt", legacy, statistics)
    model, seen = acktr_model(), observations()
    assert "a2c_ppo_acktr" not in sys.modules
    found = to_torch(path)
    assert isinstance(found, MnihNetwork)
    with torch.no_grad():
        values = layer_values(found, seen)
        value = model.base.critic_linear(model.base.main(seen / 255.0))
        torch.testing.assert_close(values["output"], model(seen), atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(values["value"], value, atol=1e-5, rtol=1e-5)


@FORMATS
@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_every_type_and_view_of_a_tensor(tmp_path: Path, legacy: bool, protocol: int) -> None:
    """Bit for bit what was saved: shared storages, views, every type that weights have."""
    table = torch.arange(24.0).reshape(4, 6)
    content = OrderedDict(
        weight=torch.randn(2, 3, 4, 4),
        transposed=table.T,
        column=table[:, 2],
        rest=table[1:],
        parameter=nn.Parameter(table.clone()),
        empty=torch.zeros(0, 3),
        scalar=torch.tensor(3.5),
        **{
            str(dtype).removeprefix("torch."): torch.arange(5).to(dtype)
            for dtype in (
                *(torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.int32),
                *(torch.int16, torch.int8, torch.uint8, torch.bool),
            )
        },
    )
    path = tmp_path / "a.pt"
    torch.save(content, path, _use_new_zipfile_serialization=not legacy, pickle_protocol=protocol)
    with opened_torch(path) as file:
        found = weights_in(file)
    assert list(found) == list(content)
    for name, tensor in content.items():
        assert found[name].dtype == tensor.dtype and torch.equal(found[name], tensor), name


def test_a_state_dict_of_the_old_format(tmp_path: Path) -> None:
    seen, model = observations(), network("categorical dueling")
    path = save({"model": model.state_dict(), "epoch": 3}, tmp_path / "a.pt", legacy=True)
    torch.testing.assert_close(to_torch(path)(seen), model(seen), atol=1e-5, rtol=1e-5)


@FORMATS
def test_every_module_gives_its_own_state_dict(tmp_path: Path, legacy: bool) -> None:
    """Nested, shared and missing children, buffers that are not kept, parameters of None."""
    model = nn.Module()
    model.inner = nn.Sequential(nn.Conv2d(4, 3, 8, 4, bias=False), nn.ReLU())
    model.again = model.inner
    model.none = None
    model.deep = nn.ModuleDict({"a": nn.ModuleList([nn.Linear(3, 2)])})
    model.register_buffer("kept", torch.ones(3))
    model.register_buffer("dropped", torch.ones(3), persistent=False)
    path = save({"agent": model}, tmp_path / "a.pt", legacy)
    with path.open("rb") as file:
        found = weights_in(torch_file(file))
    expected = model.state_dict()
    assert set(found) == set(expected)
    assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())


def padded(*layers: nn.Module, units: int = 8) -> nn.Module:
    """A policy with these layers before its dense ones."""
    features = nn.Sequential(*layers, nn.Flatten())
    size = features(torch.zeros(1, 4, 84, 84)).shape[1]
    return lively(nn.Sequential(features, nn.Linear(size, units), nn.ReLU(), nn.Linear(units, 6)))


def conv(inputs: int, kernel: int, stride: int, padding: Any = 0, **more: Any) -> nn.Module:
    return nn.Conv2d(inputs, 4, kernel, stride, padding, **more)


RELU = nn.ReLU()
SAME = [
    *(nn.ZeroPad2d(2), conv(4, 8, 4), RELU),
    *(nn.ZeroPad2d((1, 2, 1, 2)), conv(4, 4, 2), RELU),
    *(nn.ZeroPad2d(1), conv(4, 3, 1), RELU),
]
HALF = [
    *(conv(4, 8, 4, 2), RELU, nn.ZeroPad2d((1, 2, 1, 2)), conv(4, 4, 2), RELU),
    *(conv(4, 3, 1, 1), RELU),
]


@FORMATS
@pytest.mark.parametrize("layers", [SAME, HALF], ids=["all padded apart", "one padded apart"])
def test_tensorflows_paddings_are_known(
    tmp_path: Path, legacy: bool, layers: list[nn.Module]
) -> None:
    model, seen = padded(*layers), observations()
    found = to_torch(save(model, tmp_path / "a.pt", legacy))
    with torch.no_grad():
        torch.testing.assert_close(found(seen), model(seen / 255.0), atol=1e-5, rtol=1e-5)


@FORMATS
def test_a_residual_network_saved_whole(tmp_path: Path, legacy: bool) -> None:
    model = lively_residual(TorchBeast(beside=0))
    found = to_torch(save(model, tmp_path / "a.pt", legacy))
    assert isinstance(found, ImpalaNetwork)
    seen = observations()
    with torch.no_grad():
        torch.testing.assert_close(found(seen), model(seen)[0], atol=1e-4, rtol=1e-5)


@pytest.mark.parametrize(
    "pool", [nn.MaxPool2d(2, 2, 1), nn.MaxPool2d(3, 2), nn.MaxPool2d(3, 2, 1, ceil_mode=True)]
)
def test_a_residual_networks_other_pools_are_refused(tmp_path: Path, pool: nn.Module) -> None:
    """Their maps may be of the same size."""
    model = TorchBeast(beside=0)
    model.feat_convs[1][1] = pool
    with pytest.raises(ConversionError, match=r"pools of .*; IMPALA's ResNet has"):
        to_torch(save(model, tmp_path / "a.pt", False))


# all but the first have the shapes of a network that would be read
OTHERS: dict[str, tuple[list[nn.Module], str]] = {
    "tanh": (
        [conv(4, 8, 4), nn.Tanh(), conv(4, 4, 2), RELU, conv(4, 3, 1), RELU],
        "'0.1' is a 'activation.Tanh'",
    ),
    "norm": (
        [conv(4, 8, 4), nn.BatchNorm2d(4), conv(4, 4, 2), RELU, conv(4, 3, 1), RELU],
        "'0.1' is a 'batchnorm.BatchNorm2d'",
    ),
    "pads 1": (
        [conv(4, 8, 4, 1), RELU, conv(4, 4, 2), RELU, conv(4, 3, 1), RELU],
        r"convolutions that pad by \[\(1, 1\)",
    ),
    "pads 2, 2, 1": (
        [conv(4, 8, 4, 2), RELU, conv(4, 4, 2, 2), RELU, conv(4, 3, 1, 1), RELU],
        "convolutions that pad",
    ),
    "stride": (
        [conv(4, 8, 3), RELU, conv(4, 4, 2), RELU, conv(4, 3, 1), RELU],
        r"\(8, 8\) pixels with stride \(3, 3\)",
    ),
    "pool": (
        [conv(4, 8, 4), RELU, conv(4, 4, 2), RELU, nn.MaxPool2d(3, 1, 1), conv(4, 3, 1), RELU],
        "pools in a network that is not IMPALA's ResNet",
    ),
    "dilation": (
        [conv(4, 8, 4), RELU, conv(4, 4, 2), RELU, conv(4, 3, 1, dilation=2), RELU],
        "dilation",
    ),
}


@FORMATS
@pytest.mark.parametrize("case", OTHERS)
def test_layers_that_shapes_do_not_show_are_refused(
    tmp_path: Path, legacy: bool, case: str
) -> None:
    layers, message = OTHERS[case]
    with pytest.raises(ConversionError, match=message):
        to_torch(save(padded(*layers), tmp_path / "a.pt", legacy))


class RunsCode:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("touch ran",)


class Getter:
    def __reduce__(self) -> tuple[object, tuple[str, str]]:
        return getattr, ("text", "upper")


class LoadsHub:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return torch.hub.load, ("somebody/something",)


@FORMATS
@pytest.mark.parametrize(
    ("hostile", "name"),
    [(RunsCode, "system"), (Getter, "getattr"), (LoadsHub, "torch.hub.load")],
)
def test_no_code_is_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, legacy: bool, hostile: type, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    model = nn.Sequential(*nature((4, 4, 4), 8), nn.Linear(8, 6))
    model.hook = hostile()
    with pytest.raises(ConversionError, match=f"would run code when read.*{name}"):
        to_torch(save(model, tmp_path / "a.pt", legacy))
    assert not (tmp_path / "ran").exists()


def raw(path: Path, content: Any, storages: bytes = b"", keys: Any = ()) -> Path:
    """A file of the old format with any content."""
    system = {"protocol_version": 1001, "little_endian": True, "type_sizes": {}}
    parts = (0x1950A86A20F9469CFC6C, 1001, system, content, list(keys))
    path.write_bytes(b"".join(pickle.dumps(part, 2) for part in parts) + storages)
    return path


class Tensors:
    """Pickles as a tensor would, with any shape, of a storage of 10 numbers."""

    def __init__(self, *arguments: Any) -> None:
        self.arguments = arguments

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return torch._utils._rebuild_tensor_v2, self.arguments


def lying(path: Path, *view: Any) -> Path:
    """A zip of torch whose one tensor lies about its storage."""
    import zipfile

    save({"weight": torch.zeros(10)}, path, legacy=False)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    (place,) = (name for name in members if name.endswith("/data.pkl"))

    class Pickler(pickle.Pickler):
        def persistent_id(self, value: Any) -> Any:
            return value.storage if isinstance(value, Stored) else None

    class Stored:
        storage = ("storage", torch.FloatStorage, "0", "cpu", 10)

    import io

    file = io.BytesIO()
    Pickler(file, 2).dump({"weight": Tensors(Stored(), *view, False, OrderedDict())})
    members[place] = file.getvalue()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


@pytest.mark.parametrize(
    "view",
    [
        (0, (1 << 20, 1 << 20), (0, 0)),
        (0, (11,), (1,)),
        (5, (6,), (1,)),
        (0, (2, 5), (6, 1)),
        (-1, (2,), (1,)),
        (0, (2,), (-1,)),
        (0, (2, 2), (1,)),
        (0, (1 << 62,), (1,)),
        (0, (1.5,), (1,)),
        (0, "shape", (1,)),
        (0, (1,) * 40, (1,) * 40),
    ],
    ids=str,
)
def test_tensors_that_lie_about_their_storage_are_refused(tmp_path: Path, view: Any) -> None:
    with pytest.raises(ConversionError, match="a tensor"):
        to_torch(lying(tmp_path / "a.pt", *view))


def test_damaged_files_of_the_old_format(tmp_path: Path) -> None:
    path = save(acktr_model(**SMALL).state_dict(), tmp_path / "a.pt", legacy=True)
    whole = path.read_bytes()
    for length in (100, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(ConversionError, match="cut short"):
            to_torch(path)
    place = whole.index(b"\x88", whole.index(b"little_endian"))  # True; 0x89 is False
    path.write_bytes(whole[:place] + b"\x89" + whole[place + 1 :])
    with pytest.raises(ConversionError, match="byte order"):
        to_torch(path)
    with pytest.raises(ConversionError, match="no state dict in it, but list"):
        to_torch(raw(path, [1, 2]))
    with pytest.raises(ConversionError, match="list of storages"):
        to_torch(raw(path, [1, 2], keys=["7"]))


def test_modules_within_themselves_are_refused(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Linear(2, 2))
    model._modules["self"] = model
    with pytest.raises(ConversionError, match="without end"):
        to_torch(save(model, tmp_path / "a.pt", legacy=False))


def test_no_class_of_the_file_is_imported(tmp_path: Path) -> None:
    """A module of the name is there, and would be imported by torch.load."""
    path = save_acktr(tmp_path / "a.pt", **SMALL)
    package = tmp_path / "a2c_ppo_acktr"
    package.mkdir()
    (package / "__init__.py").write_text("raise SystemExit('imported')")
    code = f"from atari_zoo.converters import to_torch; to_torch({str(path)!r})"
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, timeout=120)
    assert torch_zoo_files.Policy.__module__ == "torch_zoo_files"
    assert isinstance(acktr_model(**SMALL)(torch.zeros(1, 4, 84, 84)), Tensor)
