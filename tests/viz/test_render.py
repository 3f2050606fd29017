"""The loop: against a plain one, alone and in a batch, on a planted unit, and what it reports."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
import torch
from architectures import network as make_network
from torch.testing import assert_close

import atari_zoo as zoo
from atari_zoo.converters import to_onnx
from atari_zoo.converters.cards import ModelCard
from atari_zoo.converters.network.foreign import ForeignNetwork
from atari_zoo.converters.network.heads import QHead
from atari_zoo.converters.network.networks import SAME, MnihNetwork, Trunk, mnih_convolutions
from atari_zoo.layers import activations
from atari_zoo.viz.attribution.attribution import attribute
from atari_zoo.viz.objectives.batches import diversity
from atari_zoo.viz.objectives.quick_convolution import quickened
from atari_zoo.viz.objectives.units import margin, neuron, output, units
from atari_zoo.viz.objectives.values import Reference, value_reader, values_of
from atari_zoo.viz.parameterizations.fourier import Fourier
from atari_zoo.viz.parameterizations.parameterizations import Pixels
from atari_zoo.viz.render import rescue
from atari_zoo.viz.render.ascent import ORIGINAL
from atari_zoo.viz.render.ascent import Settings as RenderSettings
from atari_zoo.viz.render.pictures import rendered_picture, save_optimization, save_rendered
from atari_zoo.viz.render.rendering import render
from atari_zoo.viz.render.seeds import generators, told_apart
from atari_zoo.viz.render.transforms import Jitter, draws_for


def Settings(**changes) -> RenderSettings:
    """The original zoo's, whose loop can be written down, with changes."""
    return replace(ORIGINAL, **changes)


STILL = Settings(steps=6, transforms=())


@pytest.fixture(scope="module")
def network():
    return make_network("actor-critic")


@pytest.fixture(scope="module")
def agent():
    return zoo.load("dqn/Seaquest/1")


@pytest.fixture(scope="module")
def seen(agent):
    return zoo.rollout(agent, steps=60, envs=1, keep=["screens"]).observations()


def plain_loop(network, name: str, layer: str, unit: int, steps: int) -> torch.Tensor:
    """One image, one unit: as one would write it down from the formulas."""
    image = 0.01 * torch.randn(4, 84, 84, generator=generators(0, [name], "start")[0])
    moves = draws_for([Jitter(3)], 0, [name], steps)[:, 0]
    first, second = torch.zeros_like(image), torch.zeros_like(image)
    for step in range(1, steps + 1):
        pixels = image.clone().requires_grad_()
        padded = torch.nn.functional.pad(pixels.sigmoid()[None], (3, 3, 3, 3), mode="reflect")
        row, column = (moves[step - 1] * 7).int().tolist()
        x = padded[:, :, row : row + 84, column : column + 84]
        for index in (1, 2, 3):
            conv = network.trunk.get_submodule(f"conv{index}")
            before = conv.conv(x)
            if layer == f"conv{index}":
                break
            x = before.relu()
        else:
            before = network.trunk.fc.linear(x.flatten(1))
        (gradient,) = torch.autograd.grad(-before[0, unit].mean(), pixels)
        first = 0.9 * first + 0.1 * gradient  # Adam (Kingma and Ba, 2015), algorithm 1
        second = 0.999 * second + 0.001 * gradient**2
        corrected = first / (1 - 0.9**step), second / (1 - 0.999**step)
        image = image - 0.05 * corrected[0] / (corrected[1].sqrt() + 1e-8)
    return image.sigmoid()


@pytest.mark.parametrize(("layer", "unit"), [("conv2", 3), ("conv3", 10), ("fc", 9)])
def test_is_the_plain_loop(agent, layer, unit):
    name = f"{layer}:{unit}"
    expected = plain_loop(agent, name, layer, unit, steps=4)
    (image,) = render(agent, units(layer, unit), Settings(steps=4)).images
    # Adam's first steps go by the gradient's sign: where that is rounding, a step is .05 off
    assert_close(image.mean(), expected.mean(), atol=1e-4, rtol=0)
    assert ((image - expected).abs() < 1e-4).float().mean() > 0.999


@pytest.mark.parametrize("layer", ["fc", "conv3"])
def test_64_units_in_a_batch_get_the_images_they_get_alone(agent, layer):
    """50 steps; what each sees does not depend on the others, nor does any sum's order: where it
    did, units 2, 25 and 27 of fc were off by a hundredth."""
    together = render(agent, units(layer, range(64)), Settings(steps=50, batch=64))
    for unit in (2, 25, 27):
        alone = render(agent, units(layer, unit), Settings(steps=50))
        assert_close(alone.images[0], together.images[unit], atol=1e-4, rtol=0)


def test_batches_are_cut_without_a_trace(network):
    settings = Settings(steps=3, snapshots=(0, 2))
    whole = render(network, "fc:0..6", settings)
    parts = render(network, "fc:0..6", Settings(steps=3, snapshots=(0, 2), batch=3))
    assert parts.names == whole.names == tuple(f"fc:{unit}" for unit in range(7))
    for field in ("images", "objective", "curve", "steps", "held"):
        assert_close(getattr(parts, field), getattr(whole, field), atol=1e-4, rtol=0)
    assert_close(parts.snapshots, whole.snapshots, atol=1e-4, rtol=0)


def test_copies_start_apart_and_the_first_is_the_one_alone(network):
    assert told_apart(["a", "b", "a", "a"]) == ["a", "b", "a 2", "a 3"]
    rendered = render(network, "fc:1", STILL, copies=3)
    alone = render(network, "fc:1", STILL)
    assert rendered.names == ("fc:1", "fc:1 2", "fc:1 3")
    assert_close(rendered.images[:1], alone.images, atol=1e-4, rtol=0)
    assert (rendered.images[0] - rendered.images[1]).abs().max() > 1e-3


def test_a_seed_repeats(network):
    first, again = (render(network, "fc:1", STILL) for _ in range(2))
    other = render(network, "fc:1", Settings(steps=6, transforms=(), seed=1))
    assert torch.equal(first.images, again.images)
    assert not torch.equal(first.images, other.images)


def planted(sprite: torch.Tensor) -> MnihNetwork:
    """A network whose conv3 unit 5 fires on an 8x8 sprite in the newest frame, and nothing else:
    a matched filter, handed on by single weights."""
    network = MnihNetwork(Trunk(mnih_convolutions((8, 8, 8)), 16), QHead(16, 3), ModelCard())
    with torch.no_grad():
        for layer in ("conv1", "conv2", "conv3"):
            network.layers[layer].conv.weight.zero_()
            network.layers[layer].conv.bias.zero_()
        network.layers["conv1"].conv.weight[2, 3] = sprite - sprite.mean()
        network.layers["conv2"].conv.weight[4, 2, 1, 1] = 1
        network.layers["conv3"].conv.weight[5, 4, 1, 1] = 1
    return network.eval()


SPRITE = torch.tensor(
    [[int(pixel) for pixel in row] for row in
     "00011000 00111100 01111110 11111111 00100100 01011010 10000001 01000010".split()],
    dtype=torch.float32,
)  # fmt: skip


@pytest.mark.parametrize("how", [Pixels(), Fourier(decay=0.0)], ids=["pixels", "waves"])
def test_the_optimum_of_a_planted_unit_is_its_sprite(how):
    settings = Settings(steps=60, transforms=(), parameterization=how)
    (image,) = render(planted(SPRITE), neuron("conv3", 5), settings).images
    # conv3's centre is 3, conv2's row 4, conv1's row 2 * 4 + 1 = 9, from pixel 36 on
    patch = image[3, 36:44, 36:44]
    found = np.corrcoef(patch.flatten(), SPRITE.flatten())[0, 1]
    assert found > 0.9
    if isinstance(how, Fourier):  # a wave is everywhere
        return
    elsewhere = image.clone()
    elsewhere[3, 36:44, 36:44] = 0.5
    assert (elsewhere - 0.5).abs().max() < 0.1 * (patch - 0.5).abs().max()


def test_the_optimum_holds_under_jitter():
    """Moved by up to a pixel, the mean of the places it may fall on still shows the sprite."""
    settings = Settings(steps=200, transforms=(Jitter(1),))
    (image,) = render(planted(SPRITE), neuron("conv3", 5), settings).images
    assert np.corrcoef(image[3, 36:44, 36:44].flatten(), SPRITE.flatten())[0, 1] > 0.5


def silent(sprite: torch.Tensor) -> MnihNetwork:
    """The planted network, its unit so far below zero that no noise wakes it."""
    network = planted(sprite)
    with torch.no_grad():
        network.layers["conv3"].conv.bias[5] = -3
    return network


def test_a_silent_unit_is_rescued_after_its_relu():
    network = silent(SPRITE)
    objective = neuron("conv3", 5, rectified=True)
    lost = render(network, objective, Settings(steps=40, transforms=(), rescue_steps=0))
    saved = render(network, objective, Settings(steps=40, transforms=()))
    assert float(lost.objective) == 0 == float(lost.curve[-1])
    assert float(saved.objective) > 0.1
    assert_close(saved.activation, saved.rectified)
    assert float(lost.activation) < 0 == float(lost.rectified)


def test_redirection_is_lucids_rule_sample_by_sample():
    values = torch.tensor([[-1.0, -2.0, -3.0], [-1.0, 2.0, -3.0], [1.0, 2.0, 3.0]])
    gradient = torch.tensor([[-1.0, 2.0, -3.0], [-4.0, 5.0, 6.0], [7.0, -8.0, 9.0]])
    given = values.clone().requires_grad_()
    relu = torch.nn.ReLU()
    with rescue.redirected([relu]):
        out = relu(given)
    out.backward(gradient)
    # the first sample's gradient is lost whole: what would push values down is not let through
    assert_close(given.grad, torch.tensor([[-1.0, 0, -3.0], [0, 5.0, 0], [7.0, -8.0, 9.0]]))
    assert_close(out, values.relu())
    given.grad = None
    relu(given).backward(gradient)  # closed: an ordinary ReLU again
    assert_close(given.grad[0], torch.zeros(3))


def test_reports_what_the_network_says_of_the_images(agent, seen):
    rendered = render(agent, units("fc", [3, 9, 77]), Settings(steps=20), observations=seen)
    before = activations(agent, rendered.images, ["fc"], before_relu=True)["fc"]
    after = activations(agent, rendered.images, ["fc"])["fc"]
    bytes_ = (rendered.images * 255).round().to(torch.uint8)
    read = activations(agent, bytes_, ["fc"], before_relu=True)["fc"]
    real = activations(agent, seen, ["fc"], before_relu=True)["fc"]
    for index, unit in enumerate([3, 9, 77]):
        reached = before[index, unit]
        assert_close(rendered.activation[index], reached, atol=1e-4, rtol=1e-4)
        assert_close(rendered.rectified[index], after[index, unit], atol=1e-4, rtol=1e-4)
        assert_close(rendered.reread[index], read[index, unit], atol=1e-4, rtol=1e-4)
        below = sum(float(value) < float(reached) for value in real[:, unit])
        assert float(rendered.percentile[index]) == pytest.approx(100 * below / len(real), abs=1)
    assert torch.equal(rendered.bytes, bytes_)


def test_the_percentile_and_the_most_are_of_the_same_quantity_in_play(agent, seen):
    """`conv3:5` is the mean of the map, `conv3:5@max` its largest, in the image and in play."""
    wanted = ["conv3:5", "conv3:5@max", "margin:3", "-fc:3"]
    still = Settings(steps=1, rate=1e-9, transforms=())  # the random start, which is middling
    rendered = render(agent, wanted, still, observations=seen)
    maps = activations(agent, seen, ["conv3"], before_relu=True)["conv3"][:, 5].flatten(1)
    own = activations(agent, rendered.images, ["conv3"], before_relu=True)["conv3"][:, 5]
    real = {"conv3:5": maps.mean(1), "conv3:5@max": maps.amax(1)}
    assert_close(rendered.activation[0], own[0].mean(), atol=1e-4, rtol=1e-4)
    assert_close(rendered.activation[1], own[1].max(), atol=1e-4, rtol=1e-4)
    for name, objective in (("margin:3", margin(3)), ("-fc:3", -units("fc", 3))):
        real[name] = objective(values_of(agent, objective.references, seen))
    for index, name in enumerate(wanted):
        expected = 100 * (real[name] < rendered.activation[index]).float().mean()
        assert_close(rendered.percentile[index], expected, atol=1, rtol=0)
        assert_close(rendered.played[index], real[name].max(), atol=1e-4, rtol=1e-4)


def test_without_observations_there_is_no_percentile(network):
    rendered = render(network, ["fc:1", "-tv"], STILL)
    assert rendered.percentile.isnan().all() and rendered.played.isnan().all()
    with pytest.raises(ValueError, match="give one at least"):
        render(network, "fc:1", STILL, observations=torch.zeros(0, 4, 84, 84))


def test_held_is_false_where_the_optimum_lives_on_transforms(network):
    """Moved by exactly (3, 3) always, the image is right only if it is moved."""

    class Always:
        numbers = 0

        def __call__(self, images, draws):
            return 1 - images

    good = render(network, "fc:5", Settings(steps=30, transforms=()))
    bad = render(network, "fc:5", Settings(steps=30, transforms=(Always(),)))
    assert bool(good.held)
    assert not bool(bad.held)


def test_an_image_that_only_pays_less_did_not_hold(network):
    """A penalty far above what a unit can give leaves an even grey: it rose by that alone."""
    settings = Settings(steps=60, transforms=())
    rendered = render(network, ["fc:5 - 3*tv", "fc:5 - 1e-6*tv", "-l1"], settings)
    grey, _, penalty = range(3)
    assert rendered.objective[grey] > rendered.curve[0, grey]
    assert rendered.images[grey].std() < 0.01
    assert rendered.rose.tolist() == [False, True, True]
    assert rendered.held.tolist()[:2] == [False, True]
    assert rendered.activation[penalty].isnan()


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_images_are_made_where_gradients_are_off(network, mode):
    expected = render(network, "fc:5", STILL).images
    with mode():
        assert_close(render(network, "fc:5", STILL).images, expected)


def test_what_no_image_can_be_made_of_is_refused(network):
    for wrong, message in (
        ({"steps": True}, "steps is True; expected .*a whole number"),
        ({"rate": float("nan")}, "rate is nan; expected more than 0"),
        ({"rescue_steps": -1}, "rescue_steps is -1; expected 0 or more"),
        ({"threshold": float("nan")}, "threshold is nan; expected a finite number"),
    ):
        with pytest.raises(ValueError, match=message):
            Settings(**wrong)
    with pytest.raises(ValueError, match="jitter is 84; images of this size take 0 to 83"):
        render(network, "fc:5", Settings(steps=2, transforms=(Jitter(84),)))
    with pytest.raises(ValueError, match=r"expected 0\.\.1: divide bytes by 255"):
        render(network, "fc:5", STILL, observations=torch.full((2, 4, 84, 84), 200.0))
    broken = make_network("actor-critic")
    with torch.no_grad():
        broken.head.value.weight[0, 0] = torch.nan
    with pytest.raises(ValueError, match=r"weights in 'head\.value\.weight' are not finite"):
        render(broken, "fc:5", STILL)


def test_a_sample_stops_at_its_threshold_and_stays(network):
    free = render(network, "fc:0..3", Settings(steps=12, transforms=()))
    threshold = float(free.curve[6].median())
    settings = Settings(steps=12, transforms=(), threshold=threshold, snapshots=(12,))
    rendered = render(network, "fc:0..3", settings)
    for index in range(4):
        over = (free.curve[:, index] >= threshold).nonzero()
        steps = int(over[0]) if len(over) else 12
        assert int(rendered.steps[index]) == steps
        until = render(network, f"fc:{index}", Settings(steps=max(steps, 1), transforms=()))
        if steps:
            assert_close(rendered.images[index], until.images[0], atol=1e-4, rtol=0)
        assert int(rendered.curve[:, index].isnan().sum()) == max(0, 12 - steps - 1)
    assert 0 < len(set(rendered.steps.tolist())) > 1


def test_no_progress_ends_it():
    """The planted unit's optimum is black and white: once there, nothing gets better."""
    settings = Settings(steps=400, transforms=(), rate=5.0, patience=20)
    rendered = render(planted(SPRITE), neuron("conv3", 5), settings)
    assert int(rendered.steps) < 200
    assert float(rendered.objective) > 0.99 * float((SPRITE - SPRITE.mean()).clamp_min(0).sum())


def test_snapshots_are_the_images_on_the_way(network):
    settings = Settings(steps=4, snapshots=(0, 2, 4))
    rendered = render(network, "fc:5", settings)
    start = 0.01 * torch.randn(4, 84, 84, generator=generators(0, ["fc:5"], "start")[0])
    assert_close(rendered.snapshots[0][0], start.sigmoid())
    assert_close(rendered.snapshots[4], rendered.images)
    assert list(rendered.snapshots) == [0, 2, 4]


def test_what_is_stopped_keeps_what_is_reached(network):
    done: list[int] = []
    rendered = render(
        network,
        "fc:0..8",
        Settings(steps=10, batch=4, transforms=()),
        progress=lambda step, total: done.append(step),
        stopped=lambda: len(done) >= 13,
    )
    assert done == list(range(1, 14))
    assert rendered.names == tuple(f"fc:{unit}" for unit in range(8))  # the third was not begun
    assert rendered.steps.tolist() == [10] * 4 + [3] * 4
    whole = render(network, "fc:0..3", Settings(steps=10, transforms=()))
    assert_close(rendered.images[:4], whole.images, atol=1e-4, rtol=0)


@pytest.mark.parametrize("same", [False, True], ids=["valid", "same"])
def test_the_quick_convolution_is_the_convolution(same):
    network = make_network("actor-critic", same=same)
    quick = quickened(network)
    assert quick is not network
    images = torch.rand(3, 4, 84, 84, generator=torch.Generator().manual_seed(0)).requires_grad_()
    slow, fast = network(images), quick(images)
    assert_close(fast, slow, atol=1e-5, rtol=1e-5)
    gradients = [torch.autograd.grad(out[:, 1].sum(), images)[0] for out in (slow, fast)]
    assert_close(*gradients, atol=1e-6, rtol=1e-4)
    heard = []
    hook = network.trunk.conv1.conv.register_forward_hook(lambda m, i, out: heard.append(out))
    assert quickened(network) is network  # or the hook would not run
    hook.remove()


@pytest.mark.parametrize(
    ("layers", "reached"),
    [(["conv1"], {"conv1"}), (["conv2", "conv1"], {"conv1", "conv2"}), (["fc"], {"fc", "conv3"})],
)
def test_runs_no_further_than_the_deepest_layer(network, layers, reached):
    ran: set[str] = set()
    hooks = [
        network.layers[name].register_forward_hook(lambda *_, name=name: ran.add(name))
        for name in network.layers
    ]
    with value_reader(network, [Reference(layer) for layer in layers]) as read:
        read(torch.zeros(1, 4, 84, 84))
    for hook in hooks:
        hook.remove()
    assert reached <= ran
    assert not ran & ({"output", "value"} | ({"conv3", "fc"} if "fc" not in layers else set()))


def test_what_onnx2torch_makes_is_rendered_alike(network):
    """The same graph as a foreign module: its layers have the graph's names."""
    foreign = ForeignNetwork(to_onnx(network), network.card).eval()
    settings = Settings(steps=4, transforms=())
    with torch.no_grad():
        images = torch.rand(2, 4, 84, 84, generator=torch.Generator().manual_seed(0))
        layer = "fc/linear"  # before the ReLU, which is a module of its own there
        values = values_of(foreign, [Reference(layer)], images)[Reference(layer)]
        expected = values_of(network, [Reference("fc")], images)[Reference("fc")]
    assert_close(values, expected, atol=1e-4, rtol=1e-4)
    ours, theirs = render(network, "fc:5", settings), render(foreign, f"{layer}:5", settings)
    assert float(theirs.objective) > float(theirs.curve[0])
    # names differ, so do the random starts
    assert_close(theirs.objective, ours.objective, atol=0.2 * float(ours.objective), rtol=0)


def test_pixels_that_are_rounded_have_no_gradient(network):
    class Rounding(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inside = deepcopy(network)

        def forward(self, pixels):
            return self.inside((pixels * 255).int() / 255)

    wrapped = zoo.wrap(Rounding(), "Pong")
    with pytest.raises(ValueError, match=r"makes its pixels whole numbers: .* no gradient"):
        render(wrapped, "output:0")
    seen = torch.rand(1, 4, 84, 84)
    with pytest.raises(ValueError, match="makes its pixels whole numbers"):
        attribute(wrapped, seen, "gradient")
    assert attribute(wrapped, seen, "feature_ablation", cells=2).values.abs().sum() > 0


def test_half_precision_weights_and_autocast(network):
    settings = Settings(steps=5, precision=torch.bfloat16, transforms=())
    rendered = render(network, "fc:5", settings)
    assert rendered.images.dtype == torch.float32
    assert float(rendered.objective) > float(rendered.curve[0])
    half = make_network("actor-critic").to(torch.bfloat16)
    rendered = render(half, "fc:5", STILL)
    assert float(rendered.objective) > float(rendered.curve[0])


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA here")
def test_on_cuda_the_same_start_and_a_like_result(network):
    here = render(network, "fc:0..3", STILL)
    there = render(make_network("actor-critic").to("cuda"), "fc:0..3", STILL)
    assert there.images.device.type == "cpu"
    assert_close(there.curve[0], here.curve[0], atol=1e-3, rtol=1e-3)
    assert_close(there.objective, here.objective, atol=1e-2, rtol=1e-2)


REFUSED = {
    "kept": (lambda n: Settings(kept=1.0), "kept is 1.0; expected a share between 0 and 1"),
    "steps": (lambda n: Settings(steps=0), "steps is 0; expected at least 1"),
    "batch": (lambda n: Settings(batch=0), "batch is 0"),
    "rate": (lambda n: Settings(rate=-1.0), "rate is -1.0; expected more than 0"),
    "snapshot": (lambda n: Settings(steps=5, snapshots=[6]), "a snapshot after 6 steps"),
    "copies": (lambda n: render(n, "fc:1", copies=0), "copies is 0"),
    "nothing": (lambda n: render(n, []), "no objective is given"),
    "cut": (
        lambda n: render(n, units("fc", range(4)) + diversity("fc"), Settings(batch=2)),
        "couples its 4 samples",
    ),
    "no pictures": (lambda n: save_optimization(render(n, "fc:1", STILL), "x.mp4"), "no snapshots"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_refuses(what, network):
    call, message = REFUSED[what]
    with pytest.raises(ValueError, match=message):
        call(network)


def test_leaves_the_network_as_it_was(network):
    weights = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    render(network, ["fc:1", "conv2:1:relu"], STILL)
    assert_close(dict(network.state_dict()), weights, atol=0, rtol=0)
    assert all(parameter.grad is None for parameter in network.parameters())
    assert not any(module._forward_hooks for module in network.modules())
    assert all(parameter.requires_grad for parameter in network.parameters())


@pytest.mark.parametrize(("count", "across"), [(1, 1), (4, 1), (5, 2), (17, 4)])
def test_pictures_show_every_frame_of_every_image(network, count, across, tmp_path):
    rendered = render(network, units("fc", range(count)), Settings(steps=1, transforms=()))
    picture = rendered_picture(rendered, factor=1)
    width = 4 * 84 + 3 * 2
    rows = -(-count // across)
    assert picture.shape == (rows * (84 + 50 + 10) + 10, across * (width + 10) + 10, 3)
    newest = picture[10 + 50 : 10 + 50 + 84, 10 + 3 * 86 : 10 + 3 * 86 + 84, 0]
    assert np.array_equal(newest, rendered.bytes[0, 3].numpy())
    save_rendered(rendered, tmp_path / "wanted.png", factor=1)
    assert (tmp_path / "wanted.png").read_bytes()[:4] == b"\x89PNG"


def test_a_movie_has_a_picture_a_snapshot(network, tmp_path):
    import av

    rendered = render(network, output([0, 1]), Settings(steps=4, snapshots=range(5)))
    save_optimization(rendered, tmp_path / "wanted.mp4", fps=5)
    with av.open(str(tmp_path / "wanted.mp4")) as file:
        assert sum(1 for _ in file.decode(video=0)) == 5 + 5


def test_same_padding_is_rendered_too():
    network = make_network("q", same=True)
    assert network.layers["conv1"].shape.padding == SAME[0]
    rendered = render(network, ["conv3:3", "fc:1"], STILL)
    assert (rendered.objective > rendered.curve[0]).all()
