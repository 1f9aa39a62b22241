"""What each registered thread costs: in bytes, and in time as there are more and more of them."""

from __future__ import annotations

import functools
import gc
import threading
import tracemalloc
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from time import perf_counter

from benchmarks.crowds import crowd
from benchmarks.freezes import block
from benchmarks.rows import Group, Row, Sample, Scale
from freezethreads import Freezer

SIZES = (100, 1000, 10_000)
_COUNTED = 100  # threads over which bytes are averaged
_FREEZES_OF = 10_000  # threads frozen for one sample of a small crowd, all its freezes together


@contextmanager
def _growing(scale: Scale) -> Iterator[Sequence[Sample]]:
    """Freeze and thaw of crowds of blocked threads, each with a freezer of its own; per thread."""
    with ExitStack() as stack:
        samples = []
        for size in SIZES:
            freezer, threads = Freezer(f"{size} threads"), scale.threads(size)
            stack.enter_context(crowd(threads, functools.partial(block, freezer)))
            repeats = max(1, scale.threads(_FREEZES_OF) // threads)
            samples.append(functools.partial(_freeze_and_thaw, freezer, size, threads, repeats))
        yield samples


def _freeze_and_thaw(
    freezer: Freezer, size: int, threads: int, repeats: int
) -> Mapping[str, float]:
    began = perf_counter()
    for _ in range(repeats):
        world = freezer.freeze()
        world.thaw()
    seconds = perf_counter() - began
    if len(world.threads) != threads:
        raise RuntimeError(f"{len(world.threads)} threads were frozen, and not {threads}")
    return {f"of {size}": seconds / repeats / threads}


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


def _growth_row(size: int, must: float | None) -> Row:
    name = f"freeze and thaw, per thread, of {size} blocked threads"
    return Row(name, f"of {size}", f"of {SIZES[0]}", must, must)


GROUPS = (
    Group(
        (Row("a registered thread, bytes", "registration", "thread", 3, 1, unit="B"),),
        _bytes,
        share=0.5,
    ),
    Group((_growth_row(1000, None), _growth_row(10_000, 1.0)), _growing, share=0.5),
)
