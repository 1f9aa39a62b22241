"""Who holds what others wait for, without being stopped, is not stopped either: its doors are shut.

1. A thread is inside `Event.set()`, or in `install()`, and holds the lock of it.
2. A signal handler there calls `safepoint()`, and a freeze is pending.
3. The thread goes on nevertheless, and stops at the next safepoint after that.

If it stopped, the freeze would wait for those who wait for that lock, and they for the thaw.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from freezethreads import Freezer, install, sync
from freezethreads._install import _installation, _members
from freezethreads._registry.record import here
from helpers import WAIT, start, wait_until

FROZEN_AT = "after it"


def freeze_and(freezer: Freezer, look: Callable[[], Any]) -> tuple[str | None, Any]:
    """Where the one thread stands when it is frozen, and what `look()` finds then.

    Start it when that thread is past `register()`, where it may stop as well.
    """
    with freezer.freeze(timeout=WAIT) as world:
        site = world.threads[0].site
        assert site is not None
        return site.label, look()


def pass_doors(freezer: Freezer) -> None:
    """What a handler may call."""
    wait_until(lambda: freezer.armed)
    freezer.safepoint("in a handler")
    sync.sleep(0.001)


@pytest.mark.parametrize(
    "make", [sync.Event, lambda: sync.Semaphore(1), lambda: sync.BoundedSemaphore(1)]
)
def test_in_a_latch(make: Callable[[], Any]) -> None:
    freezer = Freezer("doors")
    condition = make()._cond
    with freezer.register():
        with condition:
            controller = start(freeze_and, freezer, lambda: condition._lock.owner)
            pass_doors(freezer)
        freezer.safepoint(FROZEN_AT)
    assert controller.finish() == (FROZEN_AT, None)
    assert here.parking.shut == 0


def test_in_a_latch_that_is_acquired_again_after_a_wait() -> None:
    freezer = Freezer("doors")
    condition = make_event()._cond
    with freezer.register():
        with condition:
            assert not condition.wait(0.001)
            assert here.parking.shut == 1
            controller = start(freeze_and, freezer, lambda: condition._lock.owner)
            pass_doors(freezer)
        freezer.safepoint(FROZEN_AT)
    assert controller.finish() == (FROZEN_AT, None)
    assert here.parking.shut == 0


def make_event() -> Any:
    """With the names that are not public."""
    return sync.Event()


def test_whoever_waits_with_the_latch_released_counts_as_stopped() -> None:
    freezer, event = Freezer("doors"), make_event()

    def wait() -> bool:
        with freezer.register():
            return bool(event.wait(WAIT))

    waiter = start(wait)
    wait_until(lambda: bool(event._cond._waiters))
    assert freeze_and(freezer, event.set) == ("Condition.wait", None)
    assert waiter.finish()


def test_who_did_not_get_a_latch_has_its_doors_open() -> None:
    condition = make_event()._cond
    latch = condition._lock
    assert latch.acquire()
    assert not start(lambda: latch.acquire(False) or here.parking.shut).finish()
    assert not start(lambda: latch.acquire(timeout=0.001) or here.parking.shut).finish()
    latch.release()
    assert here.parking.shut == 0


def test_in_install(monkeypatch: pytest.MonkeyPatch) -> None:
    freezer, controllers = Freezer("doors"), []
    miss = _members.Members.miss

    def miss_in_a_handler(self: _members.Members, threads: Any) -> None:
        controllers.append(start(freeze_and, freezer, look))
        pass_doors(freezer)
        miss(self, threads)

    monkeypatch.setattr(_members.Members, "miss", miss_in_a_handler)

    def look() -> bool:
        """As a fork would: whether the lock is free."""
        free = _installation._lock.acquire(False)
        if free:
            _installation._lock.release()
        return free

    with freezer.register(), install(freezer):
        freezer.safepoint(FROZEN_AT)
    [controller] = controllers
    assert controller.finish() == (FROZEN_AT, True)
    assert here.parking.shut == 0
