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


def without_softmax(model: onnx.ModelProto) -> tuple[onnx.ModelProto, str]:
    """The model, or a copy whose first output is what enters the softmax that it ends in; and that
    operator, "Softmax", "LogSoftmax" or "" where there is none."""
    output = model.graph.output[0].name
    nodes = {name: node for node in model.graph.node for name in node.output}
    node = nodes.get(output)
    while node is not None and node.op_type in SAME_VALUE:
        node = nodes.get(node.input[0])
    if node is None or node.op_type not in ("Softmax", "LogSoftmax"):
        return model, ""
    users = [other for other in model.graph.node if node.output[0] in other.input]
    if len(users) + (node.output[0] == output) != 1:
        return model, ""  # something else reads the probabilities
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    for other in changed.graph.node:
        if other.output[0] == node.output[0]:
            other.op_type = "Identity"
            del other.attribute[:]
    return changed, node.op_type


def are_probabilities(outputs: Float[Tensor, "batch actions"]) -> bool:
    """Whether each row is none below 0 and sums to 1, as no other outputs do by chance."""
    return bool((outputs >= 0).all() and ((outputs.sum(dim=1) - 1).abs() < TOLERANCE).all())


def as_probabilities(outputs: Float[Tensor, "batch actions"], operator: str) -> Tensor:
    """What such an operator at a graph's end makes of them."""
    if operator == "LogSoftmax":
        return outputs.log_softmax(dim=1)
    return outputs.softmax(dim=1) if operator else outputs
