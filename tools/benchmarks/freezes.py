"""What a freeze of waiting threads and a thaw cost, against a ring of hand-overs of a raw lock."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from time import perf_counter, sleep

from benchmarks.crowds import Crowd, crowd, ring, started, wait
from benchmarks.rows import Group, Row, Sample, Scale
from freezethreads import Freezer

MANY = 1000


def block(freezer: Freezer, people: Crowd) -> None:
    """A thread that stays in a blocking region."""
    gate = people.make_gate()
    with freezer.register():
        people.begin()
        with freezer.blocking("benchmark"):
            gate.acquire()


def wait_and_visit(freezer: Freezer, people: Crowd) -> None:
    """A thread that waits, reaches a safepoint when its waker calls, and notes its return."""
    gate = people.make_gate()
    with freezer.register(waker=gate.release):
        people.begin()
        gate.acquire()
        while people.go:
            freezer.safepoint()
            people.arrive()
            gate.acquire()


@contextmanager
def _blocked(scale: Scale) -> Iterator[Sequence[Sample]]:
    freezer, threads = Freezer("blocked"), scale.threads(MANY)
    with ring(threads) as measure_ring, crowd(threads, functools.partial(block, freezer)):

        def freeze() -> Mapping[str, float]:
            began = perf_counter()
            with freezer.freeze():
                return {"freeze": perf_counter() - began}

        yield [freeze, lambda: {"ring": measure_ring()}]


@contextmanager
def _parked(scale: Scale, size: int) -> Iterator[Sequence[Sample]]:
    """The thaw of threads that stand at a safepoint, and wait for something else afterwards."""
    freezer, threads = Freezer("parked"), scale.threads(size)
    body = functools.partial(wait_and_visit, freezer)
    with ring(threads) as measure_ring, waiters(threads) as set_event, crowd(threads, body) as all_:

        def thaw() -> Mapping[str, float]:
            world = freezer.freeze()
            began = perf_counter()
            world.thaw()
            seen = perf_counter() - began
            return {"thaw": seen, "last": all_.await_all() - began}

        yield [thaw, lambda: {"ring": measure_ring()}, lambda: {"set": set_event()}]


class _Waiters:
    """Threads that wait for one `threading.Event`, again and again."""

    def __init__(self, size: int) -> None:
        self.crowd = Crowd(size)
        self._size = size
        self._event = threading.Event()

    def run(self, _: int) -> None:
        """Wait for the event of each lap. By each thread."""
        event = None
        while self.crowd.go:
            # Each lap has an event of its own: a thread that is late finds its own one set.
            if event is not self._event:
                event = self._event
                self.crowd.arrive()
                wait(event)

    def set_event(self) -> float:
        """Seconds that `Event.set()` takes with all the threads in `Event.wait()`."""
        self.crowd.await_all()
        event = self._event
        while len(event._cond._waiters) < self._size:  # type: ignore[attr-defined]
            sleep(0.001)  # on its way from its note into the wait, which nothing tells of
        self._event = threading.Event()
        began = perf_counter()
        event.set()
        return perf_counter() - began

    def stop(self) -> None:
        """Let all threads end."""
        self.crowd.go = False
        self._event.set()


@contextmanager
def waiters(size: int) -> Iterator[Callable[[], float]]:
    """Threads that wait for an event; the function measures how long setting it takes."""
    people = _Waiters(size)
    with started(size, people.run):
        try:
            yield people.set_event
        finally:
            people.stop()


def _last_row(size: int) -> Row:
    name = f"last of {size} running again after the thaw, waiting between safepoints"
    return Row(name, "last", "ring", 1.5, 1.0)


GROUPS = (
    Group(
        (Row(f"freeze of {MANY} blocked threads", "freeze", "ring", 0.2, 0.05),),
        _blocked,
    ),
    Group((_last_row(64),), lambda scale: _parked(scale, 64), share=2),
    Group(
        (
            Row(f"thaw() seen by the controller, {MANY} threads", "thaw", "set", 0.5, 0.05),
            _last_row(MANY),
        ),
        lambda scale: _parked(scale, MANY),
    ),
)
