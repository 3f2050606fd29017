"""A Keras model's configuration as its layers in order (Keras 1, 2 and 3; Sequential, Functional).

From keras/src/models/{sequential,functional}.py and saving/legacy; Keras 1 has a list of layers.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from atari_zoo.converters.errors import ConversionError

LAYERS = 500
NESTED = 50_000  # lists and objects in a configuration
SHOWN = 60
MODELS, SEQUENTIAL = ("Model", "Functional"), "Sequential"
SAME = "Identity"  # what an input of a model within the model is
DEEPEST = 8
History = tuple[str, int]  # a layer, and the number of its output
# what Keras 1 called them
RENAMED = {"Convolution2D": "Conv2D"}
SETTINGS = {
    "nb_filter": "filters",
    "subsample": "strides",
    "border_mode": "padding",
    "dim_ordering": "data_format",
    "output_dim": "units",
    "bias": "use_bias",
}
ORDERS = {"th": "channels_first", "tf": "channels_last"}


@dataclass(frozen=True)
class KerasLayer:
    """One layer. inputs: the layers before it, by name.

    path: the names of the models within the model that it stands in, and its own.
    place: the same by their classes, numbered, as Keras 3 names groups of its files.
    """

    name: str
    kind: str
    settings: dict[str, Any]
    inputs: tuple[str, ...] = ()
    path: tuple[str, ...] = ()
    place: str = ""


@dataclass
class KerasModel:
    """Layers in order, and which of them are the inputs and the outputs."""

    layers: list[KerasLayer]
    outputs: list[str] = field(default_factory=list)
    inputs: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Nesting:
    """The models that a layer is in: their names, and their places in a file."""

    names: tuple[str, ...] = ()
    place: str = ""

    def named(self, name: str) -> str:
        return "/".join((*self.names, name))

    def inside(self, name: str, place: str) -> Nesting:
        """What is in a model that stands here."""
        if len(self.names) >= DEEPEST:
            raise ConversionError(f"models within models, more than {DEEPEST} deep")
        return Nesting((*self.names, name), place)


def keras_model(text: str | bytes) -> KerasModel:
    """The model that a configuration in JSON describes; models within it are its own layers.

    Raises ConversionError if it is damaged, or not a graph of layers alone.
    """
    text = text if isinstance(text, str) else text.decode("utf-8", "replace")
    if len(text) > 1 << 24 or text.count("[") > NESTED:
        raise ConversionError("its configuration is larger than a policy's")
    try:
        config = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConversionError("its configuration is no JSON: damaged") from error
    made = _model(config, Nesting())
    if len(made.layers) > LAYERS:
        raise ConversionError(f"{len(made.layers)} layers; at most {LAYERS} were expected")
    return KerasModel(_sorted(made.layers), made.outputs, made.inputs)


def _model(row: Any, within: Nesting) -> KerasModel:
    """The layers of a model, or of one within it."""
    kind, inside = _text(row, "class_name"), _value(row, "config", (dict, list))
    layers = inside if isinstance(inside, list) else _value(inside, "layers", (list,))
    if len(layers) > LAYERS:
        raise ConversionError(f"{len(layers)} layers; at most {LAYERS} were expected")
    if kind == SEQUENTIAL:
        return _in_a_row(layers, within)
    if kind not in MODELS:
        raise ConversionError(
            f"it is a {kind[:SHOWN]!a}, a class of its own that the file names but does not hold; "
            "save the model's layers as a Functional model, or export it to ONNX"
        )
    return _joined(layers, _value(inside, "output_layers", (list,)), inside, within)


def _joined(rows: list[Any], ends: list[Any], inside: Any, within: Nesting) -> KerasModel:
    """A Functional model, each layer after those that its record names."""
    numbers = Counter[str]()
    layers: list[KerasLayer] = []
    made: dict[str, list[str]] = {}  # by a layer's or a model's own name, what holds its outputs
    waiting: list[tuple[KerasModel, str, list[History]]] = []
    before: dict[str, list[History]] = {}
    for row in rows:
        own, place = _own_name(row), _place(row, within, numbers)
        if _text(row, "class_name") in (*MODELS, SEQUENTIAL):
            inner = _model(row, within.inside(own, place))
            waiting.append((inner, own, list(_before(row))))
            made[own] = inner.outputs
            continue
        layers.append(_layer(row, within, place))
        made[own] = [layers[-1].name]
        before[layers[-1].name] = list(_before(row))
    given = {name: _resolved(histories, made) for name, histories in before.items()}
    layers = [replace(layer, inputs=given[layer.name]) for layer in layers]
    for inner, own, histories in waiting:
        layers += _fed(inner, own, _resolved(histories, made))
    starts = _histories(_value(inside, "input_layers", (list, dict)) if within.names else [])
    outputs = _resolved(list(_histories(ends)), made)
    return KerasModel(layers, list(dict.fromkeys(outputs)), list(_resolved(list(starts), made)))


def _in_a_row(rows: list[Any], within: Nesting) -> KerasModel:
    """A Sequential model."""
    numbers = Counter[str]()
    layers: list[KerasLayer] = []
    last: list[str] = []
    for row in rows:
        place = _place(row, within, numbers)
        if _text(row, "class_name") in (*MODELS, SEQUENTIAL):
            inner = _model(row, within.inside(_own_name(row), place))
            layers += _fed(inner, _own_name(row), tuple(last)) if layers else inner.layers
            last = inner.outputs
            continue
        made = _layer(row, within, place)
        if not layers and made.kind != "InputLayer":
            shape = made.settings.get("batch_input_shape")
            start = within.named("input")
            layers.append(KerasLayer(start, "InputLayer", {"batch_shape": shape}))
            last = [start]
        layers.append(replace(made, inputs=tuple(last)))
        last = [made.name]
    return KerasModel(layers, last, [layers[0].name] if layers else [])


def _fed(inner: KerasModel, own: str, given: tuple[str, ...]) -> list[KerasLayer]:
    """A model within the model, whose inputs are what it is given."""
    if len(inner.inputs) != len(given):
        raise ConversionError(
            f"the model {own[:SHOWN]!a} within it has {len(inner.inputs)} inputs, and is given "
            f"{len(given)}"
        )
    fed = dict(zip(inner.inputs, given, strict=True))
    return [
        replace(layer, kind=SAME, inputs=(fed[layer.name],)) if layer.name in fed else layer
        for layer in inner.layers
    ]


def _resolved(histories: Iterable[History], made: Mapping[str, list[str]]) -> tuple[str, ...]:
    """The layers that these outputs are of; a name that there is none of stays as it is."""
    found = []
    for name, number in histories:
        outputs = made.get(name, [name])
        if number >= len(outputs):
            raise ConversionError(f"{name[:SHOWN]!a} has no output {number}: damaged")
        found.append(outputs[number])
    return tuple(found)


def _layer(row: Any, within: Nesting, place: str) -> KerasLayer:
    kind, config = _text(row, "class_name"), _value(row, "config", (dict, list))
    assert isinstance(config, dict)
    settings = {SETTINGS.get(str(key), str(key)): value for key, value in config.items()}
    if "nb_row" in settings and "nb_col" in settings:
        settings["kernel_size"] = [settings["nb_row"], settings["nb_col"]]
    if str(settings.get("data_format")) in ORDERS:
        settings["data_format"] = ORDERS[str(settings["data_format"])]
    own = _text(config, "name")
    path = (*within.names, own)
    return KerasLayer(within.named(own), RENAMED.get(kind, kind), settings, (), path, place)


def _own_name(row: Any) -> str:
    """A layer's, or a model's within the model; Keras 1 lists the layers of the latter alone."""
    config = _value(row, "config", (dict, list))
    return _text(config if isinstance(config, dict) else row, "name")


def _place(row: Any, within: Nesting, numbers: Counter[str]) -> str:
    """What Keras 3 calls the group of a layer's arrays; the numbers are counted on."""
    kind = _text(row, "class_name")
    base = snake_case(RENAMED.get(kind, kind))
    number = numbers[base]
    numbers[base] += 1
    own = f"{base}_{number}" if number else base
    return f"{within.place}/{own}" if within.place else own


def snake_case(name: str) -> str:
    """A class as Keras 3 names its files' groups, such as `conv2d` of Conv2D."""
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", re.sub(r"\W+", "", name))
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()


def _before(row: Any) -> Iterator[History]:
    """What a layer reads, in a Functional model; it may read one output twice."""
    nodes = _value(row, "inbound_nodes", (list,))
    if len(nodes) > 1:
        raise ConversionError(f"{_text(row, 'class_name')[:SHOWN]!a} stands in several places")
    yield from _histories(nodes)


def _histories(value: Any, depth: int = 0) -> Iterator[History]:
    """Layers and their outputs in the nested lists of Keras 2, and in the records of Keras 3."""
    if depth > 12:
        return
    if isinstance(value, Mapping):
        if isinstance(value.get("keras_history"), list) and value["keras_history"]:
            yield _history(value["keras_history"])
        else:
            for part in value.values():
                yield from _histories(part, depth + 1)
    elif isinstance(value, list):
        if len(value) >= 3 and isinstance(value[0], str) and type(value[1]) is int:
            yield _history(value)
        else:
            for part in value:
                yield from _histories(part, depth + 1)


def _history(value: list[Any]) -> History:
    """Name, number of the call, number of the output."""
    number = value[2] if len(value) > 2 else 0
    if type(number) is not int or number < 0:
        raise ConversionError("its configuration has an output without a number: damaged")
    return str(value[0]), number


def _sorted(layers: list[KerasLayer]) -> list[KerasLayer]:
    """Each after those that it reads, and else as they were, since files may number them.

    Raises ConversionError if there is no such order.
    """
    done: dict[str, KerasLayer] = {}
    left = layers
    while left:
        before = len(done)
        for layer in left:
            if all(name in done for name in layer.inputs):
                done[layer.name] = layer
        if len(done) == before:
            raise ConversionError("layers that wait for each other: damaged")
        left = [layer for layer in left if layer.name not in done]
    return list(done.values())


def _text(row: Any, key: str) -> str:
    value = _value(row, key, (str,))
    assert isinstance(value, str)
    if not value.isprintable() or len(value) > 200:
        raise ConversionError("its configuration has names that cannot be printed: damaged")
    return value


def _value(row: Any, key: str, kinds: tuple[type, ...]) -> Any:
    value = row.get(key) if isinstance(row, Mapping) else None
    if not isinstance(value, kinds):
        raise ConversionError(f"its configuration lacks '{key}': damaged, or of another kind")
    return value
