"""What the tests of freezing in steps share: a request that takes its own steps."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from freezethreads import Freezer, World
from freezethreads._controller.nowait import FreezeRequest
from freezing import Puppet
from helpers import WAIT, wait_until


class Request(FreezeRequest):
    """One whose news set an event."""

    def __init__(self, freezer: Freezer, **arguments: Any) -> None:
        self.news = threading.Event()
        super().__init__(freezer, self.news.set, **{"timeout": WAIT, **arguments})

    def take(self) -> World:
        """Poll until there is a world."""
        while (world := self.poll()) is None:
            self.news.wait(self.seconds)
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


def wait_until_asked(thread: Puppet) -> None:
    """Return when something is asked of the puppet. The flag is up a little earlier than that."""
    wait_until(lambda: thread.record.is_asked)
