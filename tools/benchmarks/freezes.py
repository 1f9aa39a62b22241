"""What a freeze and a thaw cost, against a ring of as many hand-overs of a raw lock.

Every freeze of running threads is the first of fresh threads, which by then run, or wait for
nothing but the GIL or a processor. The GIL's switch interval is the default when time is taken.
A second yardstick is what the machine takes to tell as many running threads anything at all: each
tests a bare flag, and releases a lock when it is set. Without a GIL more running threads than
processors wait for the system's scheduler, which a ring, whose threads sleep, does not.
"""

from __future__ import annotations

import functools
import sys
import threading
import timeit
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from time import perf_counter, sleep

from benchmarks.crowds import Crowd, crowd, ring, started, wait
from benchmarks.rows import Group, Row, Sample, Scale
from freezethreads import Freezer

RUNNING = (8, 64, 256, 1000)
COMPUTING = (8, 64)
MANY = 1000
COMPUTATION = 50e-6  # seconds between two safepoints


def poll(freezer: Freezer, people: Crowd) -> None:
    """A thread that does nothing but reach safepoints."""
    with freezer.register():
        people.begin()
        while people.go:
            freezer.safepoint()


def compute_and_poll(freezer: Freezer, loops: int, people: Crowd) -> None:
    """A thread that computes between its safepoints."""
    with freezer.register():
        people.begin()
        while people.go:
            _compute(loops)
            freezer.safepoint()


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


def _compute(loops: int) -> None:
    for _ in range(loops):
        pass


def _loops_for(seconds: float) -> int:
    """How many loops of `_compute` take so long here."""
    loops = 1000
    return max(1, round(loops * seconds / min(timeit.repeat(lambda: _compute(loops), number=1))))


def _stop_running(body: Callable[[Crowd], object], freezer: Freezer, size: int) -> float:
    with crowd(size, body) as people:
        began = perf_counter()
        with freezer.freeze():
            seconds = perf_counter() - began
            people.go = False
    return seconds


class _Flag:
    """The least that can tell running threads something, and hear of it from them."""

    def __init__(self) -> None:
        self.up = False

    def poll(self, people: Crowd) -> None:
        """A thread that does nothing but test the flag."""
        gate = people.make_gate()
        people.begin()
        while not self.up:
            pass
        gate.release()


def _tell_running(size: int) -> float:
    flag = _Flag()
    with crowd(size, flag.poll) as people:
        began = perf_counter()
        flag.up = True
        for gate in people.gates:
            gate.acquire()
        return perf_counter() - began


@contextmanager
def _running(
    scale: Scale, size: int, body: Callable[[Freezer, Crowd], object]
) -> Iterator[Sequence[Sample]]:
    freezer, threads = Freezer("running"), scale.threads(size)
    stop = functools.partial(_stop_running, functools.partial(body, freezer), freezer, threads)
    with ring(threads) as measure_ring:
        yield [
            lambda: {"freeze": stop()},
            lambda: {"ring": measure_ring()},
            lambda: {"flag": _tell_running(threads)},
        ]


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


def _running_group(name: str, size: int, must: float, aim: float) -> Group:
    rows = (
        Row(f"freeze of {name}", "freeze", "ring", must, aim),
        Row(f"freeze of {name}, against a bare flag", "freeze", "flag"),
    )
    share = 3 if size <= 8 else 2 if size <= 64 else 1
    return Group(rows, lambda scale: _running(scale, size, poll), share)


def _computing_group(size: int) -> Group:
    row = Row(f"freeze of {size} threads that compute 50 us between", "freeze", "ring")
    loops = _loops_for(COMPUTATION)

    def body(freezer: Freezer, people: Crowd) -> None:
        compute_and_poll(freezer, loops, people)

    return Group((row,), lambda scale: _running(scale, size, body))


def go_round(people: Crowd) -> None:
    """A thread that computes, and knows nothing of a freezer."""
    people.begin()
    while people.go:
        pass


@contextmanager
def _anywhere(scale: Scale, size: int) -> Iterator[Sequence[Sample]]:
    freezer, threads = Freezer("anywhere"), scale.threads(size)

    def stop() -> Mapping[str, float]:
        with crowd(threads, go_round) as people:
            began = perf_counter()
            world = freezer.freeze(where="unlocked")
            stood = perf_counter()
            people.go = False
            thawing = perf_counter()
            world.thaw()
            return {"freeze": stood - began, "thaw": perf_counter() - thawing}

    with waiters(threads) as set_event:
        yield [
            stop,
            lambda: {"flag": _tell_running(threads)},
            lambda: {"set": set_event()},
        ]


def _anywhere_group(size: int) -> Group:
    rows = (
        Row(
            f"freeze of {size} threads that nobody prepared, against a bare flag",
            "freeze",
            "flag",
            aim=2,
        ),
        Row(f"thaw of {size} such threads, seen by the controller", "thaw", "set"),
    )
    return Group(rows, lambda scale: _anywhere(scale, size))


def _last_row(size: int) -> Row:
    name = f"last of {size} running again after the thaw, waiting between safepoints"
    return Row(name, "last", "ring", 1.5, 1.0)


GROUPS = (
    _running_group("one running thread", 1, 4, 2),
    *(_running_group(f"{size} running threads", size, 1.5, 1.0) for size in RUNNING),
    *(_computing_group(size) for size in COMPUTING),
    Group(
        (Row(f"freeze of {MANY} blocked threads", "freeze", "ring", 0.2, 0.05),),
        _blocked,
    ),
    # Before CPython 3.12 there is nothing to stop them with.
    *([_anywhere_group(64)] if sys.version_info >= (3, 12) else []),
    Group((_last_row(64),), lambda scale: _parked(scale, 64), share=2),
    Group(
        (
            Row(f"thaw() seen by the controller, {MANY} threads", "thaw", "set", 0.5, 0.05),
            _last_row(MANY),
        ),
        lambda scale: _parked(scale, MANY),
    ),
)
