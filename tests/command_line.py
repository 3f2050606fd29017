"""The command line within a test, without the seconds that a process of its own takes to begin."""

from __future__ import annotations

import io
import subprocess
import sys
import warnings
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from unittest.mock import patch

from atari_zoo.__main__ import main


def zoo(*words: str | Path, alone: bool = False) -> subprocess.CompletedProcess[str]:
    """Runs `atari-zoo`; alone: in a process of its own."""
    command = ["atari-zoo", *map(str, words)]
    if alone:
        command[:1] = [sys.executable, "-m", "atari_zoo"]
        return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    said, complained, status = io.StringIO(), io.StringIO(), 0
    with (
        patch.object(sys, "argv", command),
        warnings.catch_warnings(),
        redirect_stdout(said),
        redirect_stderr(complained),
    ):
        warnings.simplefilter("default")
        try:
            main()
        except SystemExit as end:
            status = int(end.code or 0)
    return subprocess.CompletedProcess(command, status, said.getvalue(), complained.getvalue())
