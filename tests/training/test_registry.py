"""A file is told by its content: exactly one format claims each."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from fuzz import write
from fuzz_seeds import SEEDS
from safetensors.torch import load_file, save_file

from atari_zoo.converters import ConversionError, to_onnx
from atari_zoo.converters.convert import read
from atari_zoo.converters.interchange import read_card
from atari_zoo.converters.registry import FORMATS, START, Probe, sniffed_format


@pytest.mark.parametrize("name", SEEDS)
def test_one_format_claims_each_file(name: str, tmp_path: Path) -> None:
    expected = name.partition(",")[0]  # "torch, before 1.6" is the torch format's too
    for i, seed in enumerate(SEEDS[name]()):
        place = tmp_path / str(i)
        place.mkdir()
        for file, data in seed.files.items():
            write(place / file, data)
        path = place / seed.entry
        probe = Probe(path, path.read_bytes()[:START] if path.is_file() else b"")
        claims = [form.name for form in FORMATS.values() if form.sniff(probe)]
        # plain archives and torch files are asked last
        assert claims[0] == expected and set(claims[1:]) <= {"numpy", "torch"}
        assert sniffed_format(path).name == read(path).card["format"] == expected


@pytest.mark.parametrize("length", [0x0108, 0x0F08, 0x1208, 0x010F08])
def test_a_safetensors_header_of_any_length_is_no_onnx_file(length: int, tmp_path: Path) -> None:
    """Its length comes first, and may begin with the bytes of ONNX's version."""
    path = tmp_path / "agent.safetensors"
    save_file({"weight": torch.zeros(4)}, path)
    content = path.read_bytes()
    header = content[8 : 8 + int.from_bytes(content[:8], "little")]
    padded = header.ljust(length)  # trailing spaces are part of the format
    path.write_bytes(length.to_bytes(8, "little") + padded + content[8 + len(header) :])
    assert load_file(path).keys() == {"weight"}
    assert sniffed_format(path).name == "safetensors"


def test_a_saved_model_is_refused_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "saved_model.pb").write_bytes(b"\x08\x01\x12\x00")
    with pytest.raises(ConversionError, match="freeze it with convert_variables_to_constants"):
        to_onnx(tmp_path / "saved_model.pb")


def test_what_is_said_of_a_model_goes_before_what_its_file_tells(tmp_path: Path) -> None:
    from frozen_graphs import a2c

    from atari_zoo.converters import ModelCard

    (tmp_path / "graph.pb").write_bytes(a2c(widths=(4, 4, 4), units=8).data)
    told = read_card(to_onnx(tmp_path / "graph.pb"))
    said = read_card(to_onnx(tmp_path / "graph.pb", ModelCard("ppo", "Pong")))
    assert told is not None and said is not None
    assert (told.algorithm, said.algorithm, said.game) == ("a2c", "ppo", "Pong")
    assert said.action_rule == told.action_rule == "sample"
    assert said.sha256 == told.sha256 != ""


def test_an_error_is_not_its_own_cause(tmp_path: Path) -> None:
    (tmp_path / "agent.pt").write_bytes(b"\x80\x02}q\x00.")
    with pytest.raises(ConversionError) as caught:
        to_onnx(tmp_path / "agent.pt")
    assert str(caught.value).startswith(str(tmp_path))
    assert caught.value.__cause__ is not caught.value
