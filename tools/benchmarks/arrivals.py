"""How long it takes until running threads stand: a freeze against a flag that is written by hand.

Threads that run have to be given a processor, and with a GIL the interpreter, before they can stop
for anybody. So the yardstick is the shortest program that stops the same threads as a freezer does:
each stands when it is counted, until it is let go. (Less than that, a flag at whose sight threads
end, stops nobody.) With a GIL the limit is a ring of as many hand-overs of a raw lock: the GIL has
to be handed over once for each thread.

Both sides have threads of their own in the same loop, and take turns. Between two of its turns each
thread runs, until it has seen that the turn is over. When the next one begins all run, or wait for
nothing but the GIL or a processor, and the controller has just been given the GIL, which it keeps
for a switch interval. Without a GIL more running threads than processors wait for the system's
scheduler, which a ring, whose threads sleep, does not.
"""

from __future__ import annotations

import math
import statistics
import sys
import timeit
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from threading import Lock
from time import perf_counter

from benchmarks.crowds import Crowd, held_lock, ring, runners
from benchmarks.freezes import waiters
from benchmarks.rows import Group, Row, Sample, Scale
from freezethreads import Freezer

TURNS = {1: 100, 8: 100, 64: 100, 256: 10, 1000: 3}
"""How many threads, and how many turns each side has in a round."""
COMPUTING = (8, 64)
COMPUTATION = 50e-6  # seconds between two safepoints
_LONG = 5.0  # seconds after which a round has no more turns
_ENOUGH = 100  # turns for a 99th percentile

Turn = Callable[[], Mapping[str, float]]


class _Flag:
    """A flag that each thread tests, and a count of those that stand, under a lock."""

    def __init__(self, size: int) -> None:
        self.up = False
        self._size = size
        self._counting = Lock()
        self._count = 0
        self._all = held_lock()
        self._gate = Lock()

    def stand(self) -> None:
        """By each thread that sees the flag up."""
        with self._counting:
            self._count += 1
            if self._count == self._size:
                self._all.release()
        with self._gate:
            pass

    def stop(self) -> None:
        """Return when all stand. By the controller."""
        self._count = 0
        self._gate.acquire()
        self.up = True
        self._all.acquire()

    def go(self) -> None:
        """Let them run. By the controller."""
        self.up = False
        self._gate.release()


def _test(flag: _Flag, loops: int, people: Crowd) -> None:
    """A thread that tests the flag in each turn of its loop."""
    for lap in people.laps():
        while people.lap == lap:
            for _ in range(loops):
                pass
            if flag.up:
                flag.stand()


def _poll(freezer: Freezer, loops: int, people: Crowd) -> None:
    """The same loop, with a safepoint in it."""
    with freezer.register():
        for lap in people.laps():
            while people.lap == lap:
                for _ in range(loops):
                    pass
                freezer.safepoint()


def _go_round(people: Crowd) -> None:
    """The same loop, with nothing in it."""
    for lap in people.laps():
        while people.lap == lap:
            pass


@contextmanager
def _turns(
    size: int,
    body: Callable[[Crowd], object],
    stop: Callable[[], Callable[[], object]],
    names: tuple[str, str],
) -> Iterator[Turn]:
    """Threads in `body`: the call has them stop once by `stop()`, and run by what that returns. The
    seconds that these take have `names`."""

    def turn() -> Mapping[str, float]:
        people.start()
        began = perf_counter()
        go = stop()
        stood = perf_counter()
        people.lap += 1
        going = perf_counter()
        go()
        gone = perf_counter()
        people.await_all()
        return dict(zip(names, (stood - began, gone - going), strict=True))

    with runners(size, body) as people:
        yield turn


def flag_turns(size: int, loops: int = 0) -> AbstractContextManager[Turn]:
    """Threads that test a flag: the call stops them once, and gives the seconds as "flag"."""
    flag = _Flag(size)

    def stop() -> Callable[[], object]:
        flag.stop()
        return flag.go

    return _turns(size, partial(_test, flag, loops), stop, ("flag", "go"))


def freeze_turns(size: int, loops: int = 0) -> AbstractContextManager[Turn]:
    """Threads that reach safepoints: the call freezes them once: "freeze" and "thaw"."""
    freezer = Freezer("running")
    body = partial(_poll, freezer, loops)
    return _turns(size, body, lambda: freezer.freeze().thaw, ("freeze", "thaw"))


def unprepared_turns(size: int) -> AbstractContextManager[Turn]:
    """Threads that know of no freezer: the same."""
    freezer = Freezer("anywhere")
    names = ("freeze", "thaw")
    return _turns(size, _go_round, lambda: freezer.freeze(where="unlocked").thaw, names)


def take_turns(sides: Sequence[Turn], count: int) -> Mapping[str, float]:
    """So many turns of each side, or fewer of what takes very long: the median of each quantity,
    and the 99th percentile."""
    taken: dict[str, list[float]] = {}
    deadline = perf_counter() + _LONG
    for index in range(count):
        if taken and perf_counter() > deadline:
            break
        for side in sides if index % 2 else reversed(sides):
            for name, seconds in side().items():
                taken.setdefault(name, []).append(seconds)
    medians = {name: statistics.median(times) for name, times in taken.items()}
    return medians | {f"{name}, p99": slowest(times) for name, times in taken.items()}


def slowest(times: Sequence[float]) -> float:
    """The 99th percentile: of a hundred times only one is longer."""
    return sorted(times)[math.ceil(len(times) * 0.99) - 1]


@contextmanager
def _running(scale: Scale, size: int, turns: int, loops: int) -> Iterator[Sequence[Sample]]:
    threads = scale.threads(size)
    with (
        ring(threads) as measure_ring,
        freeze_turns(threads, loops) as freeze,
        flag_turns(threads, loops) as flag,
    ):
        yield [
            partial(take_turns, (freeze, flag), scale.threads(turns)),
            lambda: {"ring": measure_ring()},
        ]


@contextmanager
def _anywhere(scale: Scale, size: int) -> Iterator[Sequence[Sample]]:
    """Each side alone: such a freeze stops all threads of the process."""
    threads, turns = scale.threads(size), scale.threads(TURNS[size])

    def alone(side: Callable[[int], AbstractContextManager[Turn]]) -> Mapping[str, float]:
        with side(threads) as turn:
            return take_turns([turn], turns)

    def set_event() -> Mapping[str, float]:
        with waiters(threads) as measure:
            return {"set": measure()}

    yield [partial(alone, unprepared_turns), partial(alone, flag_turns), set_event]


def _loops_for(seconds: float) -> int:
    """How many turns of an empty loop take so long here."""
    loops = 1000
    return max(1, round(loops * seconds / min(timeit.repeat("pass", number=loops))))


def _running_group(size: int, turns: int) -> Group:
    name = "freeze of one running thread" if size == 1 else f"freeze of {size} running threads"
    rows = [
        Row(f"{name}, p50", "freeze", "flag", 2, 1.2),
        Row(f"{name}, p99", "freeze, p99", "flag, p99", 2, 1.2),
        Row(f"{name}, against hand-overs", "freeze", "ring", aim=1.0),
        Row(f"{name}, the flag against hand-overs", "flag", "ring"),
    ]
    if turns < _ENOUGH:
        del rows[1]
    return Group(rows, lambda scale: _running(scale, size, turns, 0))


def _computing_group(size: int) -> Group:
    row = Row(f"freeze of {size} threads that compute 50 us between", "freeze", "flag", 2, 1.2)
    loops = _loops_for(COMPUTATION)
    return Group((row,), lambda scale: _running(scale, size, TURNS[size], loops))


def _anywhere_group(size: int) -> Group:
    rows = (
        Row(f"freeze of {size} threads that nobody prepared", "freeze", "flag", aim=2),
        Row(f"thaw of {size} such threads, seen by the controller", "thaw", "set"),
    )
    return Group(rows, lambda scale: _anywhere(scale, size))


GROUPS = (
    *(_running_group(size, turns) for size, turns in TURNS.items()),
    *map(_computing_group, COMPUTING),
    # Before CPython 3.12 there is nothing to stop them with.
    *([_anywhere_group(64)] if sys.version_info >= (3, 12) else []),
)
