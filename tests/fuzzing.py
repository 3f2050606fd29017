"""Damaged and hostile files: seeded mutations of valid ones, and what a reader makes of them.

A case passes if the file is read, or refused with ConversionError, within two seconds of the
processor's time and one GiB more memory than before.
"""

from __future__ import annotations

import resource
import signal
import struct
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from types import FrameType

from atari_zoo.converters import ConversionError, to_torch

SECONDS = 2.0
MEMORY = 1 << 30
# lengths, offsets and counts that break careless readers
NUMBERS = (0, 1, 2, 127, 128, 255, 256, 65535, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1, 2**64 - 1)

Mutation = Callable[[bytes, Random], bytes]


class TooSlow(BaseException):
    """A case took longer than it may; not an Exception, which readers may catch."""


@dataclass
class Outcome:
    """What became of all cases of one reader."""

    cases: int = 0
    refused: int = 0
    slowest: float = 0.0
    failures: list[str] = field(default_factory=list)


def truncated(data: bytes, random: Random) -> bytes:
    return data[: random.randrange(len(data))]


def bits_flipped(data: bytes, random: Random) -> bytes:
    changed = bytearray(data)
    for _ in range(random.choice((1, 1, 2, 8, 64))):
        changed[random.randrange(len(changed))] ^= 1 << random.randrange(8)
    return bytes(changed)


def number_written(data: bytes, random: Random) -> bytes:
    """A length or an offset blown up, in one of the widths that formats use."""
    code = random.choice("<B <H <I <Q >H >I >Q".split())
    width = struct.calcsize(code)
    number = random.choice(NUMBERS) % (1 << (8 * width))
    place = random.randrange(max(len(data) - width, 1))
    return data[:place] + struct.pack(code, number) + data[place + width :]


def varint_written(data: bytes, random: Random) -> bytes:
    number, encoded = random.choice(NUMBERS), bytearray()
    while number > 127:
        encoded.append(number & 127 | 128)
        number >>= 7
    encoded.append(number)
    place = random.randrange(len(data))
    return data[:place] + bytes(encoded) + data[place + random.choice((0, 1, len(encoded))) :]


def slice_removed(data: bytes, random: Random) -> bytes:
    start, end = sorted(random.randrange(len(data) + 1) for _ in range(2))
    return data[:start] + data[min(end, start + random.choice((1, 16, len(data)))) :]


def slice_repeated(data: bytes, random: Random) -> bytes:
    start = random.randrange(len(data))
    piece = data[start : start + random.choice((1, 8, 64, 1024))]
    return data[:start] + piece * random.choice((2, 3, 50)) + data[start + len(piece) :]


def slices_swapped(data: bytes, random: Random) -> bytes:
    a, b, c = sorted(random.randrange(len(data) + 1) for _ in range(3))
    return data[:a] + data[b:c] + data[a:b] + data[c:]


def zeros_written(data: bytes, random: Random) -> bytes:
    start = random.randrange(len(data))
    length = random.choice((1, 4, 64, 4096))
    return data[:start] + bytes(min(length, len(data) - start)) + data[start + length :]


MUTATIONS: tuple[Mutation, ...] = (
    truncated,
    bits_flipped,
    bits_flipped,
    number_written,
    number_written,
    varint_written,
    slice_removed,
    slice_repeated,
    slices_swapped,
    zeros_written,
)


def mutated(data: bytes, random: Random) -> bytes:
    """One to three mutations, more often near the start, where formats keep their structure."""
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        mutation = random.choice(MUTATIONS)
        head = random.choice((64, 512, 4096, len(data)))
        if len(data) > head and random.random() < 0.7:
            data = (mutation(data[:head], random) if head else b"") + data[head:]
        elif data:
            data = mutation(data, random)
    return data


def outcome(files: Iterator[Path], limit: Callable[[], None] | None = None) -> Outcome:
    """Reads each file, and says what became of them all."""
    result = Outcome()
    (limit or limit_memory)()
    for path in files:
        result.cases += 1
        begun = time.process_time()
        try:
            with _processor_time(SECONDS):
                to_torch(path)
        except ConversionError as error:
            result.refused += 1
            if "\n" in str(error).strip():
                result.failures.append(f"{path}: more than one line: {error}")
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            result.failures.append(f"{path}: {type(error).__name__}: {error}")
        result.slowest = max(result.slowest, time.process_time() - begun)
    return result


def limit_memory() -> None:
    """From here on, the process may take one GiB more; past it, allocations fail."""
    lines = Path("/proc/self/status").read_text().splitlines()
    taken = next(int(line.split()[1]) << 10 for line in lines if line.startswith("VmData:"))
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (taken + MEMORY, hard))


class _processor_time:
    """Raises TooSlow in the block once it has used so many seconds of the processor."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def __enter__(self) -> None:
        signal.signal(signal.SIGPROF, self._ring)
        signal.setitimer(signal.ITIMER_PROF, self.seconds)

    def __exit__(self, *error: object) -> None:
        signal.setitimer(signal.ITIMER_PROF, 0)

    @staticmethod
    def _ring(number: int, frame: FrameType | None) -> None:
        raise TooSlow(f"more than {SECONDS} s")
