"""What each registered thread costs: in bytes, and in time as there are more and more of them."""

from __future__ import annotations

import functools
import gc
import io
import threading
import tracemalloc
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from time import thread_time
from typing import TypeVar

from benchmarks.crowds import crowd
from benchmarks.freezes import block
from benchmarks.rows import Group, Row, Sample, Scale
from freezethreads import Freezer

T = TypeVar("T")

SIZES = (100, 1000, 10_000)
_COUNTED = 100  # threads over which bytes are averaged
_THREADS = 10_000  # that are frozen for a sample of any size, in all its freezes together

CALLS = (
    "freeze()",
    "world.threads",
    "thaw()",
    "freezer.threads()",
    "freezer.sites()",
    "freezer.statistics()",
    "freezer.dump()",
)


@contextmanager
def _growing(scale: Scale) -> Iterator[Sequence[Sample]]:
    """What each call takes for each of the threads, which are all that the process has.

    It is processor time: nobody has to be waited for, and the longer a call, the more likely is
    that something else runs meanwhile.
    """

    def sample(size: int) -> Mapping[str, float]:
        threads = scale.threads(size)
        freezer = Freezer(f"{size} threads")
        with crowd(threads, functools.partial(block, freezer)):
            freezer.freeze().thaw()  # which finds them on their way into their region
            rounds = [time_calls(freezer) for _ in range(scale.threads(_THREADS) // threads)]
        return {
            f"{call} of {size}": sum(each[call] for each in rounds) / len(rounds) / threads
            for call in CALLS
        }

    yield [functools.partial(sample, size) for size in SIZES]


def time_calls(freezer: Freezer) -> Mapping[str, float]:
    """The processor time of each of `CALLS`, of a freezer whose threads are all blocked."""
    taken: dict[str, float] = {}

    def timed(name: str, call: Callable[[], T]) -> T:
        began = thread_time()
        result = call()
        taken[name] = thread_time() - began
        return result

    world = timed("freeze()", freezer.freeze)
    timed("world.threads", lambda: world.threads)
    timed("thaw()", world.thaw)
    timed("freezer.threads()", freezer.threads)
    timed("freezer.sites()", freezer.sites)
    timed("freezer.statistics()", freezer.statistics)
    timed("freezer.dump()", lambda: freezer.dump(io.StringIO()))
    return taken


@contextmanager
def _bytes(scale: Scale) -> Iterator[Sequence[Sample]]:
    """Bytes that `tracemalloc` sees, per thread."""
    count = scale.threads(_COUNTED)
    tracemalloc.start()
    try:
        yield [
            lambda: {"registration": _registration_bytes(count)},
            lambda: {"thread": _thread_bytes(count)},
        ]
    finally:
        tracemalloc.stop()


def _thread_bytes(count: int) -> float:
    """Bytes of a `threading.Thread` before it is started: what starting adds is not counted."""
    threads: list[threading.Thread] = []
    thread = functools.partial(threading.Thread, target=gc.collect)
    return _growth(lambda: threads.extend(thread() for _ in range(count))) / count


def _registration_bytes(count: int) -> float:
    """Bytes that a running thread's registration adds, after its first blocking region."""
    freezer = Freezer("bytes")
    with ExitStack() as stack:
        pools = [stack.enter_context(ThreadPoolExecutor(1)) for _ in range(count)]

        def each(call: Callable[[], object]) -> None:
            for pool in pools:
                pool.submit(call).result()

        def enrol() -> None:
            each(freezer.register)
            each(functools.partial(_use, freezer))

        each(lambda: None)
        return _growth(enrol) / count


def _use(freezer: Freezer) -> None:
    with freezer.blocking("benchmark"):
        pass


def _growth(make: Callable[[], object]) -> int:
    gc.collect()
    before, _ = tracemalloc.get_traced_memory()
    make()
    gc.collect()
    return tracemalloc.get_traced_memory()[0] - before


def _growth_row(call: str, size: int) -> Row:
    """That a call takes no more for each of so many threads than for each of a few."""
    name = f"{call} of {size} blocked threads, per thread"
    return Row(name, f"{call} of {size}", f"{call} of {SIZES[0]}", 2, 1)


GROUPS = (
    Group(
        (Row("a registered thread, bytes", "registration", "thread", 3, 1, unit="B"),),
        _bytes,
        share=0.5,
    ),
    Group([_growth_row(call, size) for size in SIZES[1:] for call in CALLS], _growing, share=0.5),
)
