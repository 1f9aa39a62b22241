"""What the tests of freezing in steps share: a request that takes its own steps."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from freezethreads import Freezer, World
from freezethreads._request import FreezeRequest
from freezing import Puppet
from helpers import WAIT, start, wait_for


class Request(FreezeRequest):
    """One whose news set an event."""

    def __init__(self, freezer: Freezer, **arguments: Any) -> None:
        self.news = threading.Event()
        super().__init__(freezer, self.news.set, **{"timeout": WAIT, **arguments})

    def take(self) -> World:
        """Poll until there is a world."""
        while (world := self.poll()) is None:
            wait_for(self.news)
            self.news.clear()
        return world


@contextmanager
def passing(freezer: Freezer, thread: Puppet) -> Iterator[None]:
    """Within this block the puppet passes safepoints, and does nothing else."""
    over = threading.Event()
    done = thread.pass_safepoints(over)
    yield
    over.set()
    done.result(WAIT)


def wait_until(condition: Callable[[], bool]) -> None:
    """Return when `condition()` is true; other threads come and go meanwhile."""
    deadline = time.monotonic() + WAIT
    while not condition():
        assert time.monotonic() < deadline, f"not so within {WAIT} s: {condition}"
        start(int).finish()


def wait_until_asked(thread: Puppet) -> None:
    """Return when something is on the puppet's list. The flag is up a little earlier than that."""
    wait_until(lambda: bool(thread.record.todo))
