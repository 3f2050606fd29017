"""Runs the benchmarks, keeps their rows with the machine's name, and writes README.md's tables.

    python benchmarks/regenerate.py                          all of them, each with --quick
    python benchmarks/regenerate.py --only rollout train --full
    python benchmarks/regenerate.py --mark                   measures nothing: marks what is older

On an idle machine; what fails keeps the rows that it had. `foreign_scores` needs the folder of the
policies, `--policies`.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from datetime import date
from importlib.metadata import version
from pathlib import Path

from latest_rows import BENCHMARKS, HERE, LATEST, ROOT, LatestRows, codes_now, latest, tables
from rows import Row

PAGE, SOURCE = HERE / "README.md", "the latest rows"
QUICK = "--quick"
Run = Callable[[Sequence[str]], "subprocess.CompletedProcess[str]"]


def run_script(words: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """Runs Python with these words; what it complains of is seen at once."""
    return subprocess.run([sys.executable, *words], stdout=subprocess.PIPE, text=True, check=False)


def measure(name: str, words: Sequence[str], run: Run = run_script) -> LatestRows:
    """Runs a benchmark's script with these words. Raises ValueError if it fails, or has no rows."""
    from atari_zoo.machines import this_machine
    from atari_zoo.play.tuned import libraries

    done = run([str(HERE / BENCHMARKS[name].script), *words, "--json"])
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode or not lines:
        raise ValueError(f"{name}: its script ended with {done.returncode}, {len(lines)} rows")
    return LatestRows(
        name,
        this_machine().name,
        f"atari-zoo {version('atari-zoo')}, {libraries()}",
        date.today().isoformat(),
        " ".join(word for word in words if word.startswith("-")),
        codes_now()[name],
        tuple(Row(**json.loads(line)) for line in lines),
    )


def write_tables(page: Path = PAGE, folder: Path = LATEST) -> None:
    """Brings the page's tables up to date with the rows that there are, and with the code."""
    sys.path.insert(0, str(ROOT / "docs" / "tables"))
    from generated_tables import bring_up_to_date

    bring_up_to_date(page, tables(latest(folder), codes_now()), SOURCE)


def main() -> None:
    """Measures, keeps, writes; ends with 1 if a script failed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="+", choices=BENCHMARKS, default=[*BENCHMARKS])
    parser.add_argument("--full", action="store_true", help="without --quick")
    parser.add_argument("--mark", action="store_true", help="measure nothing")
    parser.add_argument("--policies", type=Path, help="the folder that foreign_scores takes")
    given = parser.parse_args()
    failed = [] if given.mark else measure_all(given.only, given.full, given.policies)
    write_tables()
    sys.exit(1 if failed else 0)


def measure_all(names: Sequence[str], full: bool, policies: Path | None) -> list[str]:
    """Measures and keeps one after the other; returns which failed."""
    failed = []
    for name in names:
        words = [] if full else [QUICK]
        if name == "foreign_scores":
            if policies is None:
                print(f"{name}: left out, it takes --policies FOLDER", file=sys.stderr)
                continue
            words = [str(policies), *words]
        print(f"{name} ...", file=sys.stderr)
        try:
            measure(name, words).save()
        except ValueError as error:
            print(f"{error}: its older rows are kept", file=sys.stderr)
            failed.append(name)
    return failed


if __name__ == "__main__":
    main()
