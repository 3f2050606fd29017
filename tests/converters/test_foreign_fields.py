"""Receptive fields of any structure: the pixels that change a place, each of them tried alone; and
ways counted by loops."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from itertools import product

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.testing import assert_close

import atari_zoo as zoo
from atari_zoo.converters.network.receptive_fields import (
    Box,
    field_shares,
    layer_fields,
    map_size,
    receptive_field,
)

SCREEN = (2, 21, 26)  # no two numbers alike


class Residual(nn.Module):
    """As IMPALA's (Espeholt et al., 2018)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.a, self.b = (nn.Conv2d(channels, channels, 3, padding=1) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.b(F.relu(self.a(F.relu(x))))


class Beside(nn.Module):
    """Branches side by side."""

    def __init__(self, join: Callable[[list[Tensor]], Tensor], *branches: nn.Module) -> None:
        super().__init__()
        self.join, self.branches = join, nn.ModuleList(branches)

    def forward(self, x: Tensor) -> Tensor:
        return self.join([branch(x) for branch in self.branches])


class Does(nn.Module):
    """A function as a layer."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


def impala(stages: int = 2) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for stage in range(stages):
        layers += [nn.Conv2d(3 if stage else 2, 3, 3, padding=1), nn.MaxPool2d(3, 2, 1)]
        layers += [Residual(3), Residual(3)]
    return layers


def in_place(x: Tensor) -> Tensor:
    return x.mul(2).relu_().add_(1)


def normed_channels(x: Tensor) -> Tensor:
    """As ConvNeXt has it, and channels mixed by a product."""
    last = F.layer_norm(x.permute(0, 2, 3, 1), (x.shape[1],))
    weights = torch.arange(5.0 * x.shape[1]).view(x.shape[1], 5).to(x)
    mixed = last @ weights * x.mean(1)[..., None]
    return mixed.permute(0, 3, 1, 2)


def by_hand(x: Tensor) -> Tensor:
    """Windows of 2x2 added up by views of a flattened map."""
    rows, columns = x.shape[2] - 1, x.shape[3] - 1
    flat = x.flatten(1).view(-1, *x.shape[1:]).transpose(2, 3)
    parts = [flat[:, :, i : i + columns, j : j + rows] for i, j in product((0, 1), (0, 1))]
    return torch.stack(parts).sum(0).transpose(2, 3)


def excited(x: Tensor) -> Tensor:
    return x * torch.sigmoid(x.mean((2, 3), keepdim=True))


def attended(x: Tensor) -> Tensor:
    tokens = x.flatten(2)
    return (tokens @ tokens.transpose(1, 2) @ tokens).view_as(x)


NETWORKS: dict[str, list[nn.Module]] = {
    "impala": impala(),
    "dilated": [
        nn.Conv2d(2, 4, (3, 2), (2, 1), (1, 3), (2, 3)),
        nn.Conv2d(4, 4, 3, 2, 2, 2, groups=2),
    ],
    "pooled": [
        nn.AvgPool2d((3, 2), (2, 3), (1, 0)),
        nn.Conv2d(2, 2, 2),
        nn.MaxPool2d(3, 2, 1, ceil_mode=True),
    ],
    "strided past": [nn.Conv2d(2, 2, 2, 3, (1, 0)), nn.MaxPool2d(2, 3)],
    "adaptive": [nn.Conv2d(2, 2, 2), nn.AdaptiveAvgPool2d((4, 5))],
    "adaptive uneven": [nn.AdaptiveMaxPool2d((8, 7)), nn.Conv2d(2, 2, 2)],
    "padded": [
        nn.ZeroPad2d((0, 2, 2, -1)),
        nn.Conv2d(2, 2, 3, 2),
        nn.ReflectionPad2d((1, 0, 0, 2)),
    ],
    "normed": [nn.Conv2d(2, 4, 3, 2), nn.BatchNorm2d(4), nn.GELU(), nn.Conv2d(4, 2, 3)],
    "branches": [
        Beside(
            lambda parts: torch.cat(parts, 1),
            nn.Conv2d(2, 1, 1),
            nn.Conv2d(2, 3, 5, padding=2),
            nn.Sequential(nn.MaxPool2d(3, 1, 1), nn.Conv2d(2, 2, (1, 3), padding=(0, 1))),
        ),
        nn.MaxPool2d(2),
    ],
    "products": [
        Beside(
            lambda parts: parts[0] * parts[1],
            nn.Conv2d(2, 2, 3),
            nn.Conv2d(2, 2, (3, 7), padding=(0, 2)),
        ),
    ],
    "in place": [nn.Conv2d(2, 2, 3), Does(in_place), nn.MaxPool2d(2)],
    "channels last": [nn.Conv2d(2, 4, 3, 2), Does(normed_channels), nn.Conv2d(5, 2, 2)],
    "by hand": [nn.Conv2d(2, 2, 3, 2), Does(by_hand)],
    "cut": [Does(lambda x: x[:, :, 3:-2:2, 5].unsqueeze(3)), nn.Conv2d(2, 2, (2, 1))],
    "split": [Does(lambda x: torch.add(*x.split(13, 3))), nn.Conv2d(2, 2, 3, padding=1)],
    "gated": [nn.Conv2d(2, 2, 3, 2), Does(excited)],
    "group norm": [nn.Conv2d(2, 4, 3, 2), nn.GroupNorm(2, 4)],
    "rows alone": [nn.Conv2d(2, 2, 2), Does(lambda x: x * x.amax(3, keepdim=True))],
}  # fmt: skip


def agent(layers: list[nn.Module]) -> zoo.wrapping.WrappedNetwork:
    """Positive weights: no activation stops a change, and none cancels another."""
    body = nn.Sequential(*layers)
    torch.manual_seed(0)
    with torch.no_grad():
        for weight in body.parameters():
            weight.uniform_(0.1, 1)
        flat = body.eval()(torch.zeros(1, *SCREEN)).flatten(1).shape[1]
    body.add_module("flat", nn.Flatten())
    body.add_module("out", nn.Linear(flat, 6))
    return zoo.wrap(body, "Pong", shape=SCREEN)


def changed_by(network: nn.Module, layer: str) -> np.ndarray:
    """(pixels, rows, columns): whether a place changes where a pixel is made much brighter."""
    count = SCREEN[1] * SCREEN[2]
    each = torch.eye(count, dtype=torch.float64).view(count, 1, *SCREEN[1:])
    noise = torch.rand(1, *SCREEN, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    values: dict[str, Tensor] = {}
    network = network.double()
    hook = network.layers[layer].register_forward_hook(
        lambda module, given, result: values.update(found=result)
    )
    with torch.no_grad():
        network(noise)
        still = values["found"]
        network(noise + 1e40 * each)  # wins in every pool
    hook.remove()
    network.float()
    return ((values["found"] - still).abs() > 1e-9).any(1).numpy()


@pytest.mark.parametrize("kind", NETWORKS)
def test_a_place_sees_what_changes_it(kind: str) -> None:
    """The box around all pixels that do, at every place of every layer with a map."""
    network = agent(NETWORKS[kind])
    tried = 0
    for layer in list(network.layers):
        fields = layer_fields(network, layer)
        if fields.size == (1, 1):
            continue
        changes = changed_by(network, layer).reshape(*SCREEN[1:], *fields.size)
        for row, column in product(*map(range, fields.size)):
            rows, columns = changes[:, :, row, column].nonzero()
            expected = Box(0, 0, 0, 0)
            if len(rows):
                top, left = int(rows.min()), int(columns.min())
                expected = Box(top, left, int(rows.max()) + 1 - top, int(columns.max()) + 1 - left)
            field = fields.at(row, column)
            assert field.seen == expected, (layer, row, column)
            if len(rows) and not kind.startswith(("padded", "adaptive")):
                assert field.whole.top <= top and field.whole.bottom >= expected.bottom
                assert field.whole.left <= left and field.whole.right >= expected.right
        tried += 1
    assert tried


def test_impalas_field_grows_beyond_the_screen() -> None:
    """Kernel by kernel, by Araujo's sums: 3 (1 + 2 + 4) for the convolutions and pools, 4 x 2 in
    each stage's blocks, at 2, 4 and 8 pixels a step."""
    body = nn.Sequential(*impala(3))
    network = zoo.wrap(
        nn.Sequential(body, nn.Flatten(), nn.Linear(3 * 11 * 11, 6)), "Pong", shape=(2, 84, 84)
    )
    size, step = 1, 1
    for _ in range(3):
        size += (3 - 1) * step + (3 - 1) * step  # its convolution, its pool
        step *= 2
        size += 4 * (3 - 1) * step  # two blocks of two convolutions
    assert (size, step) == (141, 8)
    field = receptive_field(network, "0.11", 5, 5)
    assert (field.whole.height, field.whole.width) == (size, size)
    assert field.seen == Box(0, 0, 84, 84)
    corner = receptive_field(network, "0.11", 0, 10)
    assert (corner.whole.height, corner.whole.top) == (size, field.whole.top - 5 * step)
    assert corner.seen == Box(0, 80 - size // 2, 1 + size // 2, 84 - (80 - size // 2))
    assert map_size(network, "0.11") == (11, 11)


# a structure as data: convolutions (kernel, stride, padding, dilation) in a row, or lists of such
# whose results are added
SMALL = [
    (3, 2, 1, 1),
    [[], [(3, 1, 1, 1), (3, 1, 2, 2)]],
    (2, 1, 0, 1),
    [[(1, 1, 0, 1)], [(3, 1, 1, 1)]],
]


def built(parts: list) -> nn.Module:
    layers = [
        Beside(lambda found: sum(found), *(built(branch) for branch in part))
        if isinstance(part, list)
        else nn.Conv2d(2, 2, *part)
        for part in parts
    ]
    return nn.Sequential(*layers)


def ways(parts: list, sizes: list, row: int, column: int) -> Counter:
    """How many ways lead from each pixel to a place: one step back, and on from there."""
    if not parts:
        return Counter({(row, column): 1})
    *earlier, last = parts
    if isinstance(last, list):
        found: Counter = Counter()
        for branch in last:
            for place, count in ways(branch, [sizes[-2]] * (len(branch) + 1), row, column).items():
                for pixel, more in ways(earlier, sizes[:-1], *place).items():
                    found[pixel] += count * more
        return found
    kernel, stride, padding, dilation = last
    found = Counter()
    for i, j in product(range(kernel), range(kernel)):
        at = row * stride - padding + i * dilation, column * stride - padding + j * dilation
        if all(0 <= place < size for place, size in zip(at, sizes[-2], strict=True)):
            found.update(ways(earlier, sizes[:-1], *at))
    return found


def test_shares_are_ways_counted_one_by_one() -> None:
    network = agent([built(SMALL)])
    sizes = [SCREEN[1:], (11, 13), (11, 13), (10, 12), (10, 12)]
    fields = layer_fields(network, "0")
    assert fields.size == sizes[-1]
    expected = np.zeros((*sizes[-1], *SCREEN[1:]))
    for row, column in product(*map(range, sizes[-1])):
        for pixel, count in ways(SMALL, sizes, row, column).items():
            expected[row, column][pixel] += count
    expected /= expected.sum((2, 3), keepdims=True)
    each = torch.eye(120).view(120, *sizes[-1])
    drawn = fields.on_screen(each).numpy().reshape(expected.shape)
    np.testing.assert_allclose(drawn, expected, atol=1e-6)
    rows, columns = field_shares(network, "0")
    np.testing.assert_allclose(rows, expected.sum(3).mean(1).T, atol=1e-6)
    np.testing.assert_allclose(columns, expected.sum(2).mean(0).T, atol=1e-6)


@pytest.mark.parametrize("kind", NETWORKS)
def test_shares_sum_to_one(kind: str) -> None:
    network = agent(NETWORKS[kind])
    mapped = 0
    for layer in list(network.layers):
        if map_size(network, layer) == (1, 1):
            continue
        if kind == "padded" and layer == "0":
            with pytest.raises(ValueError, match="a place of layer '0' sees nothing of the screen"):
                field_shares(network, layer)
            continue
        for some in field_shares(network, layer):
            assert_close(some.sum(0), torch.ones(some.shape[1]))
            assert some.min() >= 0
        mapped += 1
    assert mapped


class ThroughView(nn.Module):
    """Writes in place through a view of all of a tensor, and gives the tensor."""

    def __init__(self, write: Callable[[Tensor, Tensor], object], zeros: bool = False) -> None:
        super().__init__()
        self.a, self.b = (nn.Conv2d(2, 2, 3, padding=1) for _ in range(2))
        self.write, self.zeros = write, zeros

    def forward(self, x: Tensor) -> Tensor:
        made = torch.zeros_like(x) if self.zeros else x * 1
        self.write(made.view(made.shape), self.b(self.a(x)))
        return made * 1


WRITES: dict[str, nn.Module] = {
    "add_": ThroughView(lambda view, wide: view.add_(wide)),
    "copy_": ThroughView(lambda view, wide: view.copy_(wide), zeros=True),
}


@pytest.mark.parametrize("name", WRITES)
def test_what_is_written_through_a_view_is_not_lost(name: str) -> None:
    network = agent([nn.Conv2d(2, 2, 3, padding=1), WRITES[name]])
    with pytest.raises(ValueError, match=f"'{name}' through another view of it is done on"):
        receptive_field(network, "1")


def test_an_activation_in_place_moves_nothing() -> None:
    """Neither of the view that it is done to nor of the tensor itself; nor does what is given
    back by an addition in place."""
    write = ThroughView(lambda view, wide: view.relu_())
    network = agent([nn.Conv2d(2, 2, 3, padding=1), write, Does(lambda x: x.mul(2).add_(x))])
    for layer in ("1", "2"):
        whole = receptive_field(network, layer, 9, 9).whole
        assert (whole.height, whole.width) == (3, 3)


def into_parts(x: Tensor) -> Tensor:
    made = torch.zeros(len(x), 2, 23, 28)
    made[:, :, 1:-1, 1:-1] = x
    return made


@pytest.mark.parametrize(
    "function, message",
    [
        (attended, "what layer '1' sees is not known: 'bmm' of two values is done on the way"),
        (lambda x: x.flip(2), "is not known: 'flip' is done on the way to it"),
        (lambda x: x[..., :21] + x[..., :21].transpose(2, 3), "of other axes"),
        (
            lambda x: x.view(len(x), 2, 10, 2, 13, 2).sum((3, 5)),
            "'view' of rows or columns in pieces",
        ),
        (into_parts, "'copy_' into a part of a tensor is done on the way to it"),
        (lambda x: torch.ones(len(x), 2, 5, 5) * x.numpy().mean(), "nothing of the screen reaches"),
    ],
)
def test_what_is_not_known_is_said(function: Callable[[Tensor], Tensor], message: str) -> None:
    first = nn.Conv2d(2, 2, 3, padding=1)
    if "pieces" in message:
        first = nn.Conv2d(2, 2, (2, 3), padding=(0, 1))
    network = agent([first, Does(function)])
    assert receptive_field(network, "0", 4, 5).whole.width == 3
    assert receptive_field(network, "output").seen == Box(0, 0, *SCREEN[1:])
    with pytest.raises(ValueError, match=message) as caught:
        receptive_field(network, "1")
    assert "\n" not in str(caught.value)


def test_maps_with_their_channels_last_are_no_layers() -> None:
    """Their units would be rows."""
    turned = [nn.Conv2d(2, 4, 3), Does(lambda x: x.permute(0, 2, 3, 1)), nn.ReLU()]
    network = agent([*turned, Does(lambda x: x.permute(0, 3, 1, 2)), nn.Conv2d(4, 2, 3)])
    assert list(network.layers) == ["0", "3", "4", "flat", "out", "output"]
