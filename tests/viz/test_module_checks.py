"""Methods that are silently wrong on a network are refused there, and right where they run."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.testing import assert_close

from atari_zoo.converters.cards import ModelCard
from atari_zoo.converters.export.graph import network_to_onnx
from atari_zoo.converters.network.foreign import ForeignNetwork
from atari_zoo.converters.network.heads import CategoricalHead, ImplicitQuantileHead, QHead
from atari_zoo.converters.network.networks import ConvShape, MnihNetwork, Trunk
from atari_zoo.viz.attribution.attribution import attribute

# of a few steps or samples; that it is told has a test of its own
pytestmark = pytest.mark.filterwarnings("ignore:.* misses the rise:UserWarning")
ASKING = ("guided_backprop", "deeplift", "deep_shap", "lrp")


class Functional(nn.Module):
    """A ReLU that is no nn.ReLU: `cut` does it."""

    def __init__(self, cut):
        super().__init__()
        self.cut = cut

    def forward(self, values):
        return self.cut(values)


def network(relu=nn.ReLU, head=QHead):
    """Two convolutions and a dense layer, each followed by what `relu` makes."""
    torch.manual_seed(0)
    shapes = [ConvShape(4, (3, 3), (2, 2)), ConvShape(4, (3, 3), (1, 1))]
    trunk = Trunk(shapes, 8, (2, 12, 12))
    for layer in (trunk.conv1, trunk.conv2, trunk.fc):
        layer.relu = relu()
    return MnihNetwork(trunk, head(8, 3)).eval()


def pixels(count=2):
    return torch.rand(count, 2, 12, 12, generator=torch.Generator().manual_seed(4))


ONE = nn.ReLU()
RELUS = {
    "in place": lambda: nn.ReLU(inplace=True),
    "shared": lambda: ONE,
    "F.relu": lambda: Functional(F.relu),
    "torch.relu": lambda: Functional(torch.relu),
    "clamp": lambda: Functional(lambda x: x.clamp(min=0)),
    "maximum": lambda: Functional(lambda x: torch.maximum(x, torch.zeros_like(x))),
    "mask": lambda: Functional(lambda x: x * (x > 0)),
    "where": lambda: Functional(lambda x: torch.where(x > 0, x, torch.zeros_like(x))),
}
NO_MODULES = r"3 of its 3 ReLUs are no torch modules, or use integrated_gradients"
HIDDEN = "something"
# (ReLU, method) -> why it is refused; all others must equal the module-per-ReLU network's
REFUSED = {
    **{
        (relu, method): NO_MODULES
        for relu in ("F.relu", "torch.relu", "clamp", "maximum")
        for method in ("guided_backprop", "deeplift", "deep_shap")
    },
    **{
        (relu, method): HIDDEN
        for relu in ("mask", "where")
        for method in ("guided_backprop", "deeplift", "deep_shap")
    },
}


@pytest.mark.parametrize("method", ASKING)
@pytest.mark.parametrize("relu", RELUS)
def test_refused_or_equal_to_a_module_per_relu(relu, method):
    reference = attribute(network(), pixels(), method).values
    other = network(RELUS[relu])
    if (relu, method) in REFUSED:
        with pytest.raises(ValueError, match=f"{method} would be wrong.*{REFUSED[relu, method]}"):
            attribute(other, pixels(), method)
    else:
        found = attribute(other, pixels(), method).values
        assert_close(found, reference, atol=1e-7, rtol=1e-4)


@pytest.mark.parametrize("method", ["gradient", "integrated_gradients", "grad_cam", "occlusion"])
@pytest.mark.parametrize("relu", ["F.relu", "shared", "mask"])
def test_other_methods_run_on_any_network(relu, method):
    reference = attribute(network(), pixels(), method).values
    assert_close(attribute(network(RELUS[relu]), pixels(), method).values, reference)


@pytest.mark.parametrize("method", ["deeplift", "deep_shap", "lrp"])
@pytest.mark.parametrize("target", ["entropy", "max"])
def test_targets_that_bend_are_refused(method, target):
    with pytest.raises(ValueError, match="something bends that is no ReLU module"):
        attribute(network(), pixels(), method, target)


@pytest.mark.parametrize("method", ["deeplift", "deep_shap", "lrp"])
def test_an_expectation_is_refused_and_an_atom_named_instead(method):
    c51 = network(head=lambda features, actions: CategoricalHead(features, actions))
    with pytest.raises(ValueError, match=r"Softmax.*explain an atom, such as atom:chosen:50"):
        attribute(c51, pixels(), method)
    assert attribute(c51, pixels(), method, "atom:chosen:50").values.abs().sum() > 0


def test_guided_backprop_runs_where_the_target_alone_bends():
    """Its rule is about ReLUs; a softmax after them hands on its derivative."""
    net = network()
    values = attribute(net, pixels(), "guided_backprop", "entropy").values
    assert values.abs().sum() > 0
    with pytest.raises(ValueError, match="no torch modules"):
        attribute(network(RELUS["F.relu"]), pixels(), "guided_backprop", "entropy")


def test_functional_layers_with_weights_are_refused_by_lrp():
    class Dense(nn.Module):
        def __init__(self, linear):
            super().__init__()
            self.weight, self.bias = linear.weight, linear.bias

        def forward(self, values):
            return F.linear(values, self.weight, self.bias)

    net = network()
    net.head.output = Dense(net.head.output)
    with pytest.raises(ValueError, match="1 of its 4 layers with weights are no torch modules"):
        attribute(net, pixels(), "lrp")
    assert attribute(net, pixels(), "deeplift").delta.abs().max() < 1e-5


@pytest.mark.parametrize("samples", [7, 8])
def test_deeplift_leaves_iqns_embedding_alone(samples):
    """Its ReLU sees no pixel, and its first axis is no batch that could be halved."""
    torch.manual_seed(1)
    trunk = Trunk([ConvShape(4, (3, 3), (2, 2))], None, (2, 12, 12))
    head = ImplicitQuantileHead(trunk.features, 3, units=8, cosines=4, samples=samples)
    net = MnihNetwork(trunk, head).eval()
    assert attribute(net, pixels(), "deeplift", "margin").delta.abs().max() < 1e-6


@pytest.fixture(scope="module")
def ours():
    torch.manual_seed(0)
    return MnihNetwork(Trunk(units=16), QHead(16, 3), ModelCard("dqn", "Pong")).eval()


def foreign(ours, maximum=False):
    """The network through ONNX and onnx2torch; with maximum, its ReLUs are Max nodes."""
    model = network_to_onnx(ours)
    if maximum:
        model.graph.initializer.append(onnx.numpy_helper.from_array(np.float32(0), "zero"))
        for node in model.graph.node:
            if node.op_type == "Relu":
                node.op_type = "Max"
                node.input.append("zero")
    return ForeignNetwork(model, ours.card).eval()


@pytest.mark.parametrize("method", [*ASKING, "input_x_gradient"])
def test_on_what_onnx2torch_makes(ours, method):
    seen = torch.rand(1, 4, 84, 84, generator=torch.Generator().manual_seed(5))
    expected = attribute(ours, seen, method).values
    found = attribute(foreign(ours), seen, method).values
    assert_close(found, expected, atol=1e-6, rtol=1e-3)


@pytest.mark.parametrize("method", ["guided_backprop", "deeplift"])
def test_refused_on_what_onnx2torch_makes_of_other_relus(ours, method):
    seen = torch.rand(1, 4, 84, 84, generator=torch.Generator().manual_seed(5))
    other = foreign(ours, maximum=True)
    assert_close(other(seen), ours(seen), atol=1e-5, rtol=1e-4)
    with pytest.raises(ValueError, match="4 of its 4 ReLUs are no torch modules"):
        attribute(other, seen, method)
    exact = attribute(other, seen, "integrated_gradients").values
    assert_close(exact, attribute(ours, seen).values, atol=1e-6, rtol=1e-3)


def test_no_hook_is_left():
    net = network()
    for method in ASKING:
        attribute(net, pixels(), method)
    for module in net.modules():
        assert not module._forward_hooks and not module._forward_pre_hooks
        assert not module._backward_hooks
