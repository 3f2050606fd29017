"""Modules that were saved whole: their weights, from the attributes that they pickled.

A module pickles its `_parameters`, its `_buffers` and, in `_modules`, its children; a layer also
its settings (torch/nn/modules/module.py, conv.py, padding.py). No class of the file is needed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from atari_zoo.converters.errors import ConversionError
from atari_zoo.converters.network.networks import SAME
from atari_zoo.converters.pickles.opaque import Opaque
from atari_zoo.converters.pickles.torch_pickles import StoredTensor

StateDict = dict[str, StoredTensor]

DEPTH = 40  # of modules in modules
LONGEST = 100  # of a part's name
GROUPS = ("_modules", "_parameters", "_buffers")
PARAMETERS = ("torch.nn.parameter.Parameter", "torch.autograd.variable.Variable")  # until 0.4

LAYERS = "torch.nn.modules."
CONV, PAD, POOL = "conv.Conv2d", "padding.ZeroPad2d", "pooling.MaxPool2d"
# what may stand in an architecture with a name and leaves the numbers alone when it is evaluated
OTHERS = {
    "activation.PReLU",  # whose slopes tell of it
    "activation.ReLU",
    "activation.LogSoftmax",
    "activation.Softmax",
    "dropout.Dropout",
    "flatten.Flatten",
    "flatten.Unflatten",
    "linear.Identity",
    "linear.Linear",
    "module.Module",
}
# of IMPALA's ResNet, as weights alone are taken to have them
RESIDUAL_POOL = {"kernel_size": (3, 3), "stride": (2, 2), "padding": (1, 1), "dilation": (1, 1)}
RESIDUAL_CONV = {"kernel_size": (3, 3), "padding": (1, 1)}
STRIDES: dict[tuple[int, ...], tuple[int, ...]] = {(8, 8): (4, 4), (4, 4): (2, 2), (3, 3): (1, 1)}


@dataclass
class Budget:
    """How much is looked at: the same object may stand in many places."""

    left: int = 1_000_000

    def take(self, parts: int) -> None:
        """Counts the parts of one object; raises ConversionError when there are too many."""
        self.left -= parts + 20  # an object costs more than a part
        if self.left < 0:
            raise ConversionError("too many objects in it: save the policy's state_dict() alone")


def is_module(value: Any) -> bool:
    """Whether an object of the file is a module."""
    state = value.state if isinstance(value, Opaque) else None
    return isinstance(state, Mapping) and all(isinstance(state.get(g), Mapping) for g in GROUPS)


def module_state(module: Opaque, budget: Budget) -> StateDict:
    """Its tensors by their dotted names, as `state_dict` has them.

    Raises ConversionError if it has layers, strides or paddings that neither the network of Mnih
    et al. nor IMPALA's ResNet has: the tensors alone would not show it.
    """
    found: StateDict = {}
    convs: list[Mapping[str, Any]] = []
    pools: list[Mapping[str, Any]] = []
    pads: list[tuple[int, ...]] = []
    for prefix, part in _submodules(module, budget):
        kind = part.name.removeprefix(LAYERS)
        if kind == CONV:
            convs.append(part.state)
        elif kind == PAD:
            pads.append(_numbers(part.state.get("padding"), 4))
        elif kind == POOL:
            pools.append(part.state)
        elif kind != part.name and kind not in OTHERS and not kind.startswith("container."):
            raise ConversionError(
                f"{prefix[:-1][-60:]!a} is a {kind[:60]!a}: no architecture with a name has it; "
                "export the agent to ONNX, or give the module itself to zoo.wrap"
            )
        for group in GROUPS[1:]:
            found.update(_tensors(prefix, part.state, group))
    _check_convolutions(convs, pads, pools)
    return found


def _submodules(module: Opaque, budget: Budget) -> Iterator[tuple[str, Opaque]]:
    queue: list[tuple[str, int, Any]] = [("", 0, module)]
    while queue:
        prefix, depth, part = queue.pop()
        if not is_module(part):
            continue
        if depth > DEPTH:
            raise ConversionError("modules within modules without end: save the state_dict() alone")
        names = [name for group in GROUPS for name in part.state[group]]
        budget.take(len(names))
        if any(not isinstance(name, str) or len(name) > LONGEST for name in names):
            raise ConversionError("a module whose parts have damaged names")
        yield prefix, part
        children = reversed(part.state["_modules"].items())
        queue += [(f"{prefix}{name}.", depth + 1, child) for name, child in children]


def _tensors(
    prefix: str, attributes: Mapping[str, Any], group: str
) -> Iterator[tuple[str, StoredTensor]]:
    dropped = attributes.get("_non_persistent_buffers_set")
    for name, value in attributes[group].items():
        if isinstance(value, Opaque) and value.name in PARAMETERS and value.args:
            value = value.args[0]
        if isinstance(value, StoredTensor) and not (isinstance(dropped, set) and name in dropped):
            yield f"{prefix}{name}", value


def _check_convolutions(
    convs: list[Mapping[str, Any]],
    pads: list[tuple[int, ...]],
    pools: list[Mapping[str, Any]],
) -> None:
    """Strides and paddings: shapes are the same for several of them."""
    for conv in convs:
        kernel, stride, dilation = (
            _numbers(conv.get(setting)) for setting in ("kernel_size", "stride", "dilation")
        )
        if stride != STRIDES.get(kernel) or dilation != (1, 1):
            raise ConversionError(
                f"a convolution of {kernel} pixels with stride {stride} and dilation {dilation}"
            )
    if _are_residual(convs) and not pads:
        for pool in pools:
            found = {name: _numbers(pool.get(name)) for name in RESIDUAL_POOL}
            if found != RESIDUAL_POOL or pool.get("ceil_mode"):
                raise ConversionError(f"pools of {found}; IMPALA's ResNet has {RESIDUAL_POOL}")
        return
    if pools:
        raise ConversionError("pools in a network that is not IMPALA's ResNet")
    inside = [_numbers(conv.get("padding")) for conv in convs]
    none = not any(any(sides) for sides in (*inside, *pads)) and () not in (*inside, *pads)
    same = inside == [(0, 0)] * 3 and pads == list(SAME)
    half = inside == [(2, 2), (0, 0), (1, 1)] and pads == [SAME[1]]
    if not (none or same or half):
        raise ConversionError(f"convolutions that pad by {inside[:4]}, and pads of {pads[:4]}")


def _are_residual(convs: list[Mapping[str, Any]]) -> bool:
    """Whether all convolutions keep the size of their maps, as a residual network's do."""
    found = [{name: _numbers(conv.get(name)) for name in RESIDUAL_CONV} for conv in convs]
    return bool(found) and all(settings == RESIDUAL_CONV for settings in found)


def _numbers(value: Any, count: int = 2) -> tuple[int, ...]:
    """A setting that torch has as one number or as several; () where it is neither."""
    if isinstance(value, str) and value == "valid":
        value = 0
    numbers = (value,) * count if type(value) is int else value
    if not isinstance(numbers, tuple) or len(numbers) != count:
        return ()
    return numbers if all(type(n) is int and abs(n) < 1 << 20 for n in numbers) else ()
