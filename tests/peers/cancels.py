"""Ways to cancel a freeze half-way: when some threads have stopped, and not all."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable

import pytest

from freezethreads import Freezer, FreezeTimeout
from freezethreads._ground.deadline import Deadline
from freezing import actor, at_bell
from helpers import WAIT, wait_for
from in_steps import Request


class Cancelled(BaseException):
    """What the handler of the signal raises."""


def look_again(freezer: Freezer) -> None:
    """Wake the controller that waits, for nothing."""
    for freeze in list(freezer._registry.active):
        freeze.bell.ring()


def by_time_out(freezer: Freezer, half_way: Callable[[], None]) -> None:
    """The deadline passes."""
    with pytest.MonkeyPatch.context() as patch, actor() as controller:
        waits = at_bell(patch, controller.worker)
        freezing = controller.tell(freezer.freeze, timeout=None)
        wait_for(waits)
        half_way()
        patch.setattr(Deadline, "passed", lambda _: True)
        look_again(freezer)
        assert isinstance(freezing.exception(WAIT), FreezeTimeout)
        assert not freezer.armed, "it was not given up before its thread ended"


def by_signal(freezer: Freezer, half_way: Callable[[], None]) -> None:
    """The controller, here the main thread, is interrupted while it waits."""

    def cancel(*_: object) -> None:
        raise Cancelled

    def interrupt() -> None:
        half_way()
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)
        look_again(freezer)  # the signal may have come just before it went to sleep

    before = signal.signal(signal.SIGUSR1, cancel)
    try:
        with actor() as other:
            interrupting = other.tell(interrupt)
            with pytest.raises(Cancelled):
                freezer.hold(timeout=WAIT)
            interrupting.result(WAIT)
    finally:
        signal.signal(signal.SIGUSR1, before)


def by_close(freezer: Freezer, half_way: Callable[[], None]) -> None:
    """The controller does not wait, and changes its mind."""
    request = Request(freezer)
    assert request.poll() is None
    half_way()
    assert request.poll() is None
    request.close()
