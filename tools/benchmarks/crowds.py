"""Threads to measure with: a crowd that all does the same, and a ring that hands a lock around."""

from __future__ import annotations

import sys
import threading
from _thread import LockType, allocate_lock
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from time import perf_counter

PATIENCE = 60.0
"""Seconds after which a wait of the benchmark itself, none that is measured, is given up."""

_SETTLING = 0.01  # seconds
_SLOW = 1.0  # seconds; whoever loses the GIL all the same has it back after that
_STACK = 256 * 1024  # bytes; ten thousand stacks of the default size are too many for some


class Crowd:
    """A number of threads in one loop: `while crowd.go: ...`."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.go = True
        self.lap = 0  # which runs now, or is the next
        self.gates: list[LockType] = []
        self._times: list[float] = []
        self._all = threading.Event()
        self._starts: list[LockType] = []

    def begin(self) -> None:
        """Wait for the start, which finds all threads here. By each thread."""
        start = held_lock()
        self._starts.append(start)
        self.arrive()
        start.acquire()

    def laps(self) -> Iterator[int]:
        """Begin one lap after the other, and get its number, which is `lap` until it is over."""
        for lap in count():
            self.begin()
            if not self.go:
                break
            yield lap

    def arrive(self) -> None:
        """Note the time. By each thread, once a lap."""
        self._times.append(perf_counter())
        if len(self._times) == self.size:
            self._all.set()

    def await_all(self) -> float:
        """Wait until all threads have arrived; return when the last one did, and begin a lap."""
        while len(self._times) < self.size:  # without a GIL two may be the last
            wait(self._all)
            self._all.clear()
        last = max(self._times)
        self._times.clear()
        return last

    def start(self) -> None:
        """Let go all threads, which are at `begin`, and give them a moment.

        From then on each runs, or waits for nothing but the GIL or a processor. With a GIL the
        calling thread keeps it meanwhile: to get it back from n threads that run takes n switch
        intervals, and n that wait for it with a short timeout wear out the machine.
        """
        starts, self._starts = self._starts, []
        with slow_switches():
            for start in starts:
                start.release()
            deadline = perf_counter() + _SETTLING
            while perf_counter() < deadline:
                pass

    def make_gate(self) -> LockType:
        """A lock that is held, and will be released when the crowd ends. By each thread."""
        gate = held_lock()
        self.gates.append(gate)
        return gate


@contextmanager
def crowd(size: int, body: Callable[[Crowd], object]) -> Iterator[Crowd]:
    """Threads in `body`, which all run when the block begins, and have ended when it is left."""
    people = Crowd(size)
    with started(size, lambda _: body(people)):
        people.await_all()
        try:
            people.start()
            yield people
        finally:
            people.go = False
            for gate in people.gates:
                if gate.locked():
                    gate.release()


@contextmanager
def runners(size: int, body: Callable[[Crowd], object]) -> Iterator[Crowd]:
    """Threads that run in laps: `for lap in crowd.laps(): while crowd.lap == lap: ...`.

    The block starts each lap, counts it when it is over, and waits until all have arrived from it.
    """
    people = Crowd(size)
    with started(size, lambda _: body(people)):
        people.await_all()
        try:
            yield people
        finally:
            people.go = False
            people.start()


@contextmanager
def started(size: int, body: Callable[[int], object]) -> Iterator[None]:
    """Threads that call `body(index)`. The block has to make them end; this joins them."""
    threads = [threading.Thread(target=body, args=(i,), daemon=True) for i in range(size)]
    before = threading.stack_size(_STACK)
    try:
        for thread in threads:
            thread.start()
    finally:
        threading.stack_size(before)
    yield
    deadline = perf_counter() + PATIENCE
    for thread in threads:
        thread.join(max(0.0, deadline - perf_counter()))
    left = [thread.name for thread in threads if thread.is_alive()]
    if left:
        raise TimeoutError(f"{len(left)} threads did not end within {PATIENCE} s, {left[0]} first")


@contextmanager
def slow_switches() -> Iterator[None]:
    """Keep the GIL, while nothing is measured."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(_SLOW)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


def wait(event: threading.Event) -> None:
    """Wait for what must come; TimeoutError if it does not."""
    if not event.wait(PATIENCE):
        raise TimeoutError(f"a thread of the benchmark did not get on within {PATIENCE} s")


class Ring:
    """Threads in a ring, each of which waits for its own raw lock and releases the next one's."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._go = True
        self._locks = [held_lock() for _ in range(size)]
        self._begin, self._ended = held_lock(), held_lock()
        self._laps = 0
        self._seconds = 0.0

    def measure_lap(self, laps: int) -> float:
        """Seconds for one lap, which is `size` hand-overs: the mean of `laps`."""
        self._laps = laps
        self._begin.release()
        self._ended.acquire()
        return self._seconds / laps

    def stop(self) -> None:
        """Let all threads end."""
        self._go = False
        self._begin.release()

    def run(self, index: int) -> None:
        """What thread `index` does. The first one takes the time."""
        mine, following = self._locks[index], self._locks[(index + 1) % self.size]
        if index == 0:
            self._lead(mine, following)
        while self._go:
            mine.acquire()
            following.release()

    def _lead(self, mine: LockType, following: LockType) -> None:
        self._begin.acquire()
        while self._go:
            began = perf_counter()
            for _ in range(self._laps):
                following.release()
                mine.acquire()
            self._seconds = perf_counter() - began
            self._ended.release()
            self._begin.acquire()
        following.release()


@contextmanager
def ring(size: int) -> Iterator[Callable[[], float]]:
    """A ring at rest; the function measures the time of `size` hand-overs in it.

    Of one thread there is no ring: one hand-over is half a lap of a ring of two.
    """
    threads = max(size, 2)
    laps = max(3, 1000 // threads)
    circle = Ring(threads)
    with started(threads, circle.run):
        try:
            yield lambda: circle.measure_lap(laps) * size / threads
        finally:
            circle.stop()


def held_lock() -> LockType:
    """A raw lock that is held already."""
    lock = allocate_lock()
    lock.acquire()
    return lock
