"""Feeds damaged files to the readers, and says what became of them.

python tests/fuzz.py --cases 100000
python tests/fuzz.py --format sb3 --cases 2000 --json
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

from fuzz_seeds import SEEDS, Seed
from fuzzing import Outcome, outcome


def write(file: Path, data: bytes) -> None:
    """Into folders of its own, where its name has them."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data)


def cases(name: str, seeds: list[Seed], count: int, folder: Path) -> Iterator[Path]:
    """Writes one damaged model after the other; each is gone when the next is asked for."""
    digest = hashlib.sha256(name.encode()).digest()
    for number in range(count):
        random = Random(digest + number.to_bytes(4))
        place = folder / str(number)
        place.mkdir()
        seed = random.choice(seeds)
        for file, data in seed.case(random).items():
            write(place / file, data)
        yield place / seed.entry
        shutil.rmtree(place)


def fuzzed(name: str, count: int) -> Outcome:
    """What became of `count` damaged files of a format; each valid file must be read first."""
    import onnx2torch  # noqa: F401  (loading it is not a case's doing)

    from atari_zoo.converters import to_torch

    seeds = SEEDS[name]()
    with TemporaryDirectory() as folder:
        for i, seed in enumerate(seeds):
            place = Path(folder) / f"valid-{i}"
            place.mkdir()
            for file, data in seed.files.items():
                write(place / file, data)
            to_torch(place / seed.entry)
        return outcome(cases(name, seeds, count, Path(folder)))


def in_own_process(name: str, count: int) -> dict[str, Any]:
    """The same in a process of its own, whose memory is limited."""
    words = [sys.executable, __file__, "--format", name, "--cases", str(count), "--json"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode not in (0, 1) or not done.stdout:
        return {"cases": 0, "failures": [f"ended with {done.returncode}: {done.stderr[-2000:]}"]}
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def main() -> int:
    """One format in this process, or all of them, each in its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--format", choices=SEEDS)
    parser.add_argument("--cases", type=int, default=2000, help="for each format")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if options.format and options.json:
        result = fuzzed(options.format, options.cases)
        print(json.dumps(asdict(result)))
        return bool(result.failures)
    failed = False
    print("| format | cases | refused | read | slowest, s | failures |\n|---|---|---|---|---|---|")
    for name in [options.format] if options.format else SEEDS:
        told = in_own_process(name, options.cases)
        failed |= bool(told["failures"])
        read = told["cases"] - told.get("refused", 0) - len(told["failures"])
        row = (name, told["cases"], told.get("refused", 0), read, f"{told.get('slowest', 0):.2f}")
        print(f"| {' | '.join(map(str, row))} | {len(told['failures'])} |", flush=True)
        for failure in told["failures"][:5]:
            print(f"  {failure[:600]}", file=sys.stderr, flush=True)
    return failed


if __name__ == "__main__":
    raise SystemExit(main())
