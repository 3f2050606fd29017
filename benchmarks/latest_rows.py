"""The latest rows of each benchmark, with the machine and the code that they are of.

They lie in `latest/NAME.json`. Rows are older than the code that they measure where one of its
files has changed since; the table in README.md marks them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

from rows import Row, cells

HERE = Path(__file__).parent
ROOT, LATEST = HERE.parent, HERE / "latest"
OLDER = "†"  # before the case of such a row


class Benchmark(NamedTuple):
    """A script beside this file, and the folders and files of the code that it measures."""

    script: str
    code: tuple[str, ...]


PLAYING = "zoo/play", "zoo/emulator", "zoo/preprocessing", "converters/network"
BENCHMARKS: dict[str, Benchmark] = {
    "convert": Benchmark("convert.py", ("converters",)),
    "load": Benchmark("load.py", ("converters", "zoo/models.py", "zoo/catalog")),
    "rollout": Benchmark("rollout.py", (*PLAYING, "zoo/bench", "zoo/recordings")),
    "train": Benchmark("train.py", ("training", "zoo/emulator", "zoo/preprocessing")),
    "attribution": Benchmark("attribution.py", ("viz/attribution", "converters/network")),
    "render": Benchmark("render.py", ("viz/render", "viz/objectives", "viz/parameterizations")),
    "recordings": Benchmark("recordings.py", ("zoo/recordings", "zoo/arrays")),
    "analysis": Benchmark("analysis.py", ("analysis/probing",)),
    "analysis_noise": Benchmark("analysis_noise.py", PLAYING),
    "embed": Benchmark("embed.py", ("analysis/embedding", "analysis/measures")),
    "movies": Benchmark("movies.py", ("viz/movies",)),
    "explorer": Benchmark("explorer.py", ("viz/explorer",)),
    "foreign_scores": Benchmark("foreign_scores.py", ("converters", *PLAYING)),
}


@dataclass(frozen=True)
class LatestRows:
    """What one run of a benchmark gave.

    machine: its processor and cores. versions: of what computes. date: as 2026-11-28.
    settings: of the script. code: of what it measured, as `code_of` tells it; "" where unknown.
    """

    benchmark: str
    machine: str
    versions: str
    date: str
    settings: str
    code: str
    rows: tuple[Row, ...]

    def save(self, folder: Path = LATEST) -> None:
        """Writes it in the place of what was there."""
        text = json.dumps(asdict(self), indent=1, ensure_ascii=False)
        (folder / f"{self.benchmark}.json").write_text(f"{text}\n", "utf-8")

    @property
    def made(self) -> str:
        """On what, with what and when, in words."""
        return "; ".join(filter(None, (self.machine, self.versions, self.settings, self.date)))


def code_of(name: str, root: Path = ROOT) -> str:
    """Changes with any file of the code that a benchmark measures, and with the script."""
    benchmark, found = BENCHMARKS[name], hashlib.sha256()
    for place in (f"benchmarks/{benchmark.script}", *benchmark.code):
        path = root / place
        files = sorted(path.rglob("*.py")) if path.is_dir() else [path]
        for file in files:
            found.update(f"{file.relative_to(root).as_posix()}\0".encode())
            found.update(file.read_bytes())
    return found.hexdigest()[:16]


def latest(folder: Path = LATEST) -> list[LatestRows]:
    """What there is, in the order of `BENCHMARKS`."""
    found = []
    for name in BENCHMARKS:
        if (path := folder / f"{name}.json").exists():
            facts = json.loads(path.read_text("utf-8"))
            rows = tuple(Row(**one) for one in facts.pop("rows"))
            found.append(LatestRows(**facts, rows=rows))
    return found


def tables(runs: Sequence[LatestRows], codes: Mapping[str, str]) -> str:
    """A table in Markdown for each run, under the machine that it was made on.

    codes: of what each benchmark measures, as it is now.
    """
    return "\n".join(_table(run, run.code != codes[run.benchmark]) for run in runs)


def codes_now() -> dict[str, str]:
    """The code of what each benchmark measures."""
    return {name: code_of(name) for name in BENCHMARKS}


def _table(run: LatestRows, older: bool) -> str:
    lines = [
        f"**{run.benchmark}**: {run.made}",
        "",
        "| case | peer | ours | theirs | unit | ratio |",
        "|---|---|---|---|---|---|",
    ]
    for one in run.rows:
        _, case, *others = cells(one)
        lines.append(f"| {' | '.join([f'{OLDER} ' * older + case, *others])} |")
    return "\n".join([*lines, ""])
