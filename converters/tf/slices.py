"""TensorFlow's operators that take parts of a value."""

from __future__ import annotations

from atari_zoo.converters.tf.operators import TfNode, tf_operator

FAR = (1 << 31) - 1  # beyond any end: how ONNX says "to the end"


@tf_operator("StridedSlice")
def strided_slice(node: TfNode) -> str:
    """A cut as Python writes it: `x[1:, ..., None, 0]`; the masks say which parts were left out."""
    begins, ends, strides = (node.numbers(i) for i in (1, 2, 3))
    masks = {m: node.whole(f"{m}_mask") for m in ("begin", "end", "ellipsis", "new_axis")}
    shrink = node.whole("shrink_axis_mask")
    rank, given = len(node.shape()), len(begins)
    cuts, gone, new = [], [], []
    axis = place = 0  # in what is read, and in the result
    for i, (begin, end, stride) in enumerate(zip(begins, ends, strides, strict=True)):
        bit = 1 << i
        if masks["ellipsis"] & bit:
            passed = rank - given + 1 + (masks["new_axis"] & ~bit).bit_count()
            axis, place = axis + passed, place + passed
        elif masks["new_axis"] & bit:
            new.append(place)
            place += 1
        elif shrink & bit:
            cuts.append((axis, begin, begin + 1 if begin != -1 else FAR, 1))
            gone.append(axis)
            axis += 1
        else:
            first, last = (0, FAR) if stride > 0 else (FAR, -FAR)
            begin = first if masks["begin"] & bit else begin
            cuts.append((axis, begin, last if masks["end"] & bit else end, stride))
            axis, place = axis + 1, place + 1
    return _cut(node, cuts, gone, new)


@tf_operator("Slice")
def slice_(node: TfNode) -> str:
    """A block, by where it begins and its size; -1 is up to the end."""
    sizes = zip(node.numbers(1), node.numbers(2), strict=True)
    cuts = [(i, b, FAR if size == -1 else b + size, 1) for i, (b, size) in enumerate(sizes)]
    return _cut(node, cuts, [], [])


@tf_operator("Gather", "GatherV2")
def gather(node: TfNode) -> str:
    """Some entries along an axis."""
    axis = node.numbers(2)[0] if len(node.inputs) > 2 else 0
    return node.result("Gather", *node.inputs[:2], axis=axis)


def _cut(
    node: TfNode, cuts: list[tuple[int, int, int, int]], gone: list[int], new: list[int]
) -> str:
    """Slices by (axis, begin, end, stride), then axes taken out, then axes put in."""
    parts = [("Slice", [[c[i] for c in cuts] for i in (1, 2, 0, 3)])] if cuts else []
    parts += [("Squeeze", [gone])] if gone else []
    parts += [("Unsqueeze", [new])] if new else []
    value = node.inputs[0]
    for op, lists in parts:
        value = node.step(op, value, *(node.constant(x, f"{op}{i}") for i, x in enumerate(lists)))
    return node.result("Identity", value)
