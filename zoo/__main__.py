"""The command line's entry: errors become one line, and nothing heavy is imported early."""

from __future__ import annotations

import logging
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typer.exceptions import TyperException

STOPPED = 130  # a shell's status for what Ctrl-C ended
MISTAKE = 2


def main() -> None:
    """Runs `atari-zoo`; a user's mistake prints one line and exits with 2."""
    # torch's idle threads would spin on the cores that the emulator needs; OpenMP reads this
    # when torch is first imported
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    import typer
    from typer.exceptions import TyperException

    from atari_zoo.cli.app import app

    try:
        status = app(standalone_mode=False)
    except (ValueError, OSError, FloatingPointError) as error:
        # where one write of many at once failed, asyncio would tell of each of the others
        logging.getLogger("asyncio").setLevel(logging.CRITICAL + 1)
        status = _complain(_line(error))
    except TyperException as error:
        if len(sys.argv) > 1:
            status = _complain(_usage(error))
        else:  # nothing was asked: the error is the help
            print(error.format_message(), file=sys.stderr)
            status = MISTAKE
    except typer.Abort:
        status = STOPPED
    if status == STOPPED:
        print("atari-zoo: stopped", file=sys.stderr)
    sys.exit(status)


def _complain(line: str, status: int = MISTAKE) -> int:
    from atari_zoo.cli.tables import printable

    print(f"atari-zoo: {printable(line)}", file=sys.stderr)
    return status


def _usage(error: TyperException) -> str:
    context = getattr(error, "ctx", None)
    name = "atari-zoo" if context is None else context.command_path
    return f"{' '.join(error.format_message().split())} (`{name} --help` shows how)"


def _line(error: Exception) -> str:
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return " ".join(str(error).split())


if __name__ == "__main__":
    main()
