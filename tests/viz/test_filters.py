"""The filter picture: colours say the weights' signs, every filter and frame has its place."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from atari_zoo.converters.network.heads import QHead
from atari_zoo.converters.network.networks import MnihNetwork, Trunk, mnih_convolutions
from atari_zoo.viz.filters import filter_picture, save_filters

FACTOR = 5


def network_with(weights: torch.Tensor) -> MnihNetwork:
    trunk = Trunk(mnih_convolutions((len(weights), 8, 8)), units=8)
    network = MnihNetwork(trunk, QHead(8, actions=3))
    with torch.no_grad():
        network.layers["conv1"].conv.weight.copy_(weights)
    return network


def box(mask: np.ndarray) -> tuple[int, int, int, int]:
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return rows[0], columns[0], rows[-1] + 1, columns[-1] + 1


def tile(which: int, frame: int, value: float, filters: int = 32) -> tuple[int, int, int, int]:
    """Where the picture has colour if this one filter and frame do: top, left, bottom, right."""
    weights = torch.zeros(filters, 4, 8, 8)
    weights[which, frame] = value
    picture = filter_picture(network_with(weights), FACTOR)[:-40].astype(int)  # without the legend
    return box((picture[..., 0] - picture[..., 2]) * np.sign(value) > 40)


@pytest.mark.parametrize("value", [0.3, -0.3])
@pytest.mark.parametrize("which", [0, 7, 8, 31])
def test_a_filter_fills_its_cells_in_the_colour_of_its_sign(which, value):
    boxes = [tile(which, frame, value) for frame in range(4)]
    for top, left, bottom, right in boxes:
        assert (bottom - top, right - left) == (8 * FACTOR, 8 * FACTOR)
    assert len({top for top, *_ in boxes}) == 1
    # the frames follow one another from left to right, a pixel apart
    lefts = [left for _, left, *_ in boxes]
    assert np.diff(lefts).tolist() == [8 * FACTOR + 1] * 3


@pytest.mark.parametrize("filters", [17, 40])
def test_no_two_filters_share_a_place(filters):
    places = {tile(which, 0, 1.0, filters)[:2] for which in range(filters)}
    assert len(places) == filters


def test_every_weight_has_the_colour_of_its_sign_and_size():
    generator = torch.Generator().manual_seed(0)
    weights = torch.zeros(32, 4, 8, 8)
    weights[5, 2] = torch.rand(8, 8, generator=generator) * 2 - 1
    top, left, *_ = tile(5, 2, 1.0)
    picture = filter_picture(network_with(weights), FACTOR).astype(int)
    cells = picture[top : top + 8 * FACTOR : FACTOR, left : left + 8 * FACTOR : FACTOR]
    warmth = cells[..., 0] - cells[..., 2]
    expected = weights[5, 2].numpy()
    np.testing.assert_array_equal(np.sign(warmth), np.sign(expected))
    # the larger a weight, the less green: the middle of the colours is white
    order = np.argsort(np.abs(expected[expected > 0]))
    assert (np.diff(cells[..., 1][expected > 0][order]) <= 0).all()


def test_zero_is_colourless_where_weights_are_lopsided():
    """One scale around zero: stretching least to most would colour zero here."""
    weights = torch.full((32, 4, 8, 8), 0.0)
    weights[0, 0] = 1.0
    weights[1, 0] = -0.1
    top, left, *_ = tile(9, 0, 1.0)
    picture = filter_picture(network_with(weights), FACTOR)
    # the middle of ColorBrewer's RdBu
    assert (picture[top : top + 8 * FACTOR, left : left + 8 * FACTOR] == 0xF7).all()


def test_saves_the_same_picture(tmp_path, random_agent):
    network = random_agent()
    save_filters(network, tmp_path / "filters.png")
    with Image.open(tmp_path / "filters.png") as image:
        np.testing.assert_array_equal(np.asarray(image), filter_picture(network))
    assert [path.name for path in tmp_path.iterdir()] == ["filters.png"]


def test_refuses_a_factor_below_one(random_agent):
    with pytest.raises(ValueError, match="factor is 0; it must be at least 1"):
        filter_picture(random_agent(), factor=0)


def test_a_network_that_diverged_has_no_picture():
    network = MnihNetwork(Trunk(), QHead(512, 4)).eval()
    with torch.no_grad():
        network.layers["conv1"].conv.weight[0, 0, 0, 0] = torch.inf
    with pytest.raises(ValueError, match=r"weights in 'trunk\.conv1\.conv\.weight' are not finite"):
        filter_picture(network)
