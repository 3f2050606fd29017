"""Files of dictionaries: tensors in safetensors, facts as JSON in its header."""

from __future__ import annotations

import json
from pathlib import Path

from atari_zoo.analysis.dictionaries.dictionaries import SparseDictionary, Standard
from atari_zoo.converters.files import check_ending, written_whole

ENDING, KEY = ".safetensors", "atari_zoo.sparse_dictionary"
TENSORS = ("live", "mean", "decoder", "centre", "encoder", "bias")


def save_dictionary(dictionary: SparseDictionary, path: str | Path) -> None:
    """Writes a .safetensors file; whole, or not at all. Raises ValueError for another ending."""
    from safetensors.torch import save_file

    check_ending(path, ENDING)
    facts = {"k": dictionary.k, "scale": dictionary.scale}
    tensors = {name: getattr(dictionary, name).cpu().contiguous() for name in TENSORS}
    with written_whole(path) as beside:
        save_file(tensors, beside, {KEY: json.dumps(facts)})


def open_dictionary(path: str | Path) -> SparseDictionary:
    """A dictionary that was saved. Raises ValueError if the file is none, or damaged."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as file:
            facts = json.loads((file.metadata() or {})[KEY])
            tensors = {name: file.get_tensor(name) for name in TENSORS}
        features, live = tensors["decoder"].shape
        standard = Standard(tensors.pop("live"), tensors.pop("mean"), float(facts["scale"]))
        sizes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
        wanted = {
            "decoder": (features, live),
            "encoder": (features, live),
            "bias": (features,),
            "centre": (live,),
        }
        if sizes != wanted or int(standard.live.sum()) != live or not 1 <= facts["k"] <= features:
            raise ValueError(f"its tensors do not belong together: {sizes}")
        return SparseDictionary(standard, int(facts["k"]), tensors)
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise ValueError(
            f"{path}: no dictionary of features as `save_dictionary` writes them, or a damaged "
            f"one: {error}"
        ) from error
