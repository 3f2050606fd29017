"""Objectives: each against plain loops, their arithmetic, their text, and that steps raise them."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from architectures import network as make_network
from torch.testing import assert_close

from atari_zoo.units.texts import TextError, parse_units
from atari_zoo.viz.objectives import batches as batch_objectives
from atari_zoo.viz.objectives import directions
from atari_zoo.viz.objectives import penalties as image_objectives
from atari_zoo.viz.objectives import units as unit_objectives
from atari_zoo.viz.objectives.checks import check_objective
from atari_zoo.viz.objectives.joining import joined
from atari_zoo.viz.objectives.objectives import Objective
from atari_zoo.viz.objectives.text import parse
from atari_zoo.viz.objectives.values import IMAGE, Reference, value_reader, values_of
from atari_zoo.viz.parameterizations.parameterizations import Pixels
from atari_zoo.viz.render.ascent import ORIGINAL
from atari_zoo.viz.render.rendering import render

BATCH = 3
MAPS = torch.randn(BATCH, 6, 5, 4, generator=torch.Generator().manual_seed(1))
UNITS = torch.randn(BATCH, 7, generator=torch.Generator().manual_seed(2))
PAIRS = torch.randn(BATCH, 4, 5, generator=torch.Generator().manual_seed(3))
IMAGES = torch.rand(BATCH, 4, 6, 5, generator=torch.Generator().manual_seed(4))
VALUES = {
    Reference("conv3"): MAPS,
    Reference("conv3", True): MAPS.relu(),
    Reference("fc"): UNITS,
    Reference("output"): UNITS,
    Reference("value"): UNITS[:, :1],
    Reference("atoms"): PAIRS,
    IMAGE: IMAGES,
}
CHANNELS = torch.tensor([0.5, -1.0, 2.0, 0.0, 1.0, -0.3])
SEVEN = torch.tensor([1.0, -2.0, 0.5, 0.0, 3.0, 1.0, -1.0])


def numbers(tensor: torch.Tensor) -> list[float]:
    return [float(value) for value in tensor.flatten()]


def mean(values: list[float]) -> float:
    return sum(values) / len(values)


def dot(first: list[float], second: list[float]) -> float:
    return sum(a * b for a, b in zip(first, second, strict=True))


def cosine(first: list[float], second: list[float]) -> float:
    return dot(first, second) / math.sqrt(dot(first, first) * dot(second, second))


def over_places(function) -> list[float]:
    """The mean over the map of a function of the channels and CHANNELS."""
    return [
        mean(
            [
                function(numbers(MAPS[sample, :, row, column]), numbers(CHANNELS))
                for row in range(5)
                for column in range(4)
            ]
        )
        for sample in range(BATCH)
    ]


def variation(image: torch.Tensor) -> float:
    total = 0.0
    for frame in image:
        for row in range(6):
            for column in range(5):
                if row < 5:
                    total += abs(float(frame[row + 1, column] - frame[row, column]))
                if column < 4:
                    total += abs(float(frame[row, column + 1] - frame[row, column]))
    return total


def rough(image: torch.Tensor) -> float:
    total = 0.0
    for frame in image:
        for row in range(6):
            for column in range(5):
                around = frame[max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2]
                total += float(frame[row, column] - around.mean()) ** 2 / 2
    return total


def length(values: list[float]) -> float:
    return math.sqrt(dot(values, values))


def gram(sample: int) -> list[float]:
    rows = [numbers(MAPS[sample, channel]) for channel in range(6)]
    return [dot(first, second) for first in rows for second in rows]


def unlike(sample: int) -> float:
    others = [other for other in range(BATCH) if other != sample]
    return -mean([cosine(gram(sample), gram(other)) for other in others])


def apart(first: int, second: int) -> float:
    return mean([d * d for d in numbers(IMAGES[first] - IMAGES[second])])


def kind(cosine_of) -> float:
    return max(0.1, cosine_of)


# name -> (objective, what it is of each sample, by plain loops)
ORACLES = {
    "channel": (
        unit_objectives.units("conv3", [2, 0, 5]),
        [mean(numbers(MAPS[i, c])) for i, c in enumerate([2, 0, 5])],
    ),
    "channel after the ReLU": (
        unit_objectives.units("conv3", 2, rectified=True),
        [mean([max(v, 0) for v in numbers(MAPS[i, 2])]) for i in range(BATCH)],
    ),
    "unit": (unit_objectives.units("fc", range(3)), [float(UNITS[i, i]) for i in range(3)]),
    "neuron": (
        unit_objectives.neuron("conv3", 4, (3, 1)),
        [float(MAPS[i, 4, 3, 1]) for i in range(BATCH)],
    ),
    "centre neuron": (
        unit_objectives.neuron("conv3", [0, 1, 2]),
        [float(MAPS[i, i, 2, 2]) for i in range(BATCH)],
    ),
    "peak": (
        unit_objectives.peak("conv3", [2, 0, 5]),
        [max(numbers(MAPS[i, c])) for i, c in enumerate([2, 0, 5])],
    ),
    "layer": (
        unit_objectives.whole_layer("conv3"),
        [mean([v * v for v in numbers(m)]) for m in MAPS],
    ),
    "output": (unit_objectives.output(6), [float(row[6]) for row in UNITS]),
    "value": (unit_objectives.value(), [float(row[0]) for row in UNITS]),
    "atom": (unit_objectives.pair("atoms", 3, 1), [float(table[3, 1]) for table in PAIRS]),
    "margin": (
        unit_objectives.margin([1, 2, 3]),
        [
            float(UNITS[i, a]) - max(float(UNITS[i, b]) for b in range(7) if b != a)
            for i, a in enumerate([1, 2, 3])
        ],
    ),
    "group": (
        unit_objectives.group("fc", {1: 0.5, 4: -2.0}),
        [0.5 * float(row[1]) - 2 * float(row[4]) for row in UNITS],
    ),
    "interpolation": (
        unit_objectives.interpolation(
            unit_objectives.units("fc", 1), unit_objectives.units("conv3", 2), BATCH
        ),
        [
            (1 - i / 2) * float(UNITS[i, 1]) + i / 2 * mean(numbers(MAPS[i, 2]))
            for i in range(BATCH)
        ],
    ),
    "dot": (directions.dot("conv3", CHANNELS), over_places(dot)),
    "dot of units": (directions.dot("fc", SEVEN), [dot(numbers(r), numbers(SEVEN)) for r in UNITS]),
    "dot at a place": (
        directions.dot("conv3", CHANNELS, (4, 0)),
        [dot(numbers(m[:, 4, 0]), numbers(CHANNELS)) for m in MAPS],
    ),
    "cosine": (directions.cosine("conv3", CHANNELS), over_places(cosine)),
    "cosine of units": (
        directions.cosine("fc", SEVEN),
        [cosine(numbers(row), numbers(SEVEN)) for row in UNITS],
    ),
    "dot and cosine": (
        directions.dot_cosine("conv3", CHANNELS, power=2.0),
        over_places(lambda a, b: dot(a, b) * kind(cosine(a, b)) ** 2),
    ),
    "dot and cosine at a place": (
        directions.dot_cosine("conv3", CHANNELS, 1.0, (1, 3)),
        [
            dot(numbers(m[:, 1, 3]), numbers(CHANNELS))
            * kind(cosine(numbers(m[:, 1, 3]), numbers(CHANNELS)))
            for m in MAPS
        ],
    ),
    "a direction a sample": (
        directions.dot("fc", torch.stack([SEVEN, -SEVEN, 2 * SEVEN])),
        [w * dot(numbers(r), numbers(SEVEN)) for w, r in zip((1, -1, 2), UNITS, strict=True)],
    ),
    "total variation": (image_objectives.total_variation(), [variation(x) for x in IMAGES]),
    "L1": (image_objectives.l1(0.5), [sum(abs(v - 0.5) for v in numbers(x)) for x in IMAGES]),
    "L1 to an image": (
        image_objectives.l1(IMAGES[0]),
        [sum(abs(v) for v in numbers(x - IMAGES[0])) for x in IMAGES],
    ),
    "L2": (image_objectives.l2(), [length(numbers(x)) for x in IMAGES]),
    "L2 to a grey": (image_objectives.l2(0.5), [length(numbers(x - 0.5)) for x in IMAGES]),
    "L2 by frame": (
        image_objectives.frame_l2([1, 2, 0, 0.5]),
        [
            length(numbers(x[0])) + 2 * length(numbers(x[1])) + 0.5 * length(numbers(x[3]))
            for x in IMAGES
        ],
    ),
    "blur": (image_objectives.roughness(), [rough(x) for x in IMAGES]),
    "diversity": (batch_objectives.diversity("conv3"), [unlike(i) for i in range(BATCH)]),
    "alignment": (
        batch_objectives.alignment(decay=3.0),
        [
            -apart(0, 1) / 6 - apart(0, 2) / 18,
            -apart(0, 1) / 6 - apart(1, 2) / 6,
            -apart(1, 2) / 6 - apart(0, 2) / 18,
        ],
    ),
}


@pytest.mark.parametrize("name", ORACLES)
def test_is_what_plain_loops_say(name):
    objective, expected = ORACLES[name]
    # sums of up to 120 float32 products; L2's root holds 1e-10 more
    assert_close(objective(VALUES), torch.tensor(expected), atol=1e-4, rtol=1e-5)


def test_objectives_add_subtract_and_scale():
    first, second = unit_objectives.units("fc", [1, 2, 3]), image_objectives.total_variation()
    combined = 2 * (first - 0.5 * second) + -unit_objectives.value()
    expected = 2 * first(VALUES) - second(VALUES) - UNITS[:, 0]
    assert_close(combined(VALUES), expected)
    assert combined.samples == 3
    assert (first - 0.5 * second).names[0] == "fc:1 - 0.5*tv"


def test_a_list_is_computed_as_one_batch():
    several = [
        unit_objectives.units("conv3", 2) - 0.1 * image_objectives.total_variation(),
        unit_objectives.units("fc", 4),
        2 * unit_objectives.units("conv3", 5) + unit_objectives.units("conv3", 1),
    ]
    one = joined(several)
    assert one.samples == 3
    alone = [objective(VALUES)[i] for i, objective in enumerate(several)]
    assert_close(one(VALUES), torch.stack(alone))


def test_samples_are_cut_out_whole():
    objective = joined([unit_objectives.units("fc", [4, 5]), unit_objectives.units("conv3", 1)])
    values = {reference: value[1:] for reference, value in VALUES.items()}
    cut = objective.of_samples(slice(1, 3))
    assert cut.names == ("fc:5", "conv3:1")
    assert_close(cut(values), objective(VALUES)[1:])


def test_a_batch_of_units_is_one_indexing():
    """512 units are one term with 512 rows, not 512 objects."""
    objective = unit_objectives.units("fc", range(512)) - image_objectives.total_variation()
    assert len(objective.terms) == 2
    assert objective.samples == 512


@pytest.fixture(scope="module")
def agents():
    return {name: make_network(name) for name in ("actor-critic", "categorical", "quantile")}


DIRECTION = torch.randn(64, generator=torch.Generator().manual_seed(5))
# name -> (agent, objective): of real networks
RAISED = {
    "channel": ("actor-critic", "conv3:3"),
    "neuron": ("actor-critic", "conv3:3@2,4"),
    "after the ReLU": ("actor-critic", "conv2:3:relu"),
    "unit": ("actor-critic", "fc:5"),
    "layer": ("actor-critic", "conv2"),
    "output": ("actor-critic", "output:RIGHT"),
    "value": ("actor-critic", "value"),
    "atom": ("categorical", "atoms:0,0"),
    "quantile": ("quantile", "quantiles:1,24"),
    "margin": ("actor-critic", "margin:2"),
    "group": ("actor-critic", "0.5*conv2:3 + 0.5*conv2:7"),
    "negated": ("actor-critic", "-fc:5"),
    "total variation": ("actor-critic", "fc:5 - 1e-4*tv"),
    "only less variation": ("actor-critic", "-tv"),
    "L1": ("actor-critic", "-l1"),
    "L2": ("actor-critic", "-l2"),
    "L2 by frame": ("actor-critic", "-frame_l2:0"),
    "blur": ("actor-critic", "-blur"),
    "diversity": ("actor-critic", "diversity:conv2"),
    "alignment": ("actor-critic", "alignment"),
    "alignment of a layer": ("actor-critic", "alignment:fc"),
    "dot": ("actor-critic", directions.dot("conv3", DIRECTION)),
    "dot at a place": ("actor-critic", directions.dot("conv3", DIRECTION, (3, 3))),
    "cosine": ("actor-critic", directions.cosine("conv3", DIRECTION)),
    "dot and cosine": ("actor-critic", directions.dot_cosine("conv3", DIRECTION, 2.0)),
    "interpolation": (
        "actor-critic",
        unit_objectives.interpolation(
            unit_objectives.units("fc", 0), unit_objectives.units("conv1", 9), 2
        ),
    ),
}


@pytest.mark.parametrize("name", RAISED)
def test_ten_steps_raise_it(name, agents):
    agent, objective = RAISED[name]
    copies = 2 if not isinstance(objective, Objective) or objective.samples == 1 else 1
    # a start with more contrast: of an even grey, L1 and L2 know no way that noise would hide
    settings = replace(
        ORIGINAL, parameterization=Pixels(deviation=0.5), transforms=(), steps=10, rescue_steps=0
    )
    rendered = render(agents[agent], objective, settings, copies=copies)
    assert (rendered.objective > rendered.curve[0]).all()


def test_a_difference_between_agents_raises_one_and_not_the_other(agents):
    first = agents["actor-critic"]
    other = make_network("dueling")
    objective = unit_objectives.difference(unit_objectives.output(2), other)
    rendered = render(first, objective, replace(ORIGINAL, steps=10, transforms=()))
    with torch.no_grad():
        expected = first(rendered.images)[:, 2] - other(rendered.images)[:, 2]
    assert_close(rendered.objective, expected, atol=1e-5, rtol=1e-5)
    assert rendered.objective > rendered.curve[0]
    assert rendered.names == ("output:2 - output:2 of apex/Pong/1",)


def test_a_caricature_keeps_the_direction_of_what_is_seen(agents):
    network = agents["actor-critic"]
    seen = torch.rand(2, 4, 84, 84, generator=torch.Generator().manual_seed(0))
    objective = directions.caricature(network, "conv2", seen)
    values = values_of(network, objective.references, seen)
    (maps,) = values.values()
    # of the observation itself every cosine is 1: the squared length of each place is left
    assert_close(objective(values), maps.square().sum(dim=1).mean(dim=(1, 2)), rtol=1e-4, atol=0)


# text -> the same objective, built; of the actor-critic
TEXTS = {
    "conv3:38 - 1e-6*tv": unit_objectives.units("conv3", 38)
    - 1e-6 * image_objectives.total_variation(),
    "fc:7": unit_objectives.units("fc", 7),
    "output:RIGHT": unit_objectives.output(2),
    "output:rightfire": unit_objectives.output(4),
    "value": unit_objectives.value(),
    "conv3:38@5,6": unit_objectives.neuron("conv3", 38, (5, 6)),
    "conv2:3:relu": unit_objectives.units("conv2", 3, rectified=True),
    "conv3:38@max": unit_objectives.peak("conv3", 38),
    "conv3:0..3@max:relu": unit_objectives.peak("conv3", range(4), rectified=True),
    "conv2:3@1,2:relu": unit_objectives.neuron("conv2", 3, (1, 2), rectified=True),
    "0.5*conv2:3 + 0.5*conv2:7": unit_objectives.group("conv2", {3: 0.5, 7: 0.5}),
    "margin:2": unit_objectives.margin(2),
    "margin:RIGHT": unit_objectives.margin(2),
    "conv2": unit_objectives.whole_layer("conv2"),
    "conv2:relu": unit_objectives.whole_layer("conv2", rectified=True),
    "-(fc:1 - 2*fc:2)": -unit_objectives.units("fc", 1) + 2 * unit_objectives.units("fc", 2),
    "  fc:1-.5*l2 ": unit_objectives.units("fc", 1) - 0.5 * image_objectives.l2(),
    "frame_l2:0": image_objectives.frame_l2([1, 0, 0, 0]),
}
RANGES = {
    "fc:0..5": unit_objectives.units("fc", range(6)),
    "fc:*": unit_objectives.units("fc", range(128)),
    "output:* - l1": unit_objectives.output(range(6)) - image_objectives.l1(),
    "conv1:1..3 - conv1:4..6": unit_objectives.units("conv1", [1, 2, 3])
    - unit_objectives.units("conv1", [4, 5, 6]),
}


def same(text: str, expected: Objective, network) -> None:
    found = parse(text, network)
    assert found.samples == expected.samples
    images = torch.rand(
        expected.samples, 4, 84, 84, generator=torch.Generator().manual_seed(expected.samples)
    )
    references = {*found.references, *expected.references}
    with torch.no_grad(), value_reader(network, references) as read:
        values = read(images) | {IMAGE: images}
        assert_close(found(values), expected(values))


@pytest.mark.parametrize("text", [*TEXTS, *RANGES])
def test_text_means_the_objective(text, agents):
    same(text, (TEXTS | RANGES)[text], agents["actor-critic"])


@pytest.mark.parametrize(
    ("text", "first", "second"),
    [
        ("atoms:0,0", 0, 0),
        ("atoms:LEFT,50", 3, 50),
        ("atoms:1..2,3", [1, 2], [3, 3]),
        ("output:LEFT@50", 3, 50),
        ("output:1..2@3", [1, 2], [3, 3]),
    ],
)
def test_text_of_atoms(text, first, second, agents):
    same(text, unit_objectives.pair("atoms", first, second), agents["categorical"])


# text -> (what the message says, which character it points at)
UNREADABLE = {
    "conv3:38 - 1e-6*tvv": ("no layer or word 'tvv'; this network has the layers conv1, ", 16),
    "conv9:2": ("this network has the layers conv1, conv2, conv3, fc, value, output", 0),
    "fc:128": ("no unit 128 in fc; expected 0 to 127", 3),
    "fc:5 + conv3:64@1,1": ("no unit 64 in conv3; expected 0 to 63", 13),
    "conv3:1@7,0": ("no row 7 in conv3; expected 0 to 6", 0),
    "fc:1@2,2": ("fc has no map", 0),
    "fc:1@max": ("fc has no map", 0),
    "fc:1 - 1e999*tv": ("expected a smaller number", 7),
    "conv3:1@most": ("expected a whole number", 8),
    "output:JUMP": ("'JUMP'; there are NOOP, FIRE, RIGHT", 7),
    "fc:RIGHT": ("no unit in fc is called 'RIGHT'", 3),
    "fc:1 +": ("expected a layer, a word such as tv, or a number", 6),
    "fc:1 fc:2": ("expected +, - or the end", 5),
    "3": ("expected * after a number", 1),
    "fc:1 % fc:2": ("no meaning for '%'", 5),
    "fc:5..2": ("5..2 has no number in it", 3),
    "fc:0..3 - fc:0..4": ("4 samples and 5 do not go together", 8),
    "(fc:1": ("expected )", 5),
    "fc:1,2": ("fc has 128 units: expected 1 index, not 2", 0),
    "tv:3": ("tv takes no index", 0),
    "tv:relu": ("tv is no layer", 0),
    "margin:9": ("no action 9 in margin; expected 0 to 5", 7),
    "margin": ("expected 1 index, not 0", 0),
    "diversity": ("diversity:LAYER is of one of conv1", 0),
    "fc:1.5": ("expected a whole number", 3),
    "conv3:1@2": ("expected , between the row and the column", 9),
    "atoms:0,0": ("no layer or word 'atoms'", 0),
    "output:FIRE@2": ("no atoms or quantiles behind output in this network, so no number @", 12),
    "fc:1@2": ("expected , between the row and the column", 6),
    "": ("expected a layer", 0),
}


@pytest.mark.parametrize("text", UNREADABLE)
def test_an_error_points_at_the_place(text, agents):
    words, place = UNREADABLE[text]
    with pytest.raises(ValueError) as raised:  # noqa: PT011, the message is looked at below
        parse(text, agents["actor-critic"])
    reason, shown, caret = str(raised.value).split("\n")
    assert words in reason
    assert shown == "    " + text
    assert caret == " " * (4 + place) + "^"


ABSENT = {
    "layer": (unit_objectives.units("conv7", 0), "no layer 'conv7'; this network has conv1"),
    "unit": (unit_objectives.units("fc", [3, 600]), "no unit 600 in fc; expected 0 to 127"),
    "negative": (unit_objectives.units("fc", -1), "no unit -1 in fc"),
    "place": (unit_objectives.neuron("conv3", 3, (9, 0)), "no unit 9 in conv3; expected 0 to 6"),
    "head": (unit_objectives.pair("atoms", 0, 0), "no layer 'atoms'"),
    "axes": (unit_objectives.pair("fc", 0, 0), "fc has 128 values an image"),
    "map": (unit_objectives.neuron("fc", 3), "fc has 128 values an image"),
    "direction": (directions.dot("conv3", torch.ones(7)), "the direction 7"),
    "couples": (batch_objectives.diversity("fc9"), "no layer 'fc9'"),
}


@pytest.mark.parametrize("name", ABSENT)
def test_what_is_not_there_is_refused_before_the_first_step(name, agents):
    objective, message = ABSENT[name]
    steps: list[int] = []
    with pytest.raises(ValueError, match=message):
        render(agents["actor-critic"], objective, progress=lambda done, total: steps.append(done))
    assert not steps


def test_a_distribution_of_values_is_not_a_value():
    network = make_network("categorical dueling")
    objective = unit_objectives.value()
    values = values_of(network, objective.references, torch.zeros(1, 4, 84, 84))
    with pytest.raises(ValueError, match="value has 1 x 51 values an image"):
        check_objective(objective, values)


@pytest.mark.parametrize("head", ["implicit quantile", "dueling streams", "categorical streams"])
def test_dense_layers_of_all_heads_have_units(head):
    """IQN's dense layer has a value for each quantile: a unit is their mean."""
    network = make_network(head)
    image = torch.rand(2, 4, 84, 84, generator=torch.Generator().manual_seed(0))
    reference = Reference("fc")
    values = values_of(network, [reference], image)[reference]
    assert values.shape == (2, 96)
    kept = []
    hook = network.layers["fc"].linear.register_forward_hook(lambda m, i, out: kept.append(out))
    with torch.no_grad():
        network(image)
    hook.remove()
    expected = kept[0].mean(dim=1) if kept[0].ndim == 3 else kept[0]
    assert_close(values, expected, atol=1e-5, rtol=1e-5)


def test_pictures_of_another_range_are_refused(agents):
    bright = torch.full((1, 4, 84, 84), 200.0)
    with pytest.raises(ValueError, match=r"observations are in 200\.\.200; expected 0\.\.1"):
        directions.caricature(agents["categorical"], "conv2", bright)
    for target in (128.0, float("nan"), bright[0]):
        with pytest.raises(ValueError, match="the target's numbers"):
            image_objectives.l2(target)


def test_a_number_behind_an_output_is_a_unit_too(agents):
    network = agents["categorical"]
    assert parse_units("output:LEFT@50", network) == ("atoms", [3 * 51 + 50])
    with pytest.raises(TextError, match="no unit 51 in atoms; expected 0 to 50"):
        parse_units("output:LEFT@51", network)
    with pytest.raises(TextError, match="no atoms or quantiles behind output"):
        parse_units("output:LEFT@1", agents["actor-critic"])
    with pytest.raises(TextError, match="expected max"):
        parse_units("conv3:1@1", network)
