"""The machine as Linux describes it, from files like its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from atari_zoo import machines
from atari_zoo.machines import Machine, free_memory, this_machine

INTEL = "processor\t: 0\nmodel name\t: Xeon  9\nflags\t\t: fpu avx512_bf16 amx_fp16\n"
ARM = "processor\t: 0\nBogoMIPS\t: 50\nFeatures\t: fp asimd asimdhp\n"


@pytest.mark.parametrize(
    "text, precisions",
    [(INTEL, ("bfloat16", "float16")), (ARM, ("float16",)), ("", ())],
)
def test_precisions_are_read_from_the_processors_flags(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, precisions: tuple[str, ...]
) -> None:
    monkeypatch.setattr(machines, "CPUINFO", tmp_path / "cpuinfo")
    if text:  # else there is no such file, as on another system
        (tmp_path / "cpuinfo").write_text(text)
    found = this_machine()
    assert found.precisions == precisions and found.processor
    assert text != INTEL or found.processor == "Xeon  9"


@pytest.mark.parametrize(
    "limit, used, expected",
    [("max", "5", 2048000), ("3000", "1000", 2000), ("9000000", "1", 2048000)],
)
def test_free_memory_is_within_the_containers_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, used: str, expected: int
) -> None:
    (tmp_path / "meminfo").write_text("MemTotal: 9000 kB\nMemAvailable:    2000 kB\n")
    (tmp_path / "max").write_text(f"{limit}\n")
    (tmp_path / "current").write_text(f"{used}\n")
    for name, file in (("MEMINFO", "meminfo"), ("LIMIT", "max"), ("USED", "current")):
        monkeypatch.setattr(machines, name, tmp_path / file)
    assert free_memory() == expected


def test_a_machines_name() -> None:
    assert Machine("Z80", 1, 0).name == "Z80, 1 core"
    assert Machine("Z80", 2, 0, gpu="Voodoo").name == "Z80, 2 cores, Voodoo"
