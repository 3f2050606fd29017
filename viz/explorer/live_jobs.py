"""Jobs of a served page: one at a time, each followed by asking for it, and stopped if wanted."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

KEPT = 8  # jobs whose results are still there
RUNNING, DONE, FAILED, STOPPED = "running", "done", "failed", "stopped"


class JobStopped(Exception):
    """Somebody asked a job to stop."""


class Job:
    """Work that goes on.

    title: what it is, in words. state: running, done, failed or stopped. result: what it gave.
    error: one line, of what failed.
    """

    def __init__(self, number: int, title: str) -> None:
        self.number, self.title = number, title
        self.finished, self.total, self.text = 0, 0, ""
        self.state, self.result, self.error = RUNNING, None, ""
        self.stopping, self.ended = threading.Event(), threading.Event()

    def progress(self, finished: int, total: int, text: str = "") -> None:
        """Tells how far it is. Raises JobStopped where it is to stop."""
        if self.stopping.is_set():
            raise JobStopped
        self.finished, self.total, self.text = finished, total, text

    def row(self) -> dict[str, Any]:
        """What is said of it, with its result once there is one."""
        facts = {"job": self.number, "title": self.title, "state": self.state}
        return facts | {
            "finished": self.finished,
            "total": self.total,
            "text": self.text,
            "error": self.error,
            "result": self.result,
        }


class BusyError(Exception):
    """There is a job already."""


class JobRunner:
    """Runs jobs in a thread beside, one at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._jobs: dict[int, Job] = {}
        self._count = 0

    def begin(self, title: str, work: Callable[[Job], Any]) -> Job:
        """Begins a job. work: what it does, and returns what JSON can hold.

        Raises BusyError while another one runs.
        """
        with self._lock:
            for other in self._jobs.values():
                if not other.ended.is_set():
                    raise BusyError(f"busy: {other.title}")
            self._count += 1
            job = self._jobs[self._count] = Job(self._count, title)
            for number in list(self._jobs)[:-KEPT]:
                del self._jobs[number]
        threading.Thread(target=_run, args=(job, work), daemon=True).start()
        return job

    def find(self, number: int) -> Job | None:
        """None if there is none, or it is long over."""
        return self._jobs.get(number)

    def close(self, seconds: float = 5) -> None:
        """Has the job that runs stop, and waits so long for it."""
        for job in list(self._jobs.values()):
            job.stopping.set()
            job.ended.wait(seconds)


def _run(job: Job, work: Callable[[Job], Any]) -> None:
    try:
        job.result = work(job)
        job.state = DONE
    except JobStopped:
        job.state = STOPPED
    except Exception as error:  # whatever it is, it is told on the page, and the server goes on
        kind = "" if isinstance(error, ValueError | OSError) else f"{type(error).__name__}: "
        job.error, job.state = kind + " ".join(str(error).split()), FAILED
    finally:
        job.ended.set()
