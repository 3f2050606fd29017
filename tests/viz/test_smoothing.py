"""Smooth images: as smooth as what they reach allows; and what else stands on their sheet."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.testing import assert_close

import atari_zoo as zoo
from atari_zoo.viz.images import diverging
from atari_zoo.viz.objectives.joining import joined
from atari_zoo.viz.objectives.text import parse
from atari_zoo.viz.render.ascent import ORIGINAL, Settings
from atari_zoo.viz.render.first_filters import asked_filters
from atari_zoo.viz.render.pictures import FRAME, HEAD, rendered_picture
from atari_zoo.viz.render.rendering import render
from atari_zoo.viz.render.results import Rendered
from atari_zoo.viz.render.smoothing import Smoothing

WANTED = ["conv3:10", "fc:3", "fc:3 - 1e-9*tv"]
STEPS = 256


@pytest.fixture(scope="module")
def agent():
    return zoo.load("dqn/Seaquest/1")


@pytest.fixture(scope="module")
def smooth(agent) -> Rendered:
    return render(agent, WANTED, Settings(steps=STEPS))


def variation(images: torch.Tensor) -> torch.Tensor:
    """The sum over an image of the differences between neighbours, pixel by pixel."""
    total = []
    for image in images.numpy():
        down, right = np.abs(np.diff(image, axis=1)).sum(), np.abs(np.diff(image, axis=2)).sum()
        total.append(float(down + right))
    return torch.tensor(total)


def test_they_are_smoother_and_keep_their_share(smooth):
    """Beside the same without a penalty, which the third has: its own is as good as none."""
    own = variation(smooth.images)
    assert own[1] < 0.5 * own[2]
    # while they move: standing still, what suits one place is reached by more
    gained = smooth.curve[-16:, :2].mean(dim=0) - smooth.curve[0, :2]
    kept = gained / (smooth.reach[:2] - smooth.curve[0, :2])
    assert ((kept > 0.4) & (kept < 0.8)).all(), kept
    assert smooth.weights[:2].min() > 0 and smooth.weights[2] == 0
    # units differ in scale, and so do the weights that are found for them
    assert (smooth.weights[0] / smooth.weights[1] - 1).abs() > 0.5


def test_more_is_kept_where_more_is_asked_for(agent, smooth):
    rough = render(agent, "fc:3", Settings(steps=STEPS, kept=0.9))
    assert rough.activation[0] > smooth.activation[1]
    assert variation(rough.images)[0] > variation(smooth.images)[1]


def test_what_is_stopped_before_it_is_smoothed_keeps_what_is_reached(agent):
    done: list[int] = []
    rendered = render(
        agent,
        "fc:3",
        Settings(steps=40, snapshots=(0, 40)),
        progress=lambda step, total: done.append(total),
        stopped=lambda: len(done) >= 5,
    )
    assert rendered.steps.tolist() == [5] and done == [60] * 5
    assert rendered.images.std() > 0.01 and rendered.activation > rendered.curve[0]
    assert len(rendered.curve) == 40 and list(rendered.snapshots) == [0]


def test_weights_grow_while_more_is_kept_than_asked_for():
    probed = torch.linspace(0, 10, 50)[:, None].repeat(1, 3)
    smoothing = Smoothing(probed, 0.5, torch.tensor([1.0, 1.0, 0.0]))
    before = smoothing.weights.clone()
    smoothing.adapt(torch.tensor([9.0, 1.0, 9.0]))
    assert smoothing.weights[0] > before[0] > 0 and 0 < smoothing.weights[1] < before[1]
    assert smoothing.weights[2] == 0 == before[2]
    assert_close(smoothing.reach, probed[-8:].mean(0))


def test_what_failed_says_so(agent):
    rendered = render(agent, ["fc:3", "-1*fc:3:relu"], Settings(steps=4, kept=None, transforms=()))
    fields = vars(rendered) | {
        "rose": torch.tensor([False, True]),
        "held": torch.tensor([False, False]),
        "rectified": torch.tensor([1.0, 1.0]),
    }
    assert Rendered(**fields).failures == ("failed: it did not rise", "failed: it did not hold")
    fields |= {
        "rose": torch.tensor([True, True]),
        "held": torch.tensor([True, True]),
        "activation": torch.tensor([-2.0, 2.0]),
        "rectified": torch.tensor([0.0, 2.0]),
    }
    assert Rendered(**fields).failures == ("failed: its ReLU lets nothing through", "")


def test_filters_of_the_first_layer_are_found(agent):
    texts = ["conv1:3", "conv1:5@max", "conv2:1", "conv1:2 + conv2:1", "fc:1"]
    found = asked_filters(agent, joined([parse(text, agent) for text in texts]))
    weights = agent.layers["conv1"].conv.weight.detach()
    assert set(found) == {0, 1}
    assert_close(found[0], weights[3])
    assert_close(found[1], weights[5])


def test_the_sheet_shows_controls_in_a_frame_first_and_filters_as_they_are(agent):
    rendered = render(agent, ["conv1:3", "fc:1"], Settings(steps=2, kept=None))
    control = render(zoo.load("dqn/Seaquest/1@initial"), "fc:1", Settings(steps=2, kept=None))
    filters = asked_filters(agent, joined([parse(t, agent) for t in ("conv1:3", "fc:1")]))
    plain = rendered_picture(rendered, 1, 1)
    picture = rendered_picture(
        rendered, 1, 1, control=control, filters=filters, title="whose", notes=["how"]
    )
    tall = HEAD + 84 + 10
    assert len(picture) > len(plain) + tall + 30
    top = 30 + 10 + HEAD  # of the first image: the title, the gap, its captions
    assert tuple(picture[top, 10]) == FRAME
    newest = picture[top + 10 : top + 70, 10 + 3 * 86 + 10 : 10 + 3 * 86 + 70, 0]
    assert np.array_equal(newest, control.bytes[0, 3, 10:70, 10:70].numpy())
    kernel = filters[0][3].numpy()
    colours = diverging(kernel, float(filters[0].abs().max())).repeat(10, 0).repeat(10, 1)
    second = picture[top + tall : top + tall + 84, 10 + 3 * 86 : 10 + 3 * 86 + 84]
    assert np.array_equal(second[2:82, 2:82], colours)


def test_the_original_is_as_it_was():
    assert (ORIGINAL.steps, ORIGINAL.kept, ORIGINAL.transforms[0].pixels) == (512, None, 3)
