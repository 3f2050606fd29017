"""Analyses beside what one would write instead: see the parts' own files.

python benchmarks/analysis.py --quick --only probes
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from analysis_probes import probe_rows
from rows import Row, arguments, show

PARTS: dict[str, Callable[[bool], Iterator[Row]]] = {"probes": probe_rows}


def main() -> None:
    """Measures and prints."""
    parser = arguments(__doc__)
    parser.add_argument("--only", choices=[*PARTS], help="one part alone")
    options = parser.parse_args()
    parts = [options.only] if options.only else [*PARTS]
    show((found for part in parts for found in PARTS[part](options.quick)), options.json)


if __name__ == "__main__":
    main()
