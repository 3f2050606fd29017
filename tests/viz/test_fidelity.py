"""The measures of fidelity, against loops written from their definitions, and the table."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import captum.metrics
import pytest
import small_networks
import torch
from scipy.stats import spearmanr
from small_networks import small_network
from torch.testing import assert_close

from atari_zoo.converters.network.heads import CategoricalHead, QHead
from atari_zoo.viz.attribution.attribution import attribute
from atari_zoo.viz.attribution.cases import case_for
from atari_zoo.viz.attribution.registry import method_named
from atari_zoo.viz.fidelity.fidelity import deletion, insertion, ranks
from atari_zoo.viz.fidelity.infidelity import infidelity, random_squares, sensitivity
from atari_zoo.viz.fidelity.randomization import cascade, learned_layers, rank_correlation
from atari_zoo.viz.fidelity.table import as_frame, as_markdown, fidelity_table

# of small networks; that it is told is tried with the attributions
pytestmark = pytest.mark.filterwarnings("ignore:.* misses the rise:UserWarning")

SIDE = 20


def network(head=QHead):
    return small_network(head, SIDE, width=8, units=16, actions=4)


def pixels(count=2):
    return small_networks.pixels(SIDE, count)


@pytest.fixture
def case():
    net = network()
    return case_for(net, pixels(), method_named("integrated_gradients"), 2)


@pytest.fixture
def values(case):
    return attribute(case.network, case.observations, target=2).values


@pytest.mark.parametrize("substrate", ["black", "random"])
@pytest.mark.parametrize("measure", [insertion, deletion])
def test_curves_are_the_loop(case, values, measure, substrate):
    curve = measure(case, values, substrate, step=30)
    noise = torch.rand(2, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    blank = torch.zeros(2, SIDE, SIDE) if substrate == "black" else noise
    for row, (one, map_) in enumerate(zip(case.observations, values, strict=True)):
        sums = map_.sum(dim=0).flatten().tolist()
        order = sorted(range(SIDE**2), key=lambda pixel: -sums[pixel])
        first, last = (blank, one) if measure is insertion else (one, blank)
        expected = []
        for count in [*range(0, SIDE**2, 30), SIDE**2]:
            changed = first.clone()
            for pixel in order[:count]:
                changed[:, pixel // SIDE, pixel % SIDE] = last[:, pixel // SIDE, pixel % SIDE]
            with torch.no_grad():
                expected.append(float(case.network(changed[None])[0, 2]))
        assert_close(curve.scores[row], torch.tensor(expected), atol=1e-4, rtol=1e-4)
        end = expected[0] if measure is insertion else expected[-1]
        # the last step has 10 pixels, the others 30
        parts = [(a + b) / 2 for a, b in pairwise(expected)]
        mean = (30 * sum(parts[:-1]) + 10 * parts[-1]) / SIDE**2
        assert float(curve.area[row]) == pytest.approx(mean - end, abs=1e-4)


@pytest.mark.parametrize("step", [7, 150, 390, 1000])
def test_the_area_under_a_line_is_half_its_rise(step):
    """However coarse the steps: a target that is the number of white pixels rises in a line."""
    net = small_network(QHead, SIDE, width=8, units=16, actions=4)
    net.forward = lambda seen: seen.sum(dim=(1, 2, 3))[:, None] * torch.ones(4)
    white = torch.ones(1, 2, SIDE, SIDE)
    case = case_for(net, white, method_named("occlusion"), 0)
    order = torch.rand(1, 1, SIDE, SIDE, generator=torch.Generator().manual_seed(2))
    for measure in (insertion, deletion):
        assert float(measure(case, order, step=step).area) == pytest.approx(SIDE**2, rel=1e-5)


def test_a_map_for_all_frames_orders_the_same_pixels(case, values):
    one = values.sum(dim=1, keepdim=True)
    assert_close(insertion(case, one).scores, insertion(case, values).scores)


def test_attributions_beat_their_reverse(case, values):
    assert (insertion(case, values).area > insertion(case, -values).area).all()
    assert (deletion(case, values).area < deletion(case, -values).area).all()


def test_equal_values_keep_their_order():
    assert torch.equal(ranks(torch.zeros(1, 1, 2, 3)), torch.arange(6.0).reshape(1, 2, 3))


def test_refuses_values_of_other_pixels(case, values):
    with pytest.raises(ValueError, match="expected values of each observation's pixels"):
        insertion(case, values[:, :, 1:])
    with pytest.raises(ValueError, match="no substrate 'grey'; there are black, blurred, random"):
        deletion(case, values, "grey")
    with pytest.raises(ValueError, match="step is 0"):
        deletion(case, values, step=0)
    with pytest.raises(ValueError, match="values are not finite numbers"):
        insertion(case, values / 0)
    of = method_named("integrated_gradients")
    for wrong in ({"samples": 0}, {"radius": 0.0}, {"radius": float("nan")}):
        with pytest.raises(ValueError, match=f"{next(iter(wrong))} is"):
            sensitivity(of, case, values, **wrong)
    with pytest.raises(ValueError, match="samples is 0; it must be at least 1"):
        infidelity(of, case, values, samples=0)


def test_rank_correlation_is_spearmans():
    generator = torch.Generator().manual_seed(0)
    first = torch.randint(6, (3, 1, 9, 9), generator=generator).float()  # with many equal values
    second = first + torch.randint(6, (3, 1, 9, 9), generator=generator)
    second[2] = 1  # nothing to order
    found = rank_correlation(first, second)
    for row in range(2):
        expected = spearmanr(first[row].flatten(), second[row].flatten()).statistic
        assert float(found[row]) == pytest.approx(expected, abs=1e-6)
    assert found[2] == 0


def test_the_cascade_goes_down_from_the_output(case):
    of = method_named("gradient")
    before = {name: weight.clone() for name, weight in case.network.state_dict().items()}
    found = cascade(of, case)
    assert list(found) == ["output", "fc", "conv2", "conv1"]
    assert learned_layers(case.network) == ["conv1", "conv2", "fc", "output"]
    assert all(torch.equal(case.network.state_dict()[name], before[name]) for name in before)
    assert float(found["conv1"].abs().max()) < 0.5
    # what reads no weights at all stays as it is
    assert_close(cascade(method_named("chance"), case)["conv1"], torch.ones(2))


def test_each_layer_of_the_cascade_is_drawn_as_torch_begins(case):
    """The last step is a network of new weights: its attribution, made from the same draws."""
    of, generator = method_named("gradient"), case.generator()
    other = network()
    for module in (
        other.head.output,
        other.trunk.fc.linear,
        other.trunk.conv2.conv,
        other.trunk.conv1.conv,
    ):
        bound = module.weight[0].numel() ** -0.5
        with torch.no_grad():
            for parameter in (module.weight, module.bias):
                parameter.copy_(
                    torch.rand(parameter.shape, generator=generator) * 2 * bound - bound
                )
    mine = attribute(other, case.observations, "gradient", 2).values
    trained = attribute(case.network, case.observations, "gradient", 2).values
    expected = rank_correlation(trained.abs(), mine.abs())
    assert_close(cascade(of, case)["conv1"], expected, atol=1e-4, rtol=0)


def test_infidelity_is_captums(case, values):
    """With the same squares; Captum's perturbation is subtracted, and its values per pixel taken
    are relative to the difference from the baseline."""
    of = method_named("integrated_gradients")
    squares = random_squares(40, 5, case.observations.shape[2:], case.generator())[:, None]

    def perturb(inputs):
        each = len(inputs) // 2
        masks = squares[:each].repeat(2, 2, 1, 1)
        return masks, inputs * (1 - masks)

    expected = captum.metrics.infidelity(
        case.score,
        perturb,
        case.observations,
        values,
        additional_forward_args=case.score.arguments,
        n_perturb_samples=40,
    )
    found = infidelity(of, case, values, size=5, samples=40, scaled=False)
    assert_close(found, expected, atol=1e-4, rtol=1e-3)


def test_scaled_infidelity_needs_no_units(case, values):
    of = method_named("integrated_gradients")
    one, other = (infidelity(of, case, factor * values) for factor in (1.0, -7.0))
    assert_close(one, other, atol=1e-5, rtol=1e-4)
    assert ((one >= 0) & (one <= 1)).all()
    nothing = infidelity(of, case, torch.zeros_like(values))
    assert_close(nothing, torch.ones(2))


def test_of_a_linear_network_infidelity_is_nothing(case):
    """The values in a square are then what the output falls by; slopes need the difference."""
    linear = network()
    for layer in (linear.trunk.conv1, linear.trunk.conv2, linear.trunk.fc):
        layer.relu = torch.nn.Identity()
    for name in ("integrated_gradients", "gradient"):
        of = method_named(name)
        at = case_for(linear, pixels(), of, 2)
        found = infidelity(of, at, attribute(linear, pixels(), name, 2).values, scaled=False)
        assert_close(found, torch.zeros(2), atol=1e-8, rtol=0)


def test_sensitivity_is_the_largest_change(case, values):
    of, generator = method_named("integrated_gradients"), case.generator()
    found = sensitivity(of, case, values, radius=0.05, samples=3)
    largest = torch.zeros(2)
    for _ in range(3):
        noise = 0.05 * (torch.rand(2, SIDE, SIDE, generator=generator) * 2 - 1)
        near = replace(case, observations=case.observations + noise)
        change = of.function(near) - values
        largest = torch.maximum(largest, change.flatten(1).norm(dim=1))
    assert_close(found, largest / values.flatten(1).norm(dim=1))
    assert (found > 0).all()


def test_squares_lie_on_the_screen():
    squares = random_squares(500, 5, torch.Size((20, 9)), torch.Generator().manual_seed(0))
    assert squares.shape == (500, 20, 9)
    assert_close(squares.sum(dim=(1, 2)), torch.full((500,), 25.0))
    assert (squares.sum(dim=0) > 0).all()
    with pytest.raises(ValueError, match="size is 10; expected 1 to 9"):
        random_squares(1, 10, torch.Size((20, 9)), torch.Generator())


def test_the_table_is_refused_as_a_whole():
    """What is wrong for all methods is no row of each."""
    with pytest.raises(ValueError, match="no substrate 'grey'; there are black, blurred, random"):
        fidelity_table(network(), pixels(), ["chance"], substrate="grey")
    with pytest.raises(ValueError, match="no observations: there is nothing to measure on"):
        fidelity_table(network(), pixels()[:0], ["chance"])


def test_the_table():
    net = network(lambda features, actions: CategoricalHead(features, actions, torch.arange(5.0)))
    ticks = []
    rows = fidelity_table(
        net,
        pixels(),
        ["chance", "deeplift", "input_x_gradient", "grad_cam"],
        progress=lambda done, total, text: ticks.append((done, total, text)),
    )
    assert [row.method for row in rows][-1] == "deeplift"
    assert "explain an atom" in rows[-1].refused
    areas = [row.insertion for row in rows[:-1]]
    assert areas == sorted(areas, reverse=True)
    by_name = {row.method: row for row in rows}
    assert by_name["chance"].all == pytest.approx(1)
    assert abs(by_name["input_x_gradient"].all) < 0.9
    assert by_name["chance"].sensitivity == 0
    assert ticks[0] == (0, 4, "chance") and ticks[-1] == (4, 4, "")
    markdown = as_markdown(rows)
    assert markdown.splitlines()[0].startswith("| method | insertion | deletion | top | all |")
    assert len([line for line in markdown.splitlines() if line.startswith("|")]) == 5
    assert "- deeplift would be wrong" in markdown
    frame = as_frame(rows)
    assert list(frame.method) == [row.method for row in rows]
    assert "insertion" in frame.to_csv(index=False)
