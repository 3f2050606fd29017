"""Pictures of attributions: lit where the values are, in the colours they should have."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from atari_zoo.viz.images import resized
from atari_zoo.viz.saliency.method_sheets import ShownMethod, methods_sheet
from atari_zoo.viz.saliency.overlays import frame_strip, overlay, signed_overlay, two_colours
from atari_zoo.viz.saliency.pictures import explanation


def values(frames=4):
    return np.zeros((frames, 84, 84), np.float32)


@pytest.mark.parametrize("height", [210, 250])
def test_the_overlay_lights_up_where_the_attributions_are(height):
    frame, map_ = np.full((height, 160, 3), 60, np.uint8), values()
    map_[3, 60:66, 20:26], map_[0, 60:66, 20:26] = 1, -1  # opposite signs do not cancel
    picture = overlay(frame, map_, factor=2).astype(int)
    assert picture.shape == (height * 2, 320, 3)
    lit = picture.sum(axis=2) > picture[0, 0].sum() + 60
    rows, columns = np.nonzero(lit)
    # the middle of the square, carried over to the frame: 1 pixel of 84 is at most 6 of these
    assert rows.mean() == pytest.approx(63 / 84 * height * 2, abs=6)
    assert columns.mean() == pytest.approx(23 / 84 * 320, abs=6)
    assert lit.mean() < 0.02


@pytest.mark.parametrize("resize", ["area", "triangle", "bilinear"])
def test_a_map_is_enlarged_as_the_screen_was_made_smaller(resize):
    map_ = np.random.default_rng(0).random((84, 84), np.float32)
    found = resized(map_, 210, 160, resize)
    expected = F.interpolate(
        torch.from_numpy(map_)[None, None], (210, 160), mode="bilinear",
        align_corners=resize == "bilinear",
    )  # fmt: skip
    np.testing.assert_allclose(found, expected[0, 0].numpy(), atol=1e-5)


def test_the_overlays_scale_may_be_given():
    """A movie's scale: what is weak in it is dim, though it is the frame's strongest."""
    frame, map_ = np.full((210, 160, 3), 60, np.uint8), values(1)
    map_[0, 30:40, 30:40] = 1
    alone, weak = (overlay(frame, map_, 1, scale).astype(int) for scale in (None, 10.0))
    at = (87, 66)
    assert alone[at].sum() > weak[at].sum() + 100


def test_the_strip_shows_signs_frame_by_frame():
    observation, map_ = np.full((4, 84, 84), 100, np.uint8), values()
    map_[1, 30:40, 30:40], map_[3, 30:40, 30:40] = 1, -1
    picture = frame_strip(observation, map_, factor=1).astype(int)
    assert picture.shape == (84, 4 * 84 + 3 * 2, 3)
    # of sizes, which have no sign: cyan
    sizes = frame_strip(observation, np.abs(map_), factor=1, signed=False).astype(int)
    assert sizes[34, 34 + 86].sum() > sizes[34, 34].sum() + 100
    assert sizes[34, 34 + 86, 1:].min() > sizes[34, 34 + 86, 0] + 100
    warmth = [
        int(picture[34, 34 + frame * 86, 0] - picture[34, 34 + frame * 86, 2]) for frame in range(4)
    ]
    assert warmth[1] > 60 > warmth[0] == warmth[2] == 0 > -60 > warmth[3]


def test_nothing_attributed_is_nothing_lit():
    picture = overlay(np.full((210, 160, 3), 60, np.uint8), values())
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) == 1


def test_the_actor_is_cyan_and_the_critic_pink():
    frame = np.full((210, 160, 3), 60, np.uint8)
    actor, critic = values(2)
    actor[10:20, 10:20], critic[60:70, 60:70] = 1, 1
    picture = two_colours(frame, actor, critic, factor=1).astype(int)
    assert picture.shape == (210, 160, 3)
    red, green, blue = picture[37, 28]
    assert min(green, blue) > red + 100
    red, green, blue = picture[162, 123]
    assert red > green + 80 and blue > green
    assert picture[100, 40].tolist() == [39] * 3  # elsewhere: the frame, dimmed by no more
    under = two_colours(np.full_like(frame, 160), actor, critic, factor=1).astype(int)
    assert (under[37, 28] != picture[37, 28]).any()  # the game is seen through the full colour
    without = two_colours(frame, actor, None, factor=1).astype(int)
    assert len(np.unique(without[162, 123])) == 1


@pytest.mark.parametrize("covered", [1, 4])
def test_a_decision_explained_holds_its_parts(covered):
    frame = np.random.default_rng(0).integers(0, 255, (210, 160, 3), np.uint8)
    seen = np.random.default_rng(1).integers(0, 255, (4, 84, 84), np.uint8)
    map_ = values(covered)
    map_[-1, 30:40, 30:40] = 1
    picture = explanation(frame, seen, map_, "title", ["one", "two"])
    parts = (
        frame.repeat(2, 0).repeat(2, 1),
        overlay(frame, map_),
        frame_strip(seen[-covered:], map_),
    )
    assert all(holds(picture, part) for part in parts)


def test_a_sheet_of_methods_holds_each_beside_its_control():
    frame = np.random.default_rng(0).integers(0, 255, (210, 160, 3), np.uint8)
    rng = np.random.default_rng(1)
    signed, control = rng.normal(size=(2, 4, 84, 84)).astype(np.float32)
    sizes = np.abs(signed)
    picture = methods_sheet(
        frame,
        [ShownMethod("a", signed, True, control, 0.5), ShownMethod("b", sizes, False)],
        "title",
        "what is explained",
        ["refused"],
    )
    strongest = np.where(signed.max(0) > -signed.min(0), signed.max(0), signed.min(0))
    scale = float(np.percentile(np.abs(strongest), 99.8))
    parts = frame, signed_overlay(frame, strongest, scale), overlay(frame, sizes, 1)
    assert all(holds(picture, part) for part in parts)
    # the control is in a scale of its own: eight times as large, it looks the same
    larger = methods_sheet(
        frame, [ShownMethod("a", signed, True, 8 * control, 0.5)], "title", notes=["refused"]
    )
    furthest = np.take_along_axis(control, np.abs(control).argmax(0)[None], 0)[0]
    scale = float(np.percentile(np.abs(furthest), 99.8))
    drawn = signed_overlay(frame, furthest, scale)
    assert holds(picture, drawn) and holds(larger, drawn)
    with pytest.raises(ValueError, match="a sheet needs at least one"):
        methods_sheet(frame, [], "title")


def test_signs_are_red_and_blue_on_a_grey_game():
    frame = np.full((210, 160, 3), (0, 0, 200), np.uint8)  # a blue game
    map_ = values(1)[0]
    map_[10:20, 10:20], map_[60:70, 60:70] = 1, -1
    picture = signed_overlay(frame, map_, scale=1.0).astype(int)
    red, blue, elsewhere = picture[37, 28], picture[162, 123], picture[100, 40]
    assert red[0] > red[2] + 80 and blue[2] > blue[0] + 80
    assert len(set(elsewhere.tolist())) == 1


def holds(picture, part) -> bool:
    height, width = part.shape[:2]
    rows, columns = picture.shape[0] - height + 1, picture.shape[1] - width + 1
    return any(
        np.array_equal(picture[r : r + height, c : c + width], part)
        for r in range(rows)
        for c in range(columns)
        if np.array_equal(picture[r, c : c + width], part[0])
    )
