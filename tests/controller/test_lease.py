"""Leases: when one runs out, a watchdog thaws, whatever has become of the controller."""

from __future__ import annotations

import logging
import math
import threading

import pytest

from freezethreads import Freezer, LeaseExpired
from freezing import actor, looping
from helpers import WAIT, Worker, wait_for, wait_until


def leases_over(loops_freezer: Freezer) -> None:
    for thread in threading.enumerate():
        if thread.name == "freezethreads-lease":
            thread.join(WAIT)
    assert not loops_freezer.armed


def test_the_block_of_an_expired_lease_ends_in_an_error(caplog: pytest.LogCaptureFixture) -> None:
    freezer = Freezer()
    with looping(freezer, 2) as loops:
        with pytest.raises(LeaseExpired), freezer.freeze(timeout=WAIT, lease=0.05, reason="dump"):
            loops.progress()
        leases_over(freezer)  # the watchdog counts after the thaw
        assert freezer.statistics().lease_expiries == 1
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "dump" in caplog.text


def test_a_lease_that_was_not_needed_leaves_no_thread() -> None:
    freezer = Freezer()
    with looping(freezer, 1):
        for _ in range(3):
            with freezer.freeze(timeout=WAIT, lease=WAIT):
                pass
        leases_over(freezer)
        assert freezer.statistics().lease_expiries == 0


def test_a_hold_has_a_lease_too() -> None:
    freezer = Freezer()
    with looping(freezer, 1) as loops:
        hold = freezer.hold(timeout=WAIT, lease=0.05)
        loops.progress()
        assert hold.expired


@pytest.mark.parametrize("lease", [1e12, math.inf])
def test_a_lease_longer_than_any_wait_does_no_harm(
    lease: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed: list[object] = []
    monkeypatch.setattr(threading, "excepthook", failed.append)
    freezer = Freezer()
    with freezer.freeze(lease=lease):
        pass
    leases_over(freezer)
    assert not failed


def test_a_lease_lets_all_go_while_one_makes_a_call_for_the_world() -> None:
    freezer = Freezer()
    with looping(freezer, 3) as loops:
        for busy in loops.threads:
            others = [thread for thread in loops.threads if thread is not busy]
            expire_during_a_call(freezer, busy, others)


def expire_during_a_call(freezer: Freezer, busy: Worker[None], others: list[Worker[None]]) -> None:
    """Have `busy` make a call that outlasts the lease; the others must run meanwhile."""
    over, inside = threading.Event(), threading.Event()

    def last() -> None:
        inside.set()
        wait_for(over)

    with actor() as controller:
        world = controller.do(freezer.freeze, timeout=WAIT)
        calling = controller.tell(world.call, busy, last)
        wait_for(inside)
        futures = [freezer.todo(thread, int) for thread in others]
        freezer._controller.expire(world._freeze)
        try:
            assert [future.result(2) for future in futures] == [0, 0]
        finally:
            over.set()
            calling.exception(WAIT)


def test_the_watchdog_is_not_among_the_threads_that_a_world_does_not_cover() -> None:
    freezer = Freezer()
    with freezer.freeze(lease=WAIT) as world:
        (lease,) = world._freeze.leases
        assert lease.is_alive()
        assert lease not in world.unregistered


def test_a_block_is_not_entered_when_the_lease_has_run_out() -> None:
    freezer = Freezer()
    with looping(freezer, 1):
        hold = freezer.hold(timeout=WAIT, lease=0.05)
        wait_until(lambda: hold.expired)
        with pytest.raises(LeaseExpired), hold:
            pytest.fail("entered")
