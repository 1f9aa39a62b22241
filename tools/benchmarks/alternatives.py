"""The alternatives' costs, as ratios to the freezer's: a ratio above 1 speaks for the freezer."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from time import perf_counter

from benchmarks.crowds import Crowd, crowd
from benchmarks.micro import measure_statement
from benchmarks.pauses import OURS, PAUSES, Pause
from benchmarks.rows import Group, Row, Sample, Scale

SIZES = (8, 64)
_LOOPS = 500


def _loop(pause: Pause, people: Crowd) -> None:
    """A thread that does nothing but make its check, and tells when it runs again."""
    with pause.visit() as check:
        people.begin()
        seen = 0
        while people.go:
            check()
            if people.lap != seen:
                seen = people.lap
                people.arrive()


def _stop_and_go(name: str, size: int) -> Mapping[str, float]:
    pause = PAUSES[name](size)
    with crowd(size, functools.partial(_loop, pause)) as people:
        began = perf_counter()
        if not pause.stop():
            people.go = False
            return {f"{name}: stop": math.inf, f"{name}: go": math.inf}
        stopped = perf_counter()
        people.lap += 1
        pause.go()
        return {f"{name}: stop": stopped - began, f"{name}: go": people.await_all() - stopped}


def _check(name: str, loops: int) -> Mapping[str, float]:
    """The idle check, in another thread than the one that made the pause."""

    def measure() -> float:
        with pause.visit() as check:
            return measure_statement("check()", {"check": check}, loops)

    pause = PAUSES[name](1)
    with ThreadPoolExecutor(1) as thread:
        return {name: thread.submit(measure).result()}


@contextmanager
def _checks(scale: Scale) -> Iterator[Sequence[Sample]]:
    loops = 2 if scale.tiny else _LOOPS
    yield [functools.partial(_check, name, loops) for name in PAUSES]


@contextmanager
def _stops(scale: Scale, size: int) -> Iterator[Sequence[Sample]]:
    threads = scale.threads(size)
    yield [functools.partial(_stop_and_go, name, threads) for name in PAUSES]


def _group(size: int) -> Group:
    rows = [
        Row(f"{name}: {what.format(size)}", f"{name}: {phase}", f"{OURS}: {phase}")
        for phase, what in (("stop", "stop {} running"), ("go", "until all {} run again"))
        for name in PAUSES
        if name != OURS
    ]
    return Group(rows, lambda scale: _stops(scale, size), share=0.5)


GROUPS = (
    Group([Row(f"{name}: idle check", name, OURS) for name in PAUSES if name != OURS], _checks),
    *(_group(size) for size in SIZES),
)
