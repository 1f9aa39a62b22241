"""What the tests of guarded forks share: who holds a lock, and a child that ends."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from freezethreads import Freezer
from helpers import WAIT, start, wait_for

HAS_ENGINE = sys.version_info >= (3, 12)
needs_engine = pytest.mark.skipif(not HAS_ENGINE, reason="needs sys.monitoring")
SOON = 0.3
"""Seconds after which a fork is refused whose lock nobody releases."""


made: list[None] = []
"""Something for each fork of this process."""

os.register_at_fork(after_in_parent=lambda: made.append(None))


@contextmanager
def held(lock: Any, freezer: Freezer | None = None, name: str = "holder") -> Iterator[None]:
    """A thread waits with the lock in its hands, and counts as stopped if there is a freezer."""
    has_it, enough = threading.Event(), threading.Event()

    def hold() -> None:
        with lock:
            has_it.set()
            enough.wait(3 * WAIT)

    def hold_in_region() -> None:
        assert freezer is not None
        with freezer.register(name), lock, freezer.blocking("with a lock"):
            has_it.set()
            enough.wait(3 * WAIT)

    holder = start(hold if freezer is None else hold_in_region, name=name)
    wait_for(has_it)
    try:
        yield
    finally:
        enough.set()
        holder.finish()


def end_of(pid: int) -> int:
    """The exit status of a child."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def fork_and_exit(status: Callable[[], int] = lambda: 0) -> int:
    """Fork a child that ends with this status, and return that."""
    pid = os.fork()
    if pid == 0:
        os._exit(status())
    return end_of(pid)
