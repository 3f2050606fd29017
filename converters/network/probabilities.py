"""Probabilities of actions as logits: what a policy samples from is the softmax of its outputs.

A graph that ends in its own softmax gives probabilities already, and a second softmax over them
would be almost uniform play.
"""

from __future__ import annotations

import onnx
import torch
from jaxtyping import Float
from torch import Tensor, nn

SAME_VALUE = ("Identity", "Cast", "Squeeze", "Unsqueeze", "Flatten")
TOLERANCE = 1e-3  # what a row of probabilities, of half precision too, may lack of 1


class Logarithm(nn.Module):
    """Probabilities as log-probabilities, whose softmax they are."""

    def forward(self, probabilities: Float[Tensor, "batch actions"]) -> Tensor:
        # in half precision a small one is 0, whose logarithm no gradient survives
        return probabilities.clamp_min(torch.finfo(probabilities.dtype).tiny).log()


def without_softmax(model: onnx.ModelProto) -> tuple[onnx.ModelProto, tuple[str, ...]]:
    """The model, or a copy each of whose outputs is what enters the softmax that it ends in; and of
    each that operator, "Softmax", "LogSoftmax" or "" where there is none."""
    ends = [_softmax_of(model, output.name) for output in model.graph.output]
    last = {node.output[0] for node in ends if node is not None}
    operators = tuple("" if node is None else node.op_type for node in ends)
    if not last:
        return model, operators
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    for node in changed.graph.node:
        if node.output[0] in last:
            node.op_type = "Identity"
            del node.attribute[:]
    return changed, operators


def _softmax_of(model: onnx.ModelProto, output: str) -> onnx.NodeProto | None:
    """The softmax that an output ends in, where nothing else reads it."""
    nodes = {name: node for node in model.graph.node for name in node.output}
    node = nodes.get(output)
    while node is not None and node.op_type in SAME_VALUE:
        node = nodes.get(node.input[0])
    if node is None or node.op_type not in ("Softmax", "LogSoftmax"):
        return None
    users = [other for other in model.graph.node if node.output[0] in other.input]
    return node if len(users) + (node.output[0] == output) == 1 else None


def are_probabilities(outputs: Float[Tensor, "batch actions"]) -> bool:
    """Whether each row is none below 0 and sums to 1, as no other outputs do by chance."""
    return bool((outputs >= 0).all() and ((outputs.sum(dim=1) - 1).abs() < TOLERANCE).all())


def as_probabilities(outputs: Float[Tensor, "batch actions"], operator: str) -> Tensor:
    """What such an operator at a graph's end makes of them."""
    if operator == "LogSoftmax":
        return outputs.log_softmax(dim=1)
    return outputs.softmax(dim=1) if operator else outputs
