"""What all these tests look at: who is frozen, and that nobody moves."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any

from freezethreads import Freezer, State
from freezethreads._ground.arguments import Where
from freezing import Loops, looping
from helpers import WAIT, start_own


def freezer_of(name: str, where: Where = "safepoint") -> Freezer:
    """A freezer that stops threads there, unless a freeze says otherwise."""
    freezer = Freezer(name)
    freezer._registry.where = where
    return freezer


@contextmanager
def witness() -> Iterator[Loops]:
    """A thread of another freezer, which no freeze of all threads stops. As long as it makes
    progress, so could whoever is free to."""
    with looping(Freezer("witness"), 1, start=start_own) as loops:
        yield loops


def check_still(still: Loops, others: Loops) -> None:
    """Fail if a loop counts while another, which nobody stops, comes round a few times."""
    before = list(still.counts)
    for _ in range(3):
        others.progress()
    assert still.counts == before, "a thread ran while it was frozen"


def groups_of(freezer: Freezer, state: State) -> list[str]:
    """The groups of the threads in that state, one for each thread."""
    return sorted(info.group for info in freezer.threads() if info.state is state)


def frozen_groups(freezer: Freezer) -> list[str]:
    """The groups of the frozen threads."""
    return groups_of(freezer, State.FROZEN)


def frozen_idents(freezer: Freezer) -> set[int]:
    """Which threads are frozen."""
    return {info.ident for info in freezer.threads() if info.state is State.FROZEN}


def stands(freezer: Freezer, thread: threading.Thread) -> bool:
    """Whether a registered thread stands in the refrigerator. One that is frozen may have yet to
    come there, from a call of C."""
    return freezer._registry.find(thread).parking.word.value.stay is not None


def take(semaphore: threading.Semaphore, count: int) -> None:
    """Acquire it so many times; fail if one time takes longer than `WAIT`."""
    for taken in range(count):
        assert semaphore.acquire(timeout=WAIT), f"{taken} of {count} came"


def serve_until_done(freezer: Freezer, *futures: Future[Any]) -> None:
    """Pass safepoints until all these are done; fail if that takes longer than `WAIT`.

    One safepoint need not do: another thread may lower the flag by mistake, and be preempted
    before it looks again. See the top of `_registry.registry`.
    """
    deadline = time.monotonic() + WAIT
    while not all(future.done() for future in futures):
        assert time.monotonic() < deadline, "a todo was not made"
        freezer.safepoint()
        time.sleep(0)


def wait_while_progress(done: Callable[[], bool], progress: Callable[[], int]) -> None:
    """Return when `done()`; fail if `progress()` stays the same for `WAIT` seconds before."""
    deadline, last = time.monotonic() + WAIT, progress()
    while not done():
        if progress() != last:
            deadline, last = time.monotonic() + WAIT, progress()
        assert time.monotonic() < deadline, f"no progress within {WAIT} s after {last}"
        time.sleep(0.001)
