"""Finds the weights in what a torch file holds: state dicts, and modules that were saved whole."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator, Mapping
from itertools import islice
from typing import Any

from atari_zoo.converters.errors import ConversionError
from atari_zoo.converters.pickles.opaque import Opaque
from atari_zoo.converters.pickles.torch_modules import Budget, StateDict, is_module, module_state
from atari_zoo.converters.pickles.torch_pickles import StoredTensor

DEPTH = 40  # of dicts in dicts
SHOWN = 4  # state dicts that a message names

Trail = tuple[Any, Any] | None  # the trail so far, and the last key that leads to an object


def state_dict_in(content: Any) -> StateDict:
    """The one state dict, or module, in what a file holds, however deep.

    Raises ConversionError if there is none, or more than one that may be meant.
    """
    found = dict(islice(_state_dicts(content), SHOWN))
    if len(found) > 1:
        places = ", ".join(ascii(place) for place in found)
        raise ConversionError(f"it holds several state dicts ({places}); save the policy's alone")
    if not found:
        raise ConversionError(f"no state dict in it, but {_kind(content)}")
    return next(iter(found.values()))


def _state_dicts(content: Any) -> Iterator[tuple[str, StateDict]]:
    queue: deque[tuple[Trail, int, Any]] = deque([(None, 0, content)])
    budget = Budget()
    while queue:
        trail, depth, value = queue.popleft()
        parts = _parts(value)
        budget.take(len(parts))
        if is_module(value):
            yield _place(trail), module_state(value, budget)
        elif isinstance(value, Mapping) and _is_state_dict(tensors := _tensors(value)):
            yield _place(trail), tensors
        elif depth < DEPTH:
            inner = ((k, v) for k, v in parts if isinstance(v, Mapping | Opaque | list | tuple))
            queue += [((trail, key), depth + 1, part) for key, part in inner]


def _place(trail: Trail) -> str:
    keys: list[str] = []
    while trail is not None:
        trail, key = trail
        keys.insert(0, str(key)[:40])
    return "/" + "/".join(keys)


def _parts(value: Any) -> Collection[tuple[Any, Any]]:
    if isinstance(value, Opaque):  # a class of the file's own: an agent, a checkpoint
        value = value.state
    if isinstance(value, Mapping):
        return value.items()
    return list(enumerate(value)) if isinstance(value, list | tuple) else ()


def _tensors(value: Mapping[Any, Any]) -> dict[Any, Any]:
    """Without what an algorithm keeps beside its weights, such as Tianshou's `_optimizers`."""
    return {
        name: part
        for name, part in value.items()
        if isinstance(part, StoredTensor) or not str(name).startswith("_")
    }


def _is_state_dict(value: Mapping[Any, Any]) -> bool:
    """Whether it maps names to tensors, a convolution's weights among them."""
    if not value or not all(isinstance(tensor, StoredTensor) for tensor in value.values()):
        return False
    return all(isinstance(name, str) for name in value) and any(
        name.endswith(("weight", "weight_mu")) and len(tensor.shape) == 4
        for name, tensor in value.items()
    )


def _kind(content: Any) -> str:
    return f"a {content.name[:60]!a}" if isinstance(content, Opaque) else type(content).__name__
