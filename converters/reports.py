"""The structural report: what was found in a model's file, and how well its conversion agrees.

The published descriptions of many agents leave open what their files hold; so a conversion says
what it read, and is checked at once with a second program.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import onnx

from atari_zoo.converters.convert import white_of
from atari_zoo.converters.errors import ConversionError
from atari_zoo.converters.network.foreign import Network
from atari_zoo.converters.network.networks import MnihNetwork
from atari_zoo.converters.recognition.recognise import recognise
from atari_zoo.converters.registry import FORMATS, Source
from atari_zoo.converters.structures import structure, unknown_structure
from atari_zoo.converters.verification import (
    TOLERANCE,
    Agreement,
    compared_layers,
    compared_outputs,
)


@dataclass(frozen=True)
class Report:
    """What was found, as plain data.

    operators: the file's own, and how many of each are on the way to the output.
    convolutions: channels, kernel, stride and padding of each; pixels.
    flatten: the order in which the file's dense layer reads the last convolution.
    head: its kind, actions, and atoms or quantiles where it has them.
    layers: onnxruntime against torch at each named layer (`verification.Agreement`).
    difference: the largest of theirs.
    """

    file: str
    format: str
    written_by: str
    input: str
    operators: dict[str, int]
    convolutions: list[dict[str, Any]]
    flatten: str
    dense: int | None
    head: dict[str, Any]
    layers: list[dict[str, Any]]
    difference: float
    notes: list[str]

    @property
    def verified(self) -> dict[str, Any]:
        """What a model's card keeps of it."""
        return {
            "against": "onnxruntime",
            "difference": self.difference,
            "layers": [row["layer"] for row in self.layers],
        }

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON has it."""
        return asdict(self)

    def rows(self) -> Iterator[tuple[str, str]]:
        """The report as a person reads it: a name and a line for each fact."""
        yield "format", f"{self.format} ({self.written_by})" if self.written_by else self.format
        if self.input:
            yield "input", self.input
        if self.operators:
            yield "operators", ", ".join(f"{n} {op}" for op, n in sorted(self.operators.items()))
        for index, conv in enumerate(self.convolutions, start=1):
            kernel = "x".join(map(str, conv["kernel"]))
            yield (
                f"conv{index}",
                f"{conv['channels']} filters {kernel}, stride {conv['stride'][0]}, "
                f"{conv['padding']}",
            )
        if self.flatten:
            yield "flatten", self.flatten
        if self.dense:
            yield "fc", f"{self.dense} units"
        yield "head", ", ".join(f"{value} {name}" for name, value in _head_words(self.head))
        worst = max(self.layers, key=lambda row: row["difference"])
        yield (
            "agrees",
            f"within {self.difference:.1e} at {len(self.layers)} layers, "
            f"the most at '{worst['layer']}' (onnxruntime against torch)",
        )
        for note in self.notes:
            yield "note", note


def report(source: Source, model: onnx.ModelProto, network: Network) -> Report:
    """What was found in `source`, and how its conversion `model` compares at every layer.

    network: what `to_torch` makes of the model.
    Raises ConversionError where onnxruntime and torch disagree by more than rounding.
    """
    if isinstance(network, MnihNetwork):
        found = recognise(model, white_of(model))
        agreements, facts = compared_layers(model, found), structure(network, found)
    else:
        agreements, facts = compared_outputs(model, network), unknown_structure(network)
    _check(agreements)
    form = FORMATS.get(source.card.get("format", ""))
    return Report(
        file=source.card.get("source", ""),
        format=form.title if form else "",
        written_by=source.written_by,
        input=source.input or facts["input"],
        operators=source.operators or _operators(model, source),
        convolutions=facts["convolutions"],
        flatten=source.flatten or facts["flatten"],
        dense=facts["dense"],
        head=facts["head"],
        layers=[asdict(row) for row in agreements],
        difference=max(row.difference for row in agreements),
        notes=[*source.notes, *(f"assumed: {line}" for line in network.card.assumptions)],
    )


def _check(agreements: list[Agreement]) -> None:
    for row in agreements:
        # float32 sums in another order differ in proportion to what is summed
        allowed = TOLERANCE * max(1.0, row.magnitude)
        if not row.difference <= allowed:
            raise ConversionError(
                f"onnxruntime and torch differ by {row.difference:.1e} at '{row.layer}', where "
                f"{allowed:.0e} would be rounding: it was not understood; nothing was written"
            )


def _head_words(head: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in head.items():
        if name == "kind":
            yield "head", value
        elif name == "support":
            yield "", f"support {value[0]:g} to {value[1]:g}"
        elif name == "dueling":
            if value:
                yield "", "dueling"
        else:
            yield name, value


def _operators(model: onnx.ModelProto, source: Source) -> dict[str, int]:
    """The graph's own; a file of weights alone has none."""
    if isinstance(source.model, MnihNetwork):
        return {}
    kinds = [node.op_type for node in model.graph.node]
    return {kind: kinds.count(kind) for kind in sorted(set(kinds))}
