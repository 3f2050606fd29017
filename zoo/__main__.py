"""The command line's entry: errors become one line, and nothing heavy is imported early."""

from __future__ import annotations

import logging
import os
import sys

STOPPED = 130  # typer's status for Ctrl-C, of which it says nothing


def main() -> None:
    """Runs `atari-zoo`; a user's mistake prints one line and exits with 2."""
    # torch's idle threads would spin on the cores that the emulator needs; OpenMP reads this
    # when torch is first imported
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    from atari_zoo.cli.app import app
    from atari_zoo.cli.tables import printable

    try:
        app()
    except (ValueError, OSError, FloatingPointError) as error:
        # where one write of many at once failed, asyncio would tell of each of the others
        logging.getLogger("asyncio").setLevel(logging.CRITICAL + 1)
        print(f"atari-zoo: {printable(_line(error))}", file=sys.stderr)
        sys.exit(2)
    except SystemExit as end:
        if end.code == STOPPED:
            print("atari-zoo: stopped", file=sys.stderr)
        raise


def _line(error: Exception) -> str:
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return " ".join(str(error).split())


if __name__ == "__main__":
    main()
