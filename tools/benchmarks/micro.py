"""What an idle freezer costs: single statements, timed by `timeit` in a registered thread.

A statement is unrolled, so that little of a time is the loop's, and the time of the same loop
without it is subtracted. A sample is the best of a few batches, which leaves out the moments when
the machine did something else. The freezer was made by another thread than the one that uses it,
as in most programs: on a free-threaded build that is the dearer case.
"""

from __future__ import annotations

import functools
import threading
import timeit
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import freezethreads
from benchmarks.rows import Group, Row, Sample, Scale

UNROLLED = 10
_BATCHES = 5


class Slotted:
    """Any object with slots: what the inline test of a flag is compared with."""

    __slots__ = ("flag",)

    def __init__(self) -> None:
        self.flag = False


def empty(label: str | None = None) -> None:
    """Nothing, with the signature of `safepoint`."""


def measure_statement(statement: str, names: Mapping[str, Any], loops: int) -> float:
    """Seconds that `statement` takes, in the calling thread, its loop not counted."""
    unrolled = "\n".join([statement] * UNROLLED)
    timers = [timeit.Timer(code, globals=dict(names)) for code in (unrolled, "pass")]
    whole, loop = (min(timer.repeat(_BATCHES, loops)) for timer in timers)
    return max(whole - loop, 0.0) / (loops * UNROLLED)


EMPTY = "an empty function"
LOCK = "with lock:"

# The names of the quantities, which are the statements themselves but for this one.
STATEMENTS = {
    "safepoint()": "safepoint()",
    "freezer.safepoint()": "freezer.safepoint()",
    EMPTY: "empty()",
    "if freezer.armed:": "if freezer.armed: freezer.safepoint()",
    "if other.flag:": "if other.flag: other.act()",
    'with freezer.blocking("x"):': 'with freezer.blocking("x"): pass',
    LOCK: "with lock: pass",
    "with threading.Lock():": "with threading.Lock(): pass",
}
_LOOPS = 2000


@contextmanager
def _statements(scale: Scale, *quantities: str) -> Iterator[Sequence[Sample]]:
    """Samples of some of the statements above, taken in a thread that both freezers know."""
    freezer = freezethreads.Freezer("benchmark")
    names = {
        "safepoint": freezethreads.safepoint,
        "freezer": freezer,
        "empty": empty,
        "other": Slotted(),
        "lock": threading.Lock(),
        "threading": threading,
    }

    def enrol() -> None:
        freezer.register()
        freezethreads.register()

    def sample(quantity: str) -> Mapping[str, float]:
        loops = 2 if scale.tiny else _LOOPS
        call = thread.submit(measure_statement, STATEMENTS[quantity], names, loops)
        return {quantity: call.result()}

    with ThreadPoolExecutor(1, initializer=enrol) as thread:
        yield [functools.partial(sample, quantity) for quantity in quantities]


def _group(*quantities: str) -> Callable[[Scale], AbstractContextManager[Sequence[Sample]]]:
    return lambda scale: _statements(scale, *quantities)


BLOCKING = 'with freezer.blocking("x"):'

GROUPS = (
    Group(
        (
            Row("safepoint() of the module, nothing asked", "safepoint()", EMPTY, 1.5, 1.2),
            Row("freezer.safepoint(), nothing asked", "freezer.safepoint()", EMPTY, 2.2, 1.4),
        ),
        _group("safepoint()", "freezer.safepoint()", EMPTY),
        share=3,
    ),
    Group(
        (Row("if freezer.armed: inline", "if freezer.armed:", "if other.flag:", 1.1, 1.0),),
        _group("if freezer.armed:", "if other.flag:"),
        share=3,
    ),
    Group(
        (
            Row("blocking region, no freeze", BLOCKING, LOCK, 6, 3),
            Row("blocking region, lock made on the spot", BLOCKING, "with threading.Lock():"),
        ),
        _group(BLOCKING, LOCK, "with threading.Lock():"),
        share=3,
    ),
)
