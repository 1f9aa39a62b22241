"""What the second engine costs who is not frozen: functions that are marked, against plain ones.

Both are made from the same text, so that they differ in nothing else. A sample is the best of a few
calls of each, in turns, by the thread's own clock: the difference is looked for in per cent. Before
any freeze, between two, and after the last: each freeze instruments all code of the process, and
takes that back.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from time import thread_time
from typing import Any

from benchmarks.rows import Group, Row, Sample, Scale
from freezethreads import Freezer

_TEXT = """
def add(total, number):
    return (total * 31 + number) % 1000003


def compute(numbers):
    total = 0
    for number in numbers:
        total = add(total, number)
    return total
"""
_NUMBERS = 5000
_BATCHES = 25


def _make(name: str) -> dict[str, Any]:
    space: dict[str, Any] = {"__name__": name}
    exec(_TEXT, space)
    return space


def _freeze(freezer: Freezer) -> None:
    """Of each kind once; the second of these is for what is marked as freezable."""
    freezer.freeze(where="unlocked").thaw()
    freezer.freeze().thaw()
    freezer.freeze(where="anywhere").thaw()


@contextmanager
def _pair(scale: Scale, before: int, each: int) -> Iterator[Sequence[Sample]]:
    """A marked function and a plain one, after so many freezes, and as many before each sample."""
    freezer = Freezer("marked")
    marked, plain = _make("benchmarks.hot"), _make("benchmarks.plain")
    freezer.atomic(marked["add"])
    freezer.freezable(marked["compute"])
    numbers = range(200 if scale.tiny else _NUMBERS)
    sides = {"marked": marked["compute"], "plain": plain["compute"]}
    for _ in range(before):
        _freeze(freezer)

    def sample() -> Mapping[str, float]:
        for _ in range(each):
            _freeze(freezer)
        times: dict[str, list[float]] = {name: [] for name in sides}
        for n in range(_BATCHES):
            for name in sorted(sides, reverse=bool(n % 2)):
                times[name].append(_time(sides[name], numbers))
        return {name: min(found) for name, found in times.items()}

    yield [sample]


def _time(compute: Callable[[Sequence[int]], int], numbers: Sequence[int]) -> float:
    began = thread_time()
    compute(numbers)
    return thread_time() - began


def _group(when: str, before: int, each: int) -> Group:
    row = Row(f"a marked function {when}, against a plain one", "marked", "plain", 1.02, 1.0)
    return Group((row,), lambda scale: _pair(scale, before, each))


GROUPS = (
    # Before CPython 3.12 what is marked is wrapped.
    (
        _group("before any freeze", 0, 0),
        _group("between two freezes", 1, 1),
        _group("after the last freeze", 10, 0),
    )
    if sys.version_info >= (3, 12)
    else ()
)
