"""Lanes: many rollouts at once on a processor, each lane with cores of its own.

A rollout of few environments has its emulators and its network wait for each other, and for the
other core. So the cores are shared out among lanes, threads of this process, each of which plays
one rollout after the other: in a batch each agent's rows are its own session's, on one core, and
its emulators serve the lane's next agent. What is played is the same to the last bit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar, copy_context
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from threading import Event, Thread
from typing import Generic, NamedTuple, TypeVar

from atari_zoo.emulator.kept import environments_kept
from atari_zoo.threads import cores, torch_threads

T = TypeVar("T")


class LaneStopped(BaseException):
    """A rollout is to end in its middle: nobody waits for it any more."""


@dataclass(frozen=True)
class Lane:
    """What a rollout has for itself. threads: cores. stopping: whether it is to end."""

    threads: int
    stopping: Event = field(default_factory=Event)

    def check(self) -> None:
        """Raises LaneStopped where the rollout is to end."""
        if self.stopping.is_set():
            raise LaneStopped


_LANE: ContextVar[Lane | None] = ContextVar("lane", default=None)


def this_lane() -> Lane | None:
    """The lane that this thread is; None outside of lanes."""
    return _LANE.get()


class Ended(NamedTuple, Generic[T]):
    """A call that ended: its number, and what it returned, or what it raised."""

    number: int
    result: T | None
    error: BaseException | None


def in_lanes(calls: Sequence[Callable[[], T]], lanes: int = 0) -> Iterator[tuple[int, T]]:
    """Does the calls in lanes; yields each one's number and result as it ends.

    lanes: how many; one a core if not given. Within a lane, and where there is one only, they are
        done one after the other.

    An error of a call is raised here, and ends the others in their middle; so does who stops to
    listen.
    """
    count = min(lanes or cores(), len(calls))
    if count < 2 or this_lane() is not None:
        yield from ((number, call()) for number, call in enumerate(calls))
        return
    lane = Lane(max(1, cores() // count))
    waiting: SimpleQueue[int] = SimpleQueue()
    ended: SimpleQueue[Ended[T]] = SimpleQueue()
    for number in range(len(calls)):
        waiting.put(number)
    threads = [
        Thread(target=copy_context().run, args=(_work, lane, calls, waiting, ended), daemon=True)
        for _ in range(count)
    ]
    for thread in threads:
        thread.start()
    try:
        for _ in calls:
            done = ended.get()
            if done.error is not None:
                raise done.error
            yield done.number, done.result  # type: ignore[misc]
    finally:
        lane.stopping.set()
        for thread in threads:
            thread.join()


def _work(
    lane: Lane,
    calls: Sequence[Callable[[], T]],
    waiting: SimpleQueue[int],
    ended: SimpleQueue[Ended[T]],
) -> None:
    """One lane: takes one call after the other."""
    _LANE.set(lane)
    with environments_kept(anew=True), torch_threads(lane.threads):
        while not lane.stopping.is_set():
            try:
                number = waiting.get_nowait()
            except Empty:
                return
            try:
                ended.put(Ended(number, calls[number](), None))
            except BaseException as error:  # raised where the results are waited for
                ended.put(Ended(number, None, error))
