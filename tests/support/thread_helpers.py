"""What the tests of enrolled threads and of pools share."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from freezethreads import Freezer, sync
from freezethreads._threads import Thread
from helpers import WAIT, wait_for


def members(freezer: Freezer) -> dict[str, str]:
    """The names of the enrolled threads, and their groups."""
    return {info.name: info.group for info in freezer.threads()}


class Gate:
    """A call that waits, freezably, until the gate is opened. `begun` tells when it is made."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self._opened = sync.Event()

    def __call__(self) -> bool:
        self.begun.set()
        return self._opened.wait(WAIT)

    def open(self) -> None:
        """Let it return."""
        self._opened.set()


def finish(thread: threading.Thread) -> None:
    """Wait for the thread's end; fail after `WAIT` seconds."""
    thread.join(WAIT)
    assert not thread.is_alive()


@contextmanager
def running(freezer: Freezer, group: str = "running") -> Iterator[Thread]:
    """A thread that waits until the block is left, from when it runs."""
    runs, over = threading.Event(), threading.Event()

    def work() -> None:
        runs.set()
        wait_for(over)

    thread = Thread(group, work, freezer=freezer)
    thread.start()
    wait_for(runs)
    try:
        yield thread
    finally:
        over.set()
        finish(thread)
