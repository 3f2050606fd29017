"""The interchange file: one ONNX file is a complete model, its card inside."""

from __future__ import annotations

import os
from pathlib import Path

import onnx
from onnx import helper

from atari_zoo.converters.cards import ModelCard
from atari_zoo.converters.errors import ConversionError, naming
from atari_zoo.converters.files import written_whole
from atari_zoo.converters.half_floats import in_float32
from atari_zoo.converters.network.loops import without_loops

CARD_KEY = "atari_zoo.card"
OPSET = 17  # of every graph that is written here


def read_card(model: onnx.ModelProto) -> ModelCard | None:
    """The card in a model's metadata, or None.

    Raises ConversionError if what is there is no card.
    """
    texts = [entry.value for entry in model.metadata_props if entry.key == CARD_KEY]
    if not texts:
        return None
    try:
        return ModelCard.from_json(texts[0])
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise ConversionError(f"its card cannot be read: {error}") from error


def write_card(model: onnx.ModelProto, card: ModelCard) -> None:
    """Puts the card into the model's metadata, in place of one that is there."""
    kept = [(e.key, e.value) for e in model.metadata_props if e.key != CARD_KEY]
    try:
        helper.set_model_props(model, dict(kept) | {CARD_KEY: card.to_json()})
    except UnicodeDecodeError as error:
        raise ConversionError("its metadata are no text: damaged") from error


def save_onnx(model: onnx.ModelProto, path: str | Path) -> None:
    """Writes the file, whole or not at all.

    Raises OSError where the place cannot be written.
    """
    with written_whole(path) as beside:
        beside.write_bytes(model.SerializeToString())


def load_onnx(path: str | Path) -> onnx.ModelProto:
    """Reads an ONNX file and the external data beside it; one in half precision as float32, and
    loops of so many steps written out.

    Raises ConversionError if it is not one, points to data outside its folder, or has another loop.
    """
    path = Path(path)
    try:
        model = onnx.load(path, load_external_data=False)
    except Exception as error:  # protobuf's parsers differ in what they raise
        raise ConversionError(f"{path}: not an ONNX file, or cut short") from error
    if not model.graph.node:
        raise ConversionError(f"{path}: not an ONNX file, or one without a graph")
    stored = [tensor for tensor in model.graph.initializer if tensor.external_data]
    places = {tensor.name: _external(path, tensor) for tensor in stored}
    # a cache may have the file, and the data beside it, as links to where both really are
    for folder in (path.parent.resolve(), path.resolve().parent):
        if all(place.is_relative_to(folder) for place in places.values()):
            break
    else:
        raise ConversionError(
            f"{path}: its external data are links to elsewhere; put the data themselves beside it"
        )
    for tensor in stored:
        for entry in tensor.external_data:
            if entry.key == "location":
                entry.value = places[tensor.name].relative_to(folder).as_posix()
    try:
        onnx.load_external_data_for_model(model, str(folder))
    except Exception as error:
        raise ConversionError(f"{path}: its external data cannot be read: {error}") from error
    with naming(path):
        return without_loops(in_float32(model))


def _external(path: Path, tensor: onnx.TensorProto) -> Path:
    """Where a tensor's data really are; raises ConversionError if not beside the file."""
    named = {entry.key: entry.value for entry in tensor.external_data}.get("location", "")
    place = path.parent / named
    inside, folder = (Path(os.path.normpath(p.absolute())) for p in (place, path.parent))
    if not inside.is_relative_to(folder):
        raise ConversionError(
            f"{path}: tensor '{tensor.name}' is stored in '{named}', outside the file's folder; "
            "put it beside the file and export again"
        )
    if not place.is_file():
        raise ConversionError(
            f"{path}: tensor '{tensor.name}' is stored in '{named}', which is missing"
        )
    return place.resolve()
