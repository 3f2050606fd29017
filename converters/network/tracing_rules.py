"""Rules of tracing: what each of torch's operations (https://docs.pytorch.org/docs/stable/
torch.compiler_ir.html) makes of the map that it is given."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from atari_zoo.converters.network.field_maps import FieldMaps
from atari_zoo.converters.network.layouts import (
    COLUMNS,
    MAPS,
    OTHER,
    ROWS,
    Axis,
    axis_of,
    broadcast,
    is_maps,
    kinds_in,
    map_layout,
    parts_joined,
    regrouped,
)
from atari_zoo.converters.network.tracing import Call, Rule, Traced

TRACING_RULES: dict[str, Rule] = {}


def traces(*names: str) -> Callable[[Rule], Rule]:
    """Registers what those operations do."""

    def register(rule: Rule) -> Rule:
        TRACING_RULES.update(dict.fromkeys(names, rule))
        return rule

    return register


@traces("pointwise", "copy", "masked_fill", "where")
def number_by_number(call: Call) -> Traced:
    """Sums, products, activations: each number of the same place."""
    given = call.all_traced()
    layout = broadcast([traced.layout for traced in given], call.shape)
    if layout is None:
        return call.unknown("of other axes")
    return call.made(layout, lambda maps: maps[0].united(*maps[1:]), *given)


@traces(
    "clone", "detach", "alias", "_to_copy", "contiguous", "lift_fresh", "dropout", "native_dropout"
)
def as_it_is(call: Call) -> Traced:
    """The same numbers."""
    return call.all_traced()[0]


@traces("native_batch_norm", "_native_batch_norm_legit", "cudnn_batch_norm", "miopen_batch_norm")
def batch_norm(call: Call) -> Traced:
    """Of each number alone, or, as an instance norm is done, with the map's statistics."""
    (given, *_) = call.all_traced()
    return _mixed(call, given, given.layout[2:]) if call["training"] else given


@traces("_native_batch_norm_legit_no_training")
def played_batch_norm(call: Call) -> Traced:
    """Of each number alone."""
    return call.all_traced()[0]


@traces("native_layer_norm")
def layer_norm(call: Call) -> Traced:
    """With the statistics of the last axes."""
    (given, *_) = call.all_traced()
    return _mixed(call, given, given.layout[-len(call["normalized_shape"]) :])


@traces("native_group_norm")
def group_norm(call: Call) -> Traced:
    """With the statistics of the whole map."""
    (given, *_) = call.all_traced()
    return _mixed(call, given, given.layout[1:])


@traces("_softmax", "_log_softmax")
def softmax(call: Call) -> Traced:
    """With the sum over an axis."""
    (given, *_) = call.all_traced()
    return _mixed(call, given, [given.layout[call["dim"]]])


@traces("convolution")
def convolution(call: Call) -> Traced:
    """Over rows and columns; which channels it takes makes no difference to a place."""
    given = call.traced("input")
    alone = given is not None and len(call.all_traced()) == 1
    if given is None or not alone or not is_maps(given.layout) or call["transposed"]:
        return call.unknown()
    kernel = call["weight"].shape[2:]
    return _windowed(
        call, given, kernel, _pair(call["stride"]), _pair(call["padding"]), _pair(call["dilation"])
    )


@traces("max_pool2d_with_indices", "avg_pool2d")
def pool(call: Call) -> Traced:
    """The largest or mean of a window."""
    (given, *_) = call.all_traced()
    if not is_maps(given.layout):
        return call.unknown()
    kernel = _pair(call["kernel_size"])
    stride = _pair(call["stride"] or kernel)
    dilation = _pair(call.arguments.get("dilation", 1))
    return _windowed(call, given, kernel, stride, _pair(call["padding"]), dilation)


@traces("_adaptive_avg_pool2d", "adaptive_max_pool2d")
def adaptive_pool(call: Call) -> Traced:
    """Windows by the size that is wanted."""
    (given, *_) = call.all_traced()
    if not is_maps(given.layout):
        return call.unknown()
    size = call.shape[2:]
    return call.made(map_layout(*call.shape), lambda maps: maps[0].resampled(size), given)


@traces("constant_pad_nd")
def padding(call: Call) -> Traced:
    """Of maps with nothing, or cutting them."""
    (given, *_) = call.all_traced()
    pad = [*call["pad"], 0, 0, 0, 0][:4]
    if not is_maps(given.layout):
        return call.unknown()
    return _windowed(call, given, (1, 1), before=(pad[2], pad[0]))


@traces("reflection_pad2d", "replication_pad2d")
def mirror(call: Call) -> Traced:
    """Of maps with their own border."""
    (given, *_) = call.all_traced()
    if not is_maps(given.layout):
        return call.unknown()
    mode, pad = "reflect" if call.name[:3] == "ref" else "replicate", call["padding"]
    return call.made(map_layout(*call.shape), lambda maps: maps[0].mirrored(pad, mode), given)


@traces(
    "mean", "sum", "amax", "amin", "max", "min", "prod", "var", "std", "logsumexp", "any", "all",
    "linalg_vector_norm", "norm",
)  # fmt: skip
def reduction(call: Call) -> list[Traced]:
    """Over some axes, or all."""
    (given, *_) = call.all_traced()
    count = len(given.layout)
    axes = call.arguments.get("dim")
    axes = [axes] if isinstance(axes, int) else axes or range(count)
    chosen = {axis % count for axis in axes} if count else set()
    kept = call.arguments.get("keepdim")
    layout = [
        () if place in chosen else axis
        for place, axis in enumerate(given.layout)
        if kept or place not in chosen
    ]
    found = _gathered(call, given, layout, [given.layout[place] for place in chosen])
    return [found] * len(call.results)


@traces("mm", "bmm", "addmm", "baddbmm", "mv")
def product(call: Call) -> Traced:
    """With weights: over the last axis of the first, or the last but one of the second."""
    first = call.traced("mat1") or call.traced("batch1") or call.traced("self")
    second = call.traced("mat2") or call.traced("batch2") or call.traced("vec")
    if len(call.all_traced()) != 1 or (first is None and second is None):
        return call.unknown("of two values")
    if call.name in ("addmm", "baddbmm") and call.traced("self") is not None:
        return call.unknown("of other axes")
    if first is not None:
        rest = [axis_of(OTHER, call.shape[-1])] if call.name != "mv" else []
        return _gathered(call, first, [*first.layout[:-1], *rest], first.layout[-1:])
    assert second is not None
    layout = [axis_of(OTHER, size) for size in call.shape]
    layout[-1] = second.layout[-1]
    return _gathered(call, second, layout, second.layout[-2:-1])


@traces("view", "_unsafe_view", "reshape", "_reshape_alias", "squeeze", "unsqueeze")
def reshaping(call: Call) -> Traced:
    """As long as rows and columns stay whole."""
    (given, *_) = call.all_traced()
    layout = regrouped(given.layout, call.shape)
    if layout is None:
        return call.unknown("of rows or columns in pieces")
    return Traced(layout, given.step)


@traces("permute", "transpose", "t")
def transposing(call: Call) -> Traced:
    """Axes in another order."""
    (given, *_) = call.all_traced()
    order = list(call.arguments.get("dims", range(len(given.layout))))
    if "dims" not in call.arguments and len(order) > 1:
        a, b = (call.arguments.get(name, place) for place, name in enumerate(("dim0", "dim1")))
        order[a], order[b] = order[b], order[a]
    return Traced(tuple(given.layout[axis] for axis in order), given.step)


@traces("expand")
def expanding(call: Call) -> Traced:
    """Axes of size 1 as larger ones."""
    (given, *_) = call.all_traced()
    layout = broadcast([given.layout], call.shape)
    assert layout is not None  # it is one
    return Traced(layout, given.step)


@traces("slice", "select")
def cutting(call: Call) -> Traced:
    """A part of one axis, or one of its numbers."""
    (given, *_) = call.all_traced()
    axis = call["dim"] % len(given.layout)
    size = call["self"].shape[axis]
    if call.name == "select":
        return _cut(call, given, axis, call["index"] % size, 1, 1, dropped=True)
    start, _, step = slice(call["start"], None, call["step"]).indices(size)
    return _cut(call, given, axis, start, step, call.shape[axis])


@traces("split", "split_with_sizes", "chunk", "unsafe_split", "unsafe_chunk", "unbind")
def splitting(call: Call) -> list[Traced]:
    """Parts of one axis, one after the other."""
    (given, *_) = call.all_traced()
    axis = call["dim"] % len(given.layout)
    found, start = [], 0
    for result in call.results:
        size = 1 if call.name == "unbind" else result.shape[axis]
        found.append(_cut(call, given, axis, start, 1, size, dropped=call.name == "unbind"))
        start += size
    return found


@traces("cat", "stack")
def concatenation(call: Call) -> Traced:
    """Of channels: whatever any of them sees. Of flat values, all."""
    given, axis = call.all_traced(), call["dim"] % len(call.shape)
    layouts = [list(traced.layout) for traced in given]
    if call.name == "stack":
        for layout in layouts:
            layout.insert(axis, ())
    along: list[Axis] = [layout[axis] for layout in layouts]
    if any(len(part) == 1 and kinds_in(part) for part in along):
        return call.unknown("of rows or columns")
    for layout in layouts:
        layout[axis] = ()
    whole = broadcast([tuple(layout) for layout in layouts], _with(call.shape, axis, 1))
    if whole is None:
        return call.unknown("of other axes")
    lost = [_kinds([part]) for part in along]

    def change(maps: Sequence[FieldMaps]) -> FieldMaps:
        first, *others = (one.gathered(*gone) for one, gone in zip(maps, lost, strict=True))
        return first.united(*others)

    layout = [*whole]
    layout[axis] = axis_of(OTHER, call.shape[axis])
    return call.made(tuple(layout), change, *given)


def _windowed(
    call: Call, given: Traced, kernel: Sequence[int], stride: Sequence[int] = (1, 1),
    before: Sequence[int] = (0, 0), dilation: Sequence[int] = (1, 1),
) -> Traced:  # fmt: skip
    size, kernel = call.shape[2:], tuple(kernel)

    def change(maps: Sequence[FieldMaps]) -> FieldMaps:
        return maps[0].windowed(size, kernel, stride, before, dilation)

    return call.made(map_layout(*call.shape), change, given)


def _cut(
    call: Call, given: Traced, axis: int, start: int, step: int, size: int, dropped: bool = False
) -> Traced:
    """A part of an axis; dropped: the axis goes away."""
    layout, old = list(given.layout), given.layout[axis]
    kind = old[0][0] if len(old) == 1 else OTHER
    if kinds_in(old) and kind == OTHER:
        return call.unknown("of rows and columns in one axis")
    layout[axis] = axis_of(kind, size)
    if dropped:
        del layout[axis]
    if kind == OTHER:
        return Traced(tuple(layout), given.step)
    place = MAPS.index(kind)

    def change(maps: Sequence[FieldMaps]) -> FieldMaps:
        (one,) = maps
        sizes = _with(one.ways.shape[2:], place, size)
        return one.windowed(sizes, (1, 1), _with((1, 1), place, step), _with((0, 0), place, -start))

    return call.made(tuple(layout), change, given)


def _gathered(call: Call, given: Traced, layout: Sequence[Axis], lost: Sequence[Axis]) -> Traced:
    """With those axes added up."""
    rows, columns = _kinds(lost)
    made = parts_joined(tuple(layout))
    return call.made(made, lambda maps: maps[0].gathered(rows, columns), given)


def _mixed(call: Call, given: Traced, axes: Sequence[Axis]) -> Traced:
    rows, columns = _kinds(axes)
    if not rows and not columns:
        return given
    return call.made(given.layout, lambda maps: maps[0].mixed(rows, columns), given)


def _kinds(axes: Sequence[Axis]) -> tuple[bool, bool]:
    """Whether rows, and columns, are in one of the axes."""
    kinds = set[str]().union(*map(kinds_in, axes))
    return ROWS in kinds, COLUMNS in kinds


def _pair(value: Any) -> tuple[int, int]:
    sizes = [value] if isinstance(value, int) else list(value)
    return sizes[0], sizes[-1]


def _with(sizes: Sequence[int], place: int, size: int) -> tuple[int, ...]:
    changed = list(sizes)
    changed[place] = size
    return tuple(changed)
