"""PReLUs in a state dict (He et al., 2015, https://arxiv.org/abs/1502.01852): their slopes, one for
a whole layer or one for each of its units, put beside the layer that they follow.

torch's PReLU has one tensor, `weight`, on one axis, and no bias; no other layer that agents have
does. What follows what is told by the file's order.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from torch import Tensor

from atari_zoo.converters.errors import ConversionError

SLOPES = ".(PReLU)"  # of a layer, behind its name; no module's attribute is called so
SLOPES_ASSUMED = (
    "a PReLU after each layer that slopes follow, or that shares them: weights do not tell"
)

Weights = Mapping[str, Tensor]


def with_slopes_beside(weights: Weights) -> Weights:
    """The same weights, slopes called after the layers that they belong to.

    Those stay as they are that could belong to several: who reads the rest refuses them.
    """
    found = list(_slopes(weights))
    if not found:
        return weights
    hidden = list(_hidden(weights))
    places = _in_between(weights, found) or _in_order(weights, found, hidden)
    shared = found[0] if len(found) == 1 and weights[found[0]].numel() == 1 else ""
    if shared and len(hidden) > 1:  # one module that stands after every layer
        rest = {name: tensor for name, tensor in weights.items() if name != shared}
        return rest | {f"{layer}{SLOPES}": weights[shared] for layer in hidden}
    return {
        f"{places[name]}{SLOPES}" if name in places else name: tensor
        for name, tensor in weights.items()
    }


def refuse_prelus_elsewhere(weights: Weights, layers: Collection[str]) -> None:
    """Raises ConversionError for slopes of others than these layers: a head has no PReLU."""
    for name, tensor in weights.items():
        if name.endswith(SLOPES) and name.removesuffix(SLOPES) not in layers:
            raise ConversionError(
                f"beside its layers it has '{name}' {tuple(tensor.shape)}, whose part is not known"
            )


def _slopes(weights: Weights) -> Iterator[str]:
    """The tensors that can be slopes."""
    for name, tensor in weights.items():
        module = name.removesuffix(".weight")
        alone = not any(f"{module}.{part}" in weights for part in ("bias", "running_mean"))
        if name != module and alone and tensor.ndim == 1 and tensor.is_floating_point():
            yield name


def _layers(weights: Weights) -> dict[str, int]:
    """Convolutions and dense layers, and how many units each has."""
    return {
        name.removesuffix(".weight"): len(tensor)
        for name, tensor in weights.items()
        if name.endswith(".weight") and tensor.ndim in (2, 4)
    }


def _hidden(weights: Weights) -> Iterator[str]:
    """The layers that others read: an activation function stands after these."""
    tensors = {name: weights[f"{name}.weight"] for name in _layers(weights)}
    for name, tensor in tensors.items():
        readers = (other for other in tensors if other != name and tensors[other].ndim == 2)
        if tensor.ndim == 4 or any(tensors[other].shape[1] == len(tensor) for other in readers):
            yield name


def _in_between(weights: Weights, found: list[str]) -> dict[str, str]:
    """Each by the layer right before it; none where two stand behind one layer."""
    units, places, last = _layers(weights), dict[str, str](), ""
    for name in weights:
        if name in found:
            if not last or weights[name].numel() not in (1, units[last]):
                return {}
            places[name], last = last, ""
        elif name.removesuffix(".weight") in units:
            last = name.removesuffix(".weight")
    return places


def _in_order(weights: Weights, found: list[str], hidden: list[str]) -> dict[str, str]:
    """Each by its number, where there are as many as layers that others read."""
    units = _layers(weights)
    pairs = list(zip(found, hidden, strict=False))
    fits = all(weights[name].numel() in (1, units[layer]) for name, layer in pairs)
    return dict(pairs) if fits and len(found) == len(hidden) else {}
