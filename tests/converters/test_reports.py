"""The structural report says what is there, and a conversion that disagrees is not written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from architectures import HEADS, network

from atari_zoo.converters import ConversionError, save_onnx, to_onnx
from atari_zoo.converters.convert import read, to_torch, written
from atari_zoo.converters.reports import Report, report
from atari_zoo.converters.verification import Agreement


def told(path: Path) -> Report:
    source = read(path)
    model = written(source)
    return report(source, model, to_torch(model))


@pytest.fixture
def agent(tmp_path: Path):
    def make(head: str = "q", same: bool = False) -> Path:
        save_onnx(to_onnx(network(head, same=same)), tmp_path / "agent.onnx")
        return tmp_path / "agent.onnx"

    return make


def test_geometry_is_the_files_own(agent) -> None:
    valid, same = told(agent(same=False)), told(agent(same=True))
    assert [c["channels"] for c in valid.convolutions] == [32, 64, 64]
    assert [c["channels"] for c in same.convolutions] == [32, 64, 48]
    assert [c["kernel"] for c in same.convolutions] == [[8, 8], [4, 4], [3, 3]]
    assert [c["stride"] for c in same.convolutions] == [[4, 4], [2, 2], [1, 1]]
    assert [c["padding"] for c in valid.convolutions] == ["VALID"] * 3
    # TensorFlow's SAME, as formats that have it are documented: 2/2, then 1/2, then 1/1
    assert [c["padding"] for c in same.convolutions] == [
        "SAME (2 left, 2 right, 2 above, 2 below)",
        "SAME (1 left, 2 right, 1 above, 2 below)",
        "SAME (1 left, 1 right, 1 above, 1 below)",
    ]
    assert valid.flatten == same.flatten == "C, H, W" and valid.dense[0]["units"] == 128


@pytest.mark.parametrize("head", HEADS)
def test_every_head_is_named_and_checked_at_every_layer(head: str, agent) -> None:
    found = told(agent(head))
    made = network(head)
    assert (found.head["kind"], found.head["actions"]) == (made.head.kind, 6) or head == "q"
    assert [row["layer"] for row in found.layers] == list(made.layers)
    assert 0 <= found.difference == max(row["difference"] for row in found.layers) < 1e-4
    assert found.operators["Conv"] == 3 and found.format == "ONNX"
    assert json.loads(json.dumps(found.to_dict()))["head"] == found.head
    words = dict(found.rows())
    assert "6 actions" in words["head"] and "32 filters 8x8, stride 4" in words["conv1"]


def test_distributions_tell_their_size(agent) -> None:
    c51 = told(agent("categorical")).head
    assert (c51["atoms"], c51["support"], c51["dueling"]) == (51, [-10.0, 10.0], False)
    assert told(agent("categorical streams")).head["dueling"] is True
    assert told(agent("quantile")).head["quantiles"] == 25
    assert told(agent("implicit quantile")).head["quantiles"] == 8


@pytest.mark.parametrize(
    "difference, magnitude, fine",
    [(9e-5, 0.1, True), (1.1e-4, 0.1, False), (1.1e-4, 50.0, True), (float("nan"), 1.0, False)],
)
def test_a_conversion_that_disagrees_is_refused(difference, magnitude, fine) -> None:
    from atari_zoo.converters.reports import _check

    rows = [Agreement("conv1", (32, 20, 20), 0.0, 1.0)]
    rows += [Agreement("fc", (512,), difference, magnitude)]
    if fine:
        _check(rows)
        return
    with pytest.raises(ConversionError, match=r"differ by .* at 'fc'.*nothing was written"):
        _check(rows)
