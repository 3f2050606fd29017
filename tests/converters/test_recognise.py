"""Recognition of the architecture in what others export; the exporters are the real ones."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable

import numpy as np
import onnx
import pytest
import torch
from architectures import HEADS, network, observations
from exporters import dynamo, scripted
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from atari_zoo.converters import ConversionError, MnihNetwork, to_onnx, to_torch, verify
from atari_zoo.converters.network.foreign import ForeignNetwork
from atari_zoo.converters.recognition.recognise import recognise


class ChannelsLast(nn.Module):
    """Takes (batch, 84, 84, 4) bytes, as TensorFlow's agents do."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, seen: Tensor) -> Tensor:
        return self.model(seen.permute(0, 3, 1, 2).float() / 255)


EXPORTS: dict[str, Callable[[nn.Module, Tensor], onnx.ModelProto]] = {
    "ours": lambda model, seen: to_onnx(model),  # type: ignore[arg-type]
    "scripted": lambda model, seen: scripted(model, seen.float() / 255),
    "unfolded": lambda model, seen: scripted(model, seen.float() / 255, fold=False),
    "dynamo": lambda model, seen: dynamo(model, seen.float() / 255),
    "channels last": lambda model, seen: scripted(
        ChannelsLast(model), seen.permute(0, 2, 3, 1).contiguous()
    ),
    "channels last, dynamo": lambda model, seen: dynamo(
        ChannelsLast(model), seen.permute(0, 2, 3, 1).contiguous()
    ),
}


@pytest.mark.parametrize("export", EXPORTS)
@pytest.mark.parametrize("head", HEADS)
def test_every_exporters_graph_is_recognised(head: str, export: str) -> None:
    model, seen = network(head, same=head == "q"), observations()
    graph = EXPORTS[export](model, seen)
    if head == "implicit quantile" and "dynamo" in export:
        # this exporter folds the embedding of the quantiles into one table of constants, from
        # which its weights cannot be told again
        with pytest.raises(ConversionError, match="folded into a constant"):
            recognise(graph)
        return
    found = to_torch(graph)
    assert isinstance(found, MnihNetwork)
    torch.testing.assert_close(found(seen), model(seen), atol=1e-5, rtol=1e-5)
    for layer in verify(graph, seen.numpy()):
        assert layer.difference < 1e-4, layer


def test_a_batch_size_baked_into_the_graph_is_made_free() -> None:
    model, seen = network("categorical"), observations(1)
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(model, (seen.float() / 255,), file, dynamo=False)
    graph = onnx.load_from_string(file.getvalue())
    assert graph.graph.input[0].type.tensor_type.shape.dim[0].dim_value == 1
    many = observations(5)
    torch.testing.assert_close(to_torch(graph)(many), model(many), atol=1e-5, rtol=1e-5)
    assert max(layer.difference for layer in verify(graph, many.numpy())) < 1e-4


class Normalized(nn.Module):
    """The trunk with a batch normalisation after each convolution, and a product for the bias."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(5)
        layers: list[nn.Module] = []
        for inputs, outputs, kernel, stride in ((4, 32, 8, 4), (32, 64, 4, 2), (64, 64, 3, 1)):
            norm = nn.BatchNorm2d(outputs)
            nn.init.uniform_(norm.running_mean, -1, 1)
            nn.init.uniform_(norm.running_var, 0.5, 2)
            nn.init.uniform_(norm.weight, -1, 1)
            layers += [nn.Conv2d(inputs, outputs, kernel, stride, bias=False), norm, nn.ReLU()]
        self.layers = nn.Sequential(*layers, nn.Flatten(), nn.Linear(3136, 64), nn.ReLU())
        self.output = nn.Linear(64, 6, bias=False)
        self.scale = nn.Parameter(torch.rand(6) + 0.5)

    def forward(self, seen: Tensor) -> Tensor:
        return self.output(self.layers(seen)) * self.scale + 0.25


@pytest.mark.parametrize("fold", [True, False], ids=["folded", "unfolded"])
def test_normalisations_and_scales_become_weights(fold: bool) -> None:
    model, seen = Normalized().eval(), observations().float() / 255
    found = to_torch(scripted(model, seen, fold))
    assert isinstance(found, MnihNetwork)
    torch.testing.assert_close(found(seen), model(seen), atol=1e-4, rtol=1e-4)


def test_same_padding_is_read_in_all_its_spellings() -> None:
    model, seen = network("q", same=True), observations()
    expected = model(seen)
    automatic, padded = to_onnx(model), to_onnx(model)
    for conv in [n for n in automatic.graph.node if n.op_type == "Conv"]:
        del conv.attribute[[a.name for a in conv.attribute].index("pads")]
        conv.attribute.append(helper.make_attribute("auto_pad", "SAME_UPPER"))
    for conv in [n for n in padded.graph.node if n.op_type == "Conv"]:
        where = [a.name for a in conv.attribute].index("pads")
        top, left, bottom, right = conv.attribute[where].ints
        del conv.attribute[where]
        amounts = np.array([0, 0, top, left, 0, 0, bottom, right])
        padded.graph.initializer.append(numpy_helper.from_array(amounts, f"{conv.name}.pads"))
        pad = helper.make_node("Pad", [conv.input[0], f"{conv.name}.pads"], [f"{conv.name}.in"])
        conv.input[0] = f"{conv.name}.in"
        padded.graph.node.insert(list(padded.graph.node).index(conv), pad)
    for graph in (automatic, padded):
        found = to_torch(graph)
        assert isinstance(found, MnihNetwork)
        torch.testing.assert_close(found(seen), expected, atol=1e-5, rtol=1e-5)
        assert max(layer.difference for layer in verify(graph, seen.numpy())) < 1e-4


def test_the_flatten_order_is_followed_not_assumed() -> None:
    """A graph that flattens height, width, channels, as TensorFlow does, with weights to match."""

    class HeightFirst(nn.Module):
        def __init__(self, model: MnihNetwork) -> None:
            super().__init__()
            self.model = model
            weight = model.trunk.fc.linear.weight.detach()
            self.weight = weight.view(-1, 64, 7, 7).permute(0, 2, 3, 1).reshape(len(weight), -1)

        def forward(self, seen: Tensor) -> Tensor:
            trunk = self.model.trunk
            maps = trunk.conv3(trunk.conv2(trunk.conv1(seen))).permute(0, 2, 3, 1)
            flat = maps.flatten(1) @ self.weight.T + trunk.fc.linear.bias
            return self.model.head(torch.relu(flat))

    model, seen = network("q"), observations()
    found = to_torch(scripted(HeightFirst(model).eval(), seen.float() / 255))
    assert isinstance(found, MnihNetwork)
    torch.testing.assert_close(found(seen), model(seen), atol=1e-5, rtol=1e-5)


class Mixed(nn.Module):
    """A network whose first convolution is a convolution and a product over its channels."""

    def __init__(self, model: MnihNetwork) -> None:
        super().__init__()
        torch.manual_seed(7)
        self.model = model
        self.table = nn.Linear(32, 24)
        self.second = nn.Conv2d(24, 64, 4, 2)

    def forward(self, seen: Tensor) -> Tensor:
        trunk = self.model.trunk
        maps = self.table(trunk.conv1.conv(seen).permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        maps = torch.relu(self.second(torch.relu(maps)))
        return self.model.head(trunk.fc(trunk.conv3(maps).flatten(1)))


def test_a_product_over_a_convolutions_channels_becomes_part_of_it() -> None:
    model, seen = Mixed(network("q")).eval(), observations().float() / 255
    graph = scripted(model, seen)
    found = to_torch(graph)
    assert isinstance(found, MnihNetwork) and found.trunk.convolutions[0].channels == 24
    torch.testing.assert_close(found(seen), model(seen), atol=1e-5, rtol=1e-5)
    assert max(layer.difference for layer in verify(graph)) < 1e-4


class Residual(nn.Module):
    """Not the Mnih architecture: an addition goes past a convolution."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(6)
        self.first = nn.Conv2d(4, 8, 8, 4)
        self.second = nn.Conv2d(8, 8, 3, padding=1)
        self.output = nn.Linear(8 * 400, 6)

    def forward(self, seen: Tensor) -> Tensor:
        maps = torch.relu(self.first(seen))
        return self.output((maps + torch.relu(self.second(maps))).flatten(1))


def test_another_architecture_goes_through_onnx2torch() -> None:
    model, seen = Residual().eval(), observations().float() / 255
    graph = scripted(model, seen)
    with pytest.raises(ConversionError, match="Add"):
        recognise(graph)
    found = to_torch(graph)
    assert isinstance(found, ForeignNetwork) and found.actions == 6
    assert len(found.layers) >= 4
    torch.testing.assert_close(found(seen), model(seen), atol=1e-5, rtol=1e-5)


def test_what_cannot_be_translated_is_refused_with_the_nodes_name() -> None:
    graph = to_onnx(network("q"))
    relu = next(n for n in graph.graph.node if n.name == "conv2")
    relu.op_type = "Hardmax"
    with pytest.raises(ConversionError, match=r"node 'conv2' \(Hardmax\)"):
        to_torch(graph)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda g: g.node[0].attribute[0].ints.__setitem__(0, 0), "kernel|Conv|input"),
        (lambda g: g.initializer[0].dims.__setitem__(0, 2**31), "damaged|malformed"),
        (lambda g: g.node[1].input.__setitem__(0, "nothing"), "output|expected"),
        (lambda g: g.initializer[1].ClearField("raw_data"), "damaged"),
        (lambda g: g.input[0].type.tensor_type.shape.ClearField("dim"), "input of four axes"),
    ],
    ids=["kernel", "huge", "dangling", "empty", "shapeless"],
)
def test_damaged_graphs_are_refused(
    damage: Callable[[onnx.GraphProto], None], message: str
) -> None:
    graph = to_onnx(network("q"))
    damage(graph.graph)
    with pytest.raises(ConversionError, match=message):
        recognise(graph)


def test_weights_that_are_not_numbers_are_refused() -> None:
    model = network("q")
    with torch.no_grad():
        model.trunk.fc.linear.weight[3, 5] = float("nan")
    with pytest.raises(ConversionError, match="not finite"):
        recognise(to_onnx(model))


def test_two_outputs_that_could_be_the_policy_are_refused() -> None:
    graph = to_onnx(network("q"))
    graph.graph.output[0].name = "first"
    for node in graph.graph.node:
        if node.output[0] == "output":
            node.output[0] = "first"
            twin = helper.make_node("Gemm", list(node.input), ["second"], transB=1)
    graph.graph.node.append(twin)
    graph.graph.output.append(helper.make_tensor_value_info("second", TensorProto.FLOAT, None))
    with pytest.raises(ConversionError, match="found first, second"):
        recognise(graph)
