"""A Keras model's configuration as its layers in order (Keras 1, 2 and 3; Sequential, Functional).

From keras/src/models/{sequential,functional}.py and saving/legacy; Keras 1 has a list of layers.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from atari_zoo.converters.errors import ConversionError

LAYERS = 500
NESTED = 50_000  # lists and objects in a configuration
SHOWN = 60
MODELS = ("Model", "Functional")
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
    """One layer. inputs: the layers before it, by name."""

    name: str
    kind: str
    settings: dict[str, Any]
    inputs: tuple[str, ...] = ()


@dataclass
class KerasModel:
    """Layers in order, and which of them are the outputs."""

    layers: list[KerasLayer]
    outputs: list[str] = field(default_factory=list)


def keras_model(text: str | bytes) -> KerasModel:
    """The model that a configuration in JSON describes.

    Raises ConversionError if it is damaged, or not a graph of layers alone.
    """
    text = text if isinstance(text, str) else text.decode("utf-8", "replace")
    if len(text) > 1 << 24 or text.count("[") > NESTED:
        raise ConversionError("its configuration is larger than a policy's")
    try:
        config = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConversionError("its configuration is no JSON: damaged") from error
    kind, inside = _text(config, "class_name"), _value(config, "config", (dict, list))
    layers = inside if isinstance(inside, list) else _value(inside, "layers", (list,))
    if len(layers) > LAYERS:
        raise ConversionError(f"{len(layers)} layers; at most {LAYERS} were expected")
    if kind == "Sequential":
        return _in_a_row(layers)
    if kind not in MODELS:
        raise ConversionError(
            f"it is a {kind[:SHOWN]!a}, a class of its own that the file names but does not hold; "
            "save the model's layers as a Functional model, or export it to ONNX"
        )
    made = [_layer(each, tuple(_before(each))) for each in layers]
    ends = _histories(_value(inside, "output_layers", (list,)))
    return KerasModel(_sorted(made), list(dict.fromkeys(ends)))


def _in_a_row(rows: list[Any]) -> KerasModel:
    layers: list[KerasLayer] = []
    for row in rows:
        made = _layer(row, (layers[-1].name,) if layers else ())
        if not layers and made.kind != "InputLayer":
            shape = made.settings.get("batch_input_shape")
            layers.append(KerasLayer("input", "InputLayer", {"batch_shape": shape}))
            made = KerasLayer(made.name, made.kind, made.settings, ("input",))
        layers.append(made)
    return KerasModel(layers, [layers[-1].name] if layers else [])


def _layer(row: Any, inputs: tuple[str, ...]) -> KerasLayer:
    kind, config = _text(row, "class_name"), _value(row, "config", (dict, list))
    if kind in (*MODELS, "Sequential"):
        raise ConversionError("a model within the model; save it as one Functional model")
    assert isinstance(config, dict)
    settings = {SETTINGS.get(str(key), str(key)): value for key, value in config.items()}
    if "nb_row" in settings and "nb_col" in settings:
        settings["kernel_size"] = [settings["nb_row"], settings["nb_col"]]
    if str(settings.get("data_format")) in ORDERS:
        settings["data_format"] = ORDERS[str(settings["data_format"])]
    return KerasLayer(_text(config, "name"), RENAMED.get(kind, kind), settings, inputs)


def _before(row: Any) -> Iterator[str]:
    """The layers before one, in a Functional model; it may read one twice."""
    nodes = _value(row, "inbound_nodes", (list,))
    if len(nodes) > 1:
        raise ConversionError(f"{_text(row, 'class_name')[:SHOWN]!a} stands in several places")
    yield from _histories(nodes)


def _histories(value: Any, depth: int = 0) -> Iterator[str]:
    """Names of layers in the nested lists of Keras 2, and in the records of Keras 3."""
    if depth > 12:
        return
    if isinstance(value, Mapping):
        if isinstance(value.get("keras_history"), list) and value["keras_history"]:
            yield str(value["keras_history"][0])
        else:
            for part in value.values():
                yield from _histories(part, depth + 1)
    elif isinstance(value, list):
        if len(value) >= 3 and isinstance(value[0], str) and type(value[1]) is int:
            yield value[0]
        else:
            for part in value:
                yield from _histories(part, depth + 1)


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
