"""The ONNX file: onnxruntime is the oracle, on every named layer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from architectures import HEADS, layer_values, network, observations
from onnx import numpy_helper

from atari_zoo.converters import ConversionError, ModelCard, save_onnx, to_onnx, to_torch
from atari_zoo.converters.cards import PREPROCESSINGS
from atari_zoo.converters.interchange import load_onnx, read_card


def run(model: onnx.ModelProto, seen: torch.Tensor) -> dict[str, np.ndarray]:
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    outputs = session.run(None, {"observations": (seen.float() / 255).numpy()})
    return dict(zip([o.name for o in session.get_outputs()], outputs, strict=True))


@pytest.mark.parametrize("batch", [1, 7])
@pytest.mark.parametrize("same", [False, True], ids=["valid", "same"])
@pytest.mark.parametrize("head", HEADS)
def test_onnxruntime_agrees_at_every_layer(head: str, same: bool, batch: int) -> None:
    model, seen = network(head, same=same), observations(batch)
    exported = to_onnx(model)
    onnx.checker.check_model(exported, full_check=True)
    theirs, ours = run(exported, seen), layer_values(model, seen)
    assert next(iter(theirs)) == "output" and set(theirs) == set(model.layers)
    for name, value in ours.items():
        # float32 sums of up to 5808 terms, in another order
        np.testing.assert_allclose(theirs[name], value.numpy(), atol=1e-5, rtol=1e-5, err_msg=name)


@pytest.mark.parametrize("head", HEADS)
def test_float16_halves_the_file_and_little_else(head: str) -> None:
    model, seen = network(head), observations()
    full, half = to_onnx(model), to_onnx(model, float16=True)
    assert half.ByteSize() < 0.52 * full.ByteSize()
    for name, tensor in run(half, seen).items():
        assert tensor.dtype == np.float32
        # weights keep 11 bits: relative errors near 5e-4, averaged out over each sum
        expected = layer_values(model, seen)[name].numpy()
        assert np.abs(tensor - expected).max() < 5e-3 * max(1, np.abs(expected).max())
    back = to_torch(half)
    rounded = {n: p.half().float() for n, p in model.state_dict().items() if "weight" in n}
    for name, tensor in rounded.items():
        torch.testing.assert_close(back.state_dict()[name], tensor, atol=0, rtol=0)


def test_weights_too_large_for_float16_are_refused() -> None:
    model = network("q")
    with torch.no_grad():
        model.head.output.weight[0, 0] = 1e5
    with pytest.raises(ConversionError, match="store it as float32"):
        to_onnx(model, float16=True)


def test_the_card_travels_with_the_file(tmp_path: Path) -> None:
    card = ModelCard(
        "rainbow",
        "Seaquest",
        "3",
        "1HR",
        ("NOOP", "FIRE"),
        preprocessing=PREPROCESSINGS["dopamine"],
        licence="Apache-2.0",
        scores={"mean": 12.5},
    )
    save_onnx(to_onnx(network("categorical"), card), tmp_path / "x.onnx")
    assert read_card(load_onnx(tmp_path / "x.onnx")) == card
    assert to_torch(tmp_path / "x.onnx").card == card
    assert card.name == "rainbow/Seaquest/3@1HR"


def test_a_card_from_a_newer_version_is_read_and_a_broken_one_named() -> None:
    text = ModelCard("dqn", "Pong").to_json()
    newer = text.replace('"run": "1"', '"run": "1", "invented": 4')
    assert newer != text and ModelCard.from_json(newer) == ModelCard("dqn", "Pong")
    model = to_onnx(network("q"))
    model.metadata_props[0].value = "{"
    with pytest.raises(ConversionError, match="card cannot be read"):
        to_torch(model)


def test_a_failed_write_leaves_what_was_there(tmp_path: Path) -> None:
    place = tmp_path / "agent.onnx"
    place.write_bytes(b"precious")
    tmp_path.joinpath("folder").mkdir()
    with pytest.raises(IsADirectoryError):
        save_onnx(to_onnx(network("q")), tmp_path / "folder")  # a folder stands in the way
    with pytest.raises(FileNotFoundError):
        save_onnx(to_onnx(network("q")), tmp_path / "missing" / "agent.onnx")
    assert place.read_bytes() == b"precious"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["agent.onnx", "folder"]


def external(model: onnx.ModelProto, location: str) -> onnx.ModelProto:
    """The model with its largest tensor stored elsewhere."""
    tensor = max(model.graph.initializer, key=lambda t: t.ByteSize())
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)
    return model


@pytest.mark.parametrize("location", ["../secret", "/etc/passwd", "a/../../secret"])
def test_external_data_outside_the_folder_is_refused(tmp_path: Path, location: str) -> None:
    (tmp_path / "secret").write_bytes(b"x" * 10_000_000)
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "a").mkdir()
    place = tmp_path / "models" / "agent.onnx"
    place.write_bytes(external(to_onnx(network("q")), location).SerializeToString())
    with pytest.raises(ConversionError, match="outside the file's folder"):
        to_torch(place)


def test_external_data_beside_the_file_is_read(tmp_path: Path) -> None:
    model = to_onnx(network("q"))
    largest = max(model.graph.initializer, key=lambda t: t.ByteSize())
    (tmp_path / "weights").write_bytes(numpy_helper.to_array(largest).tobytes())
    place = tmp_path / "agent.onnx"
    place.write_bytes(external(model, "weights").SerializeToString())
    seen = observations()
    torch.testing.assert_close(to_torch(place)(seen), network("q")(seen))
    (tmp_path / "weights").unlink()
    with pytest.raises(ConversionError, match="which is missing"):
        to_torch(place)
