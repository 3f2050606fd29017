"""Outputs of a network, told apart by their shapes and names: which rates the actions, and which
is the value of the state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import onnx
from torch import Tensor

from atari_zoo.converters.errors import ConversionError
from atari_zoo.converters.network.heads import MOST_ACTIONS, check_outputs

OUTPUT, VALUE = "output", "value"  # the zoo's own names go before all others
NAMES = {
    OUTPUT: "logits policy pi actor policy_logits action_logits q qvalues q_values actions".split(),
    VALUE: "values v vf critic baseline state_value value_function".split(),
}


@dataclass(frozen=True)
class Roles:
    """Numbers of outputs. value: -1 where there is none. assumed: what had to be taken for granted,
    empty where it was told."""

    output: int
    value: int = -1
    assumed: str = ""


def roles_told(outputs: Sequence[tuple[str, Tensor]], count: int) -> Roles:
    """Which of a network's outputs are what.

    outputs: their names, and what they are for so many observations.
    The actions' is (batch, 2 to 18), the value's (batch,) or (batch, 1), of floats. Of several the
    name tells; else the first is taken for the actions', and none for the value.
    Raises ConversionError if none can be of actions.
    """
    shapes = [tuple(value.shape) for _, value in outputs]
    wide = [n for n, s in enumerate(shapes) if len(s) == 2 and s[0] == count and s[1] > 1]
    rated = [number for number in wide if shapes[number][1] <= MOST_ACTIONS]
    if not rated:
        if len(wide) == 1:
            check_outputs(shapes[wide[0]][1])
        words = ", ".join(f"'{n}' {s}" for (n, _), s in zip(outputs, shapes, strict=True))
        raise ConversionError(
            f"none of its outputs is (batch, actions): for {count} observations it gives {words}"
        )
    floats = [value.is_floating_point() for _, value in outputs]  # an action drawn is no value
    scalar = [n for n, s in enumerate(shapes) if floats[n] and s in ((count,), (count, 1))]
    names = [name for name, _ in outputs]
    number, assumed = rating([names[number] for number in rated])
    return Roles(rated[number], _named(scalar, names, VALUE), assumed)


def rating(names: Sequence[str]) -> tuple[int, str]:
    """Which of the outputs that can be the actions' is, and what is assumed of it: "" if it is the
    only one, or its name tells."""
    number = _named(range(len(names)), names, OUTPUT)
    if number >= 0:
        return number, ""
    others = ", ".join(f"'{name}'" for name in names[1:])
    return 0, (
        f"output '{names[0]}' rates the actions, not {others} "
        "(--action-output, or action_output=, if it is not so)"
    )


def with_outputs_named(model: onnx.ModelProto, roles: Mapping[str, str]) -> onnx.ModelProto:
    """A copy whose outputs bear the names of their roles; where that of the actions is named, all
    others that are not are left out, but of a graph with states, which others may be.

    roles: "output" and "value", each to the name of an output.
    Raises ConversionError if the graph has no such output.
    """
    named = onnx.ModelProto()
    named.CopyFrom(model)
    there = [output.name for output in model.graph.output]
    changes: dict[str, str] = {}
    for role, name in roles.items():
        if name not in there:
            raise ConversionError(f"no output '{name}'; there are {', '.join(there)}")
        if name != role:
            changes |= {role: f"{role}/other", name: role}
    stored = {tensor.name for tensor in model.graph.initializer}
    if OUTPUT in roles and len({i.name for i in model.graph.input} - stored) < 2:
        kept = [o for o in model.graph.output if o.name in roles.values()]
        del named.graph.output[:]
        named.graph.output.extend(kept)
    for value in (*named.graph.output, *named.graph.value_info):
        value.name = changes.get(value.name, value.name)
    for tensor in named.graph.initializer:
        tensor.name = changes.get(tensor.name, tensor.name)
    for node in named.graph.node:
        for names in (node.input, node.output):
            names[:] = [changes.get(name, name) for name in names]
    return named


def _named(chosen: Sequence[int], names: Sequence[str], role: str) -> int:
    """The only one, or the only one that is called so; -1 if there is none."""
    for known in ([role], NAMES[role]):
        called = [number for number in chosen if names[number].lower() in known]
        if len(called) == 1:
            return called[0]
    return chosen[0] if len(chosen) == 1 else -1
