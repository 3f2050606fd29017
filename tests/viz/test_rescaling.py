"""DeepLIFT and guided backpropagation by rules: by hand, against Captum where that is right, and by
what the sums promise."""

from __future__ import annotations

import warnings

import captum.attr
import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

import atari_zoo as zoo
from atari_zoo.viz.attribution.attribution import attribute

SHAPE = (2, 14, 17)


class Residual(nn.Module):
    """x + f(relu(x)), the ReLU a module."""

    def __init__(self, inside: nn.Module) -> None:
        super().__init__()
        self.relu, self.inside = nn.ReLU(), inside

    def forward(self, x: Tensor) -> Tensor:
        return x + self.inside(self.relu(x))


def network(*layers: nn.Module, shape: tuple[int, int, int] = SHAPE) -> zoo.wrapping.WrappedNetwork:
    torch.manual_seed(0)
    made = nn.Sequential(*layers, nn.Flatten(), nn.LazyLinear(6)).eval()
    made(torch.zeros(1, *shape))
    return zoo.wrap(made, "Pong", shape=shape)


def seen(count: int = 3, seed: int = 0) -> Tensor:
    return torch.rand(count, *SHAPE, generator=torch.Generator().manual_seed(seed))


def conv(before: int = 4, after: int = 4) -> nn.Conv2d:
    return nn.Conv2d(before, after, 3, padding=1)


# kernel, stride, padding, dilation, indices, ceil_mode
POOLS = [(2, 2, 0), (3, 2, 1), (3, 2, 0), (3, 1, 1), (2, 3, 0, 2), (3, 2, 1, 1, False, True)]
NETWORKS = {
    **{
        f"pool {options}": lambda options=options: [
            conv(2), nn.MaxPool2d(*options), nn.ReLU(), conv(), nn.ReLU(),
        ]
        for options in POOLS
    },
    "residual": lambda: [conv(2), Residual(conv()), Residual(conv())],
    "impala": lambda: [
        conv(2), nn.MaxPool2d(3, 2, 1), Residual(nn.Sequential(conv(), nn.ReLU(), conv())),
        conv(), nn.MaxPool2d(3, 2, 1), Residual(conv()), nn.ReLU(),
    ],
    "smooth": lambda: [conv(2), nn.GELU(), conv(), nn.BatchNorm2d(4), nn.SiLU(), conv(), nn.ELU()],
    "prelu": lambda: [conv(2), nn.PReLU(4), conv(), nn.PReLU(1, 0.6)],
    "one module": lambda: [conv(2), (relu := nn.ReLU()), conv(), relu, nn.MaxPool2d(2), relu],
}  # fmt: skip


@pytest.mark.parametrize("baseline", ["black", "blurred"])
@pytest.mark.parametrize("kind", NETWORKS)
def test_deeplift_sums_to_the_rise(kind: str, baseline: str) -> None:
    made = network(*NETWORKS[kind]())
    found = attribute(made, seen(), "deeplift", 1, baseline)
    assert found.values.abs().sum() > 0.01
    # float32 sums of some thousand terms below 1
    assert_close(found.delta, torch.zeros(3), atol=1e-5, rtol=0)


def test_deep_shap_is_the_mean_over_references() -> None:
    made, several = network(*NETWORKS["impala"]()), seen(2, seed=1)
    each = [attribute(made, seen(), "deeplift", 1, reference).values for reference in several]
    found = attribute(made, seen(), "deep_shap", 1, several.expand(3, *several.shape))
    assert_close(found.values, torch.stack(each).mean(0), atol=1e-6, rtol=1e-4)
    assert_close(found.delta, torch.zeros(3), atol=1e-5, rtol=0)


def test_is_captums_where_nothing_goes_around_a_module() -> None:
    made = network(conv(2), nn.ReLU(), conv(), nn.ELU(), conv(), nn.LeakyReLU())
    black = torch.zeros_like(seen())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        lift = captum.attr.DeepLift(made.graph).attribute(seen(), black, target=1)
        guided = captum.attr.GuidedBackprop(made.graph).attribute(seen(), target=1)
    assert_close(attribute(made, seen(), "deeplift", 1).values, lift, atol=1e-6, rtol=1e-3)
    assert_close(attribute(made, seen(), "guided_backprop", 1).values, guided)


@pytest.mark.parametrize(
    "kernel, pixels, reference, expected",
    [
        # the observation's largest, 3, exceeds the reference's, 2: by 1, where it is
        ((2, 2), [[3, 1], [0, 2]], [[1, 2], [0, 0]], [[1, 0], [0, 0]]),
        # the reference's, 4, is gone: 2 less, where that was
        ((2, 2), [[1, 0], [0, 2]], [[4, 1], [1, 1]], [[-2, 0], [0, 0]]),
        # two windows have the same largest pixel
        ((1, 2), [[1, 5, 2]], [[0, 0, 0]], [[0, 10, 0]]),
        # windows of their own, one up and one down
        ((1, 2), [[4, 0, 0]], [[1, 0, 3]], [[3, 0, -3]]),
    ],
)
def test_a_pools_rule_by_hand(kernel, pixels, reference, expected) -> None:
    given, compared = (torch.tensor(some)[None, None] / 10 for some in (pixels, reference))
    made = network(nn.MaxPool2d(kernel, 1), shape=tuple(given.shape[1:]))
    with torch.no_grad():
        made.graph[2].weight.fill_(1)
    found = attribute(made, given, "deeplift", 0, compared).values
    assert_close(found[0, 0], torch.tensor(expected) / 10)


def test_a_fixed_number_at_once_is_refused() -> None:
    made = network(conv(2), nn.ReLU())
    made.batch = 1
    with pytest.raises(ValueError, match="this network's file takes 1 at once: export it for any"):
        attribute(made, seen(), "deeplift", 1)


def test_the_way_around_a_relu_is_not_guided() -> None:
    """2 (x - 3 relu(x)): what comes back to the ReLU is negative, what goes around it is not."""
    inside = nn.Conv2d(2, 2, 1, bias=False)
    with torch.no_grad():
        inside.weight.copy_(-3 * torch.eye(2)[..., None, None])
    made = network(Residual(inside))
    with torch.no_grad():
        made.graph[2].weight.fill_(2)
    values = attribute(made, seen(), "guided_backprop", 1).values
    assert_close(values, torch.full_like(values, 2))
    assert_close(attribute(made, seen(), "gradient", 1).values, torch.full_like(values, -4))
