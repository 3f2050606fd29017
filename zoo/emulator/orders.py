"""Orders that a worker process follows, told through its pipe.

It reads b"seed", b"begin" or b"step", and answers with nothing or with what went wrong. It ends
when the pipe does, and so does not outlive the process that began it.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Protocol


class Ordered(Protocol):
    """What plays some emulators when told to."""

    def seed(self) -> None: ...
    def begin(self) -> None: ...
    def step(self) -> None: ...


def follow_orders(pipe: int, made: Callable[[], Ordered]) -> None:
    """Makes what plays, and has it do what is told until the pipe ends. pipe: its descriptor."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the pipe's end is heard instead
    with Connection(pipe) as connection, suppress(EOFError, OSError):
        try:
            emulators = made()
            orders = {b"seed": emulators.seed, b"begin": emulators.begin, b"step": emulators.step}
            while True:
                orders[connection.recv_bytes()]()
                connection.send_bytes(b"")
        except EOFError:
            pass
        except Exception as error:
            connection.send_bytes(f"{type(error).__name__}: {error}".encode())
