"""A network's structure from one run of it: what each operation that torch did makes of the map
that it is given, whatever module or function asked for it.

Every network, readable or not, comes down to the same few dozen operations of ATen. Each has a rule
in `tracing_rules`; what has none is named where somebody asks for a layer behind it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode

from atari_zoo.converters.network.field_maps import FieldMaps, screen_maps
from atari_zoo.converters.network.layouts import Layout, map_layout

Change = Callable[[Sequence[FieldMaps]], FieldMaps]


@dataclass(frozen=True)
class Traced:
    """A value that depends on the screen: how its axes lie, and the step that gives its maps.

    unknown: why they are not known, if so.
    """

    layout: Layout = ()
    step: int = -1
    unknown: str = ""


@dataclass(frozen=True)
class TraceStep:
    """How maps come of those of earlier steps."""

    change: Change
    earlier: tuple[int, ...] = ()


class Call:
    """An operation that was done: its arguments by their names, and what it gave."""

    def __init__(self, trace: Trace, operation: Any, args: Sequence[Any], given: Any) -> None:
        schema = operation._schema
        self.trace = trace
        self.name = schema.name.removeprefix("aten::")
        self.pointwise = torch.Tag.pointwise in operation.tags
        self.arguments = {
            a.name: a.default_value for a in schema.arguments if a.has_default_value()
        }
        self.arguments |= dict(zip((a.name for a in schema.arguments), args, strict=False)) | given
        self.results: list[Tensor] = []

    def __getitem__(self, name: str) -> Any:
        return self.arguments[name]

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the first result."""
        return tuple(self.results[0].shape)

    def traced(self, name: str) -> Traced | None:
        """An argument, where it depends on the screen."""
        return self.trace.of(self.arguments.get(name))

    def all_traced(self) -> list[Traced]:
        """Of all arguments those that depend on the screen."""
        found = map(self.trace.of, pytree.tree_leaves(self.arguments))
        return [traced for traced in found if traced is not None]

    def made(self, layout: Layout, change: Change, *given: Traced) -> Traced:
        """A value of that layout, whose maps come of those of the given ones."""
        return Traced(layout, self.trace.add(TraceStep(change, tuple(t.step for t in given))))

    def unknown(self, why: str = "") -> Traced:
        """A value whose maps are not known."""
        return Traced(unknown=f"'{self.name}'{f' {why}' if why else ''} is done on the way to it")


Rule = Callable[[Call], Traced | Sequence[Traced | None]]


class Trace(TorchDispatchMode):
    """While it is open, operations on what depends on the screen are followed.

    screen: (batch, frames, height, width). rules: by the operations' names.
    """

    def __init__(self, screen: Tensor, rules: Mapping[str, Rule]) -> None:
        super().__init__()
        self.rules = rules
        self.steps: list[TraceStep] = []
        self.kept: list[Tensor] = []  # or another tensor might get the number of one that is gone
        self.known: dict[int, tuple[int, Traced]] = {}  # and which of those kept it is
        # memory that was written into: those that had been kept by then show something else now
        self.written: dict[int, tuple[int, Traced]] = {}
        maps, self.pixels = screen_maps(*screen.shape[2:])
        start = self.add(TraceStep(lambda _: maps))
        self._remember(screen, Traced(map_layout(*screen.shape), start))

    def of(self, value: object) -> Traced | None:
        """What is known of a value; None where it does not depend on the screen."""
        if not isinstance(value, Tensor):
            return None
        kept, traced = self.known.get(id(value), (-1, None))
        written, unknown = self.written.get(_memory(value), (-1, None))
        return unknown if written > kept else traced

    def add(self, step: TraceStep) -> int:
        """The step's number."""
        self.steps.append(step)
        return len(self.steps) - 1

    def maps(self, traced: Traced) -> FieldMaps:
        """What the places of a value see."""
        needed, todo = set(), [traced.step]
        while todo:
            number = todo.pop()
            if number not in needed:
                needed.add(number)
                todo += self.steps[number].earlier
        found: dict[int, FieldMaps] = {}
        for number in sorted(needed):
            step = self.steps[number]
            found[number] = step.change([found[earlier] for earlier in step.earlier])
        return found[traced.step]

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        given = kwargs or {}
        results = func(*args, **given)
        if any(self.of(value) is not None for value in pytree.tree_leaves((args, given))):
            call = Call(self, func, args, given)
            call.results = list(_tensors(results))
            self._follow(call)
        return results

    def _follow(self, call: Call) -> None:
        own = call.name if call.name in self.rules else call.name.removesuffix("_")
        unknown = next((traced for traced in call.all_traced() if traced.unknown), None)
        if unknown is not None:
            found: Traced | Sequence[Traced | None] = [unknown] * len(call.results)
        elif call.pointwise or own in self.rules:
            found = self.rules["pointwise" if call.pointwise else own](call)
        else:
            found = [call.unknown()] * len(call.results)
        for value, traced in zip(
            call.results, [found] if isinstance(found, Traced) else found, strict=False
        ):
            if traced is not None:
                self._remember(value, traced)
        if call.name.endswith("_") and call.results:
            self._note_written(call, call.results[0])

    def _note_written(self, call: Call, target: Tensor) -> None:
        """Notes that what else has the target's memory is changed too."""
        memory = _memory(target)
        if target.numel() * target.element_size() < target.untyped_storage().nbytes():
            self.written[memory] = sys.maxsize, call.unknown("into a part of a tensor")
        elif id(target) in self.known and not (call.pointwise and len(call.all_traced()) == 1):
            last, _ = self.known[id(target)]  # a ReLU, of one value, moves nothing
            if last > self.written.get(memory, (-1, None))[0]:
                self.written[memory] = last, call.unknown("through another view of it")

    def _remember(self, value: Tensor, traced: Traced) -> None:
        self.known[id(value)] = len(self.kept), traced
        self.kept.append(value)


def _tensors(results: Any) -> Iterator[Tensor]:
    leaves = pytree.tree_leaves(results)
    return (leaf for leaf in leaves if isinstance(leaf, Tensor))


def _memory(value: Tensor) -> int:
    return value.untyped_storage().data_ptr()
