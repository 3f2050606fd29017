"""Processes that play a pool's emulators: begun, told what to do, waited for, ended."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import weakref
from collections.abc import Sequence
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import Any

PATIENCE = 5.0  # seconds that a worker is given to end by itself
# their matrices are small: numpy's threads would only wait for each other
ALONE = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


class Workers:
    """Processes that play emulators; they end with this object, or with its process.

    assignments: what each is to play. memory: a file's descriptor that all of them share.
    module: what they run.
    """

    def __init__(
        self,
        assignments: Sequence[dict[str, Any]],
        memory: int,
        module: str = "atari_zoo.emulator.worker",
    ) -> None:
        self._workers: list[tuple[Connection, subprocess.Popen[bytes]]] = []
        self._end = weakref.finalize(self, _end, self._workers)
        for assignment in assignments:
            here, there = Pipe()
            text = json.dumps(assignment | {"memory": memory, "pipe": there.fileno()})
            # not multiprocessing, which would have a user's script guard its main module
            worker = subprocess.Popen(
                [sys.executable, "-m", module, text],
                pass_fds=(there.fileno(), memory),
                stdin=subprocess.DEVNULL,
                env=os.environ | ALONE,
            )
            there.close()
            self._workers.append((here, worker))

    @property
    def processes(self) -> list[int]:
        """Their numbers."""
        return [worker.pid for _, worker in self._workers]

    def order(self, order: bytes) -> None:
        """Tells all of them to do one thing; returns at once. RuntimeError as for `wait`."""
        for pipe, worker in self._workers:
            try:
                pipe.send_bytes(order)
            except OSError:
                self._fail(worker, "its process ended")

    def wait(self) -> None:
        """Waits until all have done it.

        Raises RuntimeError if one has failed or is no more; the others are ended then.
        """
        for pipe, worker in self._workers:
            try:
                failure = pipe.recv_bytes().decode()
            except (EOFError, OSError):
                failure = "its process ended"
            if failure:
                self._fail(worker, failure)

    def close(self) -> None:
        """Ends them."""
        self._end()

    def _fail(self, worker: subprocess.Popen[bytes], failure: str) -> None:
        self.close()
        raise RuntimeError(
            f"an emulator failed: {failure} (exit status {worker.returncode}); make new ones"
        )


def _end(workers: Sequence[tuple[Connection, subprocess.Popen[bytes]]]) -> None:
    for pipe, _ in workers:
        pipe.close()
    for _, worker in workers:
        try:
            worker.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            worker.kill()
            worker.wait()
