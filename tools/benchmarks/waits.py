"""What the freezable primitives cost while nobody contends: against the standard library's own.

The same statement is timed with both objects, in a registered thread.
"""

from __future__ import annotations

import functools
import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import freezethreads
from benchmarks.micro import measure_statement
from benchmarks.rows import Group, Row, Sample, Scale
from freezethreads import sync

_LOOPS = 500

# What it is called, the statement, what makes `x` of both kinds, and the ratio that it must keep.
_PRIMITIVES: tuple[tuple[str, str, Callable[[], Any], Callable[[], Any], float | None], ...] = (
    ("with lock", "with x: pass", sync.Lock, threading.Lock, 3),
    ("with lock, re-entrant", "with x: pass", sync.RLock, threading.RLock, 3),
    ("lock.acquire() and release()", "x.acquire(); x.release()", sync.Lock, threading.Lock, 3),
    (
        "lock.acquire() and release(), re-entrant",
        "x.acquire(); x.release()",
        sync.RLock,
        threading.RLock,
        3,
    ),
    ("Queue put and get", "x.put(None); x.get()", sync.Queue, queue.Queue, 1.3),
    ("SimpleQueue put and get", "x.put(None); x.get()", sync.SimpleQueue, queue.SimpleQueue, None),
    (
        "Event.wait(), set",
        "x.wait()",
        lambda: _set(sync.Event()),
        lambda: _set(threading.Event()),
        1.3,
    ),
    ("with condition", "with x: pass", sync.Condition, threading.Condition, None),
    ("sleep(0)", "x(0)", lambda: sync.sleep, lambda: time.sleep, None),
)


def _set(event: threading.Event) -> threading.Event:
    event.set()
    return event


def _names(name: str) -> tuple[str, str]:
    """The quantities: ours, and the standard library's."""
    return f"{name}, freezable", name


@contextmanager
def _pair(
    name: str,
    statement: str,
    ours: Callable[[], Any],
    theirs: Callable[[], Any],
    scale: Scale,
) -> Iterator[Sequence[Sample]]:
    freezer = freezethreads.Freezer("benchmark")

    def sample(quantity: str, make: Callable[[], Any]) -> Mapping[str, float]:
        loops = 2 if scale.tiny else _LOOPS
        return {
            quantity: thread.submit(measure_statement, statement, {"x": make()}, loops).result()
        }

    with ThreadPoolExecutor(1, initializer=freezer.register) as thread:
        yield [
            functools.partial(sample, quantity, make)
            for quantity, make in zip(_names(name), (ours, theirs), strict=True)
        ]


def _group(
    name: str,
    statement: str,
    ours: Callable[[], Any],
    theirs: Callable[[], Any],
    must: float | None,
) -> Group:
    def prepare(scale: Scale) -> AbstractContextManager[Sequence[Sample]]:
        return _pair(name, statement, ours, theirs, scale)

    return Group((Row(f"sync: {name}", *_names(name), must),), prepare, share=3)


GROUPS = tuple(_group(*primitive) for primitive in _PRIMITIVES)
