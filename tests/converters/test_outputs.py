"""Outputs told apart by their shapes and names, or chosen."""

from __future__ import annotations

import io
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path

import onnx
import pytest
import torch
from torch import Tensor, nn

import atari_zoo as zoo
from atari_zoo.__main__ import main
from atari_zoo.converters import ConversionError, to_torch
from atari_zoo.converters.network.outputs import roles_told
from atari_zoo.models import convert

N = 3  # observations
ROLES = {
    "one": ([("y", (N, 6))], (0, -1)),
    "the second is the value": ([("a", (N, 6)), ("b", (N, 1))], (0, 1)),
    "the first, without an axis": ([("a", (N,)), ("b", (N, 4))], (1, 0)),
    "features too": ([("h", (N, 256)), ("a", (N, 18)), ("b", (N, 1))], (1, 2)),
    "a name": ([("hidden", (N, 8)), ("Policy", (N, 6))], (1, -1)),
    "the zoo's own names": (
        [("logits", (N, 6)), ("output", (N, 6)), ("v", (N,)), ("value", (N, 1))], (1, 3),
    ),
    "no value among several": ([("q", (N, 6)), ("a", (N,)), ("b", (N,))], (0, -1)),
    "not a value": ([("q", (N, 6)), ("a", (1,)), ("b", (N, 1, 1))], (0, -1)),
}  # fmt: skip


def named(shapes: Sequence[tuple[str, tuple[int, ...]]]) -> list[tuple[str, Tensor]]:
    return [(name, torch.zeros(shape)) for name, shape in shapes]


@pytest.mark.parametrize("case", ROLES)
def test_shapes_and_names_tell(case: str) -> None:
    shapes, expected = ROLES[case]
    found = roles_told(named(shapes), N)
    assert (found.output, found.value, found.assumed) == (*expected, "")


def test_whole_numbers_are_no_value() -> None:
    """An action that the graph has chosen already."""
    outputs = [("logits", torch.zeros(N, 6)), ("action", torch.zeros(N, dtype=torch.int64))]
    assert roles_told(outputs, N).value == -1
    assert roles_told([*outputs, ("v", torch.zeros(N))], N).value == 2


def test_what_is_assumed_is_said() -> None:
    found = roles_told(named([("a", (N, 6)), ("b", (N, 6)), ("c", (N, 4))]), N)
    assert found.output == 0
    assert found.assumed.startswith("output 'a' rates the actions, not 'b', 'c' (--action-output")


@pytest.mark.parametrize(
    "shapes, message",
    [
        ([("a", (N,)), ("b", (6, N))], r"for 3 observations it gives 'a' \(3,\), 'b' \(6, 3\)"),
        ([("a", (N, 306))], "306 outputs cannot be actions.* 6 actions of 51 atoms"),
    ],
)
def test_without_an_output_of_actions_it_is_no_agent(shapes, message: str) -> None:
    with pytest.raises(ConversionError, match=message):
        roles_told(named(shapes), N)


class Several(nn.Module):
    """Two policies and two values."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.body = nn.Sequential(nn.Conv2d(4, 4, 8, 4), nn.MaxPool2d(2), nn.Flatten())
        self.heads = nn.ModuleList(nn.Linear(400, count) for count in (6, 6, 1, 1))

    def forward(self, x: Tensor) -> list[Tensor]:
        return [head(self.body(x)) for head in self.heads]


@pytest.fixture(scope="module")
def several() -> tuple[Several, onnx.ModelProto]:
    module, file = Several().eval(), io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module, (torch.zeros(1, 4, 84, 84),), file, dynamo=False, input_names=["x"],
            output_names=["one", "two", "three", "value"], dynamic_axes={"x": {0: "n"}},
        )  # fmt: skip
    return module, onnx.load_from_string(file.getvalue())


def test_outputs_are_chosen_on_the_command_line(
    several, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The choice is in the file; the name that another has is free for it."""
    module, graph = several
    seen = torch.rand(N, 4, 84, 84)
    expected = module(seen)
    assert (
        to_torch(graph).card.assumptions[0].startswith("output 'one' rates the actions, not 'two'")
    )
    onnx.save(graph, tmp_path / "several.onnx")
    words = ["convert", "several.onnx", "--game", "Pong", "--input-range", "0..1", "--quiet"]
    words += ["--action-output", "two", "--value-output", "three", "-o", "chosen.onnx"]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["atari-zoo", *words])
    with pytest.raises(SystemExit) as end:
        main()
    assert not end.value.code
    network = zoo.load("chosen.onnx")  # and warns of nothing
    found = zoo.activations(network, seen, ["output", "value"])
    torch.testing.assert_close(found["output"], expected[1], atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(found["value"], expected[2], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(
    "outputs, message",
    [
        ({"output": "four"}, "no output 'four'; there are one, two, three, value"),
        ({"output": "three"}, "none of its outputs is .batch, actions"),
        ({"value": "two"}, r"output 'two' is not \(batch, 1\), as a value is"),
    ],
)
def test_a_choice_that_is_none_gets_one_line(several, tmp_path: Path, outputs, message) -> None:
    onnx.save(several[1], tmp_path / "several.onnx")
    with pytest.raises(ConversionError, match=message) as caught:
        convert(tmp_path / "several.onnx", game="Pong", input_range="0..1", outputs=outputs)
    assert "\n" not in str(caught.value)


def test_outputs_of_a_module_in_memory_are_chosen(several) -> None:
    module, _ = several
    seen = torch.rand(N, 4, 84, 84)
    with pytest.warns(
        UserWarning, match=r"^Several: assumed output '0' rates the actions, not '1'"
    ):
        assert "value" not in zoo.wrap(module, "Pong").layers
    network = zoo.wrap(module, "Pong", action_output=1, value_output=3)
    found = zoo.activations(network, seen, ["output", "value"])
    torch.testing.assert_close(found["output"], module(seen)[1], atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(found["value"], module(seen)[3], atol=1e-5, rtol=1e-4)
    with pytest.raises(ConversionError, match=r"output 2 is not \(batch, actions\)"):
        zoo.wrap(module, "Pong", action_output=2)
