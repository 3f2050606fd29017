"""Machines: the processor, its cores, its memory, and the short floats that it computes with."""

from __future__ import annotations

import os
import platform
import re
from dataclasses import dataclass
from pathlib import Path

import torch

from atari_zoo.threads import cores

MEBI = 2**20
NEEDED = 8 * MEBI  # bytes of an environment: its emulators, measured, played and recorded
CPUINFO, MEMINFO = Path("/proc/cpuinfo"), Path("/proc/meminfo")  # of Linux
LIMIT, USED = (Path(f"/sys/fs/cgroup/memory.{name}") for name in ("max", "current"))
# a processor's flags, as Linux names them, of instructions that multiply such numbers
INSTRUCTIONS = {
    "bfloat16": {"avx512_bf16", "amx_bf16", "avx_ne_convert", "bf16"},
    "float16": {"avx512_fp16", "amx_fp16", "asimdhp"},
}


@dataclass(frozen=True)
class Machine:
    """What a measurement was made on.

    processor, gpu: as they call themselves; "" for no GPU, or one that is not used.
    cores: that this process may use. memory: bytes that are free.
    precisions: of `INSTRUCTIONS`, those that it computes with by itself, not by way of float32.
    """

    processor: str
    cores: int
    memory: int
    precisions: tuple[str, ...] = ()
    gpu: str = ""

    @property
    def name(self) -> str:
        """In words, such as "AMD EPYC 7763, 2 cores"."""
        words = f"{self.processor}, {self.cores} core{'s' * (self.cores > 1)}"
        return f"{words}, {self.gpu}" if self.gpu else words


def this_machine(device: torch.device | str = "cpu") -> Machine:
    """The machine that this runs on; its GPU where `device` is one."""
    place = torch.device(device)
    if place.type != "cuda":
        return Machine(_processor(), cores(), free_memory(), _precisions(_flags()))
    precisions = [
        name for name in INSTRUCTIONS if name == "float16" or torch.cuda.is_bf16_supported()
    ]
    gpu = torch.cuda.get_device_name(place)
    return Machine(_processor(), cores(), free_memory(), tuple(precisions), gpu)


def free_memory() -> int:
    """Bytes that can be taken without swapping, within the limits of a container."""
    free = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if found := re.search(r"MemAvailable:\s*(\d+) kB", _text(MEMINFO)):
        free = 1024 * int(found[1])
    limit, used = _text(LIMIT).strip(), _text(USED).strip()
    return min(free, int(limit) - int(used)) if limit.isdigit() and used.isdigit() else free


def check_fits(envs: int, memory: int | None = None) -> None:
    """Raises ValueError, with the number that fits, if so many environments need more memory.

    memory: bytes; those that are free here if not given.
    """
    free = free_memory() if memory is None else memory
    if envs * NEEDED > free:
        raise ValueError(
            f"{envs:,} environments need about {envs * NEEDED / MEBI:,.0f} MiB, and "
            f"{free / MEBI:,.0f} are free: at most {free // NEEDED:,} fit"
        )


def crowded(threads: int, cores: int) -> str:
    """A line about more threads than cores; "" where each has one."""
    if threads <= cores:
        return ""
    return f"{threads} threads on {cores} core{'s' * (cores > 1)}: they will wait for each other"


def _processor() -> str:
    found = re.search(r"^model name\s*: (.+)$", _text(CPUINFO), re.M)
    return found[1].strip() if found else platform.processor() or platform.machine()


def _flags() -> set[str]:
    found = re.search(r"^(?:flags|Features)\s*: (.+)$", _text(CPUINFO), re.M)
    return set(found[1].split()) if found else set()


def _precisions(flags: set[str]) -> tuple[str, ...]:
    return tuple(name for name, some in INSTRUCTIONS.items() if some & flags)


def _text(path: Path) -> str:
    """A file's text; "" where there is none, as on another system."""
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
