"""Threads that are reached by their waker alone."""

from __future__ import annotations

import threading
from collections.abc import Callable

from freezethreads import Freezer
from helpers import WAIT, start, wait_for


class Face:
    """Shows the flag beside the freezer, and does something once when that is put down."""

    def __init__(self, then: Callable[[], object]) -> None:
        self._then: Callable[[], object] | None = then

    @property
    def armed(self) -> bool:
        return False

    @armed.setter
    def armed(self, value: bool) -> None:
        then = self._then
        if then is not None and not value:
            self._then = None
            then()


def test_a_flag_that_is_put_down_too_late_hides_no_todo_from_a_sleeper() -> None:
    # 1. Something was done, and its thread has found nothing else that is asked.
    # 2. A todo is posted: the flag goes up, and the waker is called.
    # 3. The first thread puts the flag down.
    # 4. The sleeper wakes up, passes a safepoint, and sleeps again, until its next ring.
    # 5. The first thread looks once more, and puts the flag up. Nobody else will ever ring.
    freezer = Freezer()
    rung = threading.Semaphore(0)
    registered, down, passed, over = (threading.Event() for _ in range(4))

    def sleep() -> None:
        with freezer.register(waker=rung.release):
            registered.set()
            while not over.is_set():
                assert rung.acquire(timeout=WAIT)
                wait_for(down)
                freezer.safepoint()
                passed.set()

    def let_it_pass() -> None:
        down.set()
        wait_for(passed)

    sleeper = start(sleep)
    wait_for(registered)
    registry = freezer._registry
    registry.announce("something")
    registry.flagged.insert(0, Face(lambda: freezer.todo(sleeper, over.set)))
    registry.flagged.append(Face(let_it_pass))
    registry.settle("something")
    sleeper.finish()
    assert over.is_set()
    assert not freezer.armed
