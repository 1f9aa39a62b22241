"""A hold for a thread that watches something else meanwhile, and the renewal of its lease."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator

import pytest

from freezethreads import FreezeError, Freezer, FreezeTimeout, LeaseExpired, State
from freezethreads._controller.lease import Lease
from freezethreads._controller.nowait import HoldRequest
from freezethreads._controller.standing import renew, standing, thaw_abandoned
from freezing import after, before, looping, puppet
from helpers import WAIT, start, start_own, wait_for, wait_until


@pytest.fixture
def freezer() -> Iterator[Freezer]:
    freezer = Freezer()
    yield freezer
    assert not freezer.armed
    assert not standing(freezer)


# The request.


def test_it_waits_until_all_stand(freezer: Freezer) -> None:
    with puppet(freezer) as late, looping(freezer, 1) as loops:
        request = HoldRequest(freezer, timeout=None, reason="to look")
        assert request.wait(0.001) is None
        passed = late.tell(freezer.safepoint)
        hold = request.wait(WAIT)
        assert hold is not None
        assert [info.state for info in hold.threads] == [State.FROZEN] * 2
        assert (hold.reason, hold.waited > 0) == ("to look", True)
        hold.thaw()
        passed.result(WAIT)
        loops.progress()


def test_it_can_be_given_up(freezer: Freezer) -> None:
    with puppet(freezer), looping(freezer, 1) as loops:
        request = HoldRequest(freezer)
        assert request.wait(0) is None
        request.give_up(KeyboardInterrupt())
        loops.progress()
        with pytest.raises(FreezeError, match="was given up"):
            request.wait(0)


def test_somebody_else_can_thaw_what_does_not_stand_yet(freezer: Freezer) -> None:
    with puppet(freezer):
        request = HoldRequest(freezer)
        (freeze,) = standing(freezer)
        thaw_abandoned(freezer, freeze, "a test says so")
        with pytest.raises(FreezeError, match="was given up"):
            request.wait(0)


def test_its_time_runs_out(freezer: Freezer) -> None:
    with puppet(freezer), looping(freezer, 1) as loops:
        request = HoldRequest(freezer, timeout=0.5)
        with pytest.raises(FreezeTimeout, match="1 of 2 threads") as caught:
            request.wait(WAIT)
        assert [each.name for each in caught.value.stragglers] == ["puppet"]
        loops.progress()
    assert freezer.statistics().timeouts == 1


def test_its_arguments_are_those_of_a_hold(freezer: Freezer) -> None:
    with pytest.raises(ValueError, match="dotted name"):
        HoldRequest(freezer, group="a..b")
    with freezer.register("main"), pytest.raises(FreezeError, match="is registered"):
        HoldRequest(freezer)


def test_an_interrupt_while_it_asks_lets_all_go(
    freezer: Freezer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with looping(freezer, 1) as loops:
        with monkeypatch.context() as patch:
            after(patch, type(freezer._controller), "_arm", interrupt)
            with pytest.raises(KeyboardInterrupt):
                HoldRequest(freezer)
        loops.progress()


# Renewal.


def test_a_renewal_ends_the_watchdog_before_it(freezer: Freezer) -> None:
    hold = freezer.hold(lease=WAIT)
    (first,) = hold._freeze.leases
    renew(hold, 2 * WAIT)
    (second,) = hold._freeze.leases
    first.join(WAIT)
    assert (first.is_alive(), second.is_alive()) == (False, True)
    assert WAIT < second._deadline.remaining() <= 2 * WAIT
    hold.thaw()
    second.join(WAIT)
    with pytest.raises(FreezeError, match="was thawed; nothing was renewed"):
        renew(hold, 1)
    assert not [one for one in hold._freeze.leases if one.is_alive()]


def test_a_renewal_that_fails_leaves_the_lease_as_it_was(
    freezer: Freezer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(lease: Lease) -> None:
        raise RuntimeError("can't start new thread")

    hold = freezer.hold(lease=0.2)
    with monkeypatch.context() as patch:
        patch.setattr(Lease, "start", fail)
        with pytest.raises(RuntimeError):
            renew(hold, WAIT)
    for lease in list(hold._freeze.leases):
        if lease.ident is not None:
            lease.join(WAIT)
    assert hold.expired


def test_a_hold_without_a_lease_can_be_given_one(freezer: Freezer) -> None:
    with freezer.hold() as hold:
        renew(hold, WAIT)
        assert len(hold._freeze.leases) == 1


def test_too_late(freezer: Freezer) -> None:
    hold = freezer.hold(lease=0.001)
    while freezer.armed:
        time.sleep(0.001)
    with pytest.raises(LeaseExpired, match="ran out"):
        renew(hold, 10 * WAIT)
    # The one that has let them go is about to end. A new one would be there for long.
    wait_until(lambda: not any(one.is_alive() for one in hold._freeze.leases))


def test_a_lease_that_has_begun_to_run_out_cannot_be_renewed(
    freezer: Freezer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    1. The time is over, and the watchdog takes its lease off the list.
    2. The hold is renewed: a new watchdog for it would say that it stands.
    3. The watchdog thaws.
    """
    taken, go_on = threading.Event(), threading.Event()

    def wait(*_: object) -> None:
        taken.set()
        wait_for(go_on)

    before(monkeypatch, type(freezer._controller), "thaw_abandoned", wait)
    hold = freezer.hold(lease=0.001)
    wait_for(taken)
    with pytest.raises(LeaseExpired):
        renew(hold, WAIT)
    go_on.set()
    while freezer.armed:
        time.sleep(0.001)


def test_a_renewal_in_time_is_not_undone_by_the_watchdog_before_it(
    freezer: Freezer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    1. The time is over, and the watchdog is about to look.
    2. The hold is renewed.
    3. The watchdog looks.
    """
    over, go_on = threading.Event(), threading.Event()

    def wait(*_: object) -> None:
        over.set()
        wait_for(go_on)

    with monkeypatch.context() as patch:
        before(patch, Lease, "_run_out", wait)
        hold = freezer.hold(lease=0.001)
        (first,) = hold._freeze.leases
        wait_for(over)
    renew(hold, WAIT)
    go_on.set()
    first.join(WAIT)
    assert not hold.expired
    assert standing(freezer)
    hold.thaw()


def test_no_watchdog_is_left_by_a_thaw_that_comes_before_it(
    freezer: Freezer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    1. The hold is about to be renewed: its old lease is off, and the new one is not on the list.
    2. Another thread thaws, and finds no lease to cancel.
    3. The new lease is started.
    """
    hold = freezer.hold(lease=WAIT)
    before(monkeypatch, type(freezer._controller), "start_lease", lambda *_: hold.thaw())
    with pytest.raises(FreezeError, match="was thawed"):
        renew(hold, WAIT)
    for lease in hold._freeze.leases:
        lease.join(WAIT / 2)
        assert not lease.is_alive()


# What a lease must not wait for.


def test_a_lease_does_not_wait_for_a_log_that_a_frozen_thread_writes(freezer: Freezer) -> None:
    """The handler's lock is kept by who stands frozen in the middle of a message."""

    class Slow(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.getMessage() == "mine":
                freezer.safepoint("while it writes")

    handler = Slow()
    logger = logging.getLogger("freezethreads")
    logger.addHandler(handler)
    try:
        with puppet(freezer) as writer:
            request = HoldRequest(freezer, lease=0.05)
            writing = writer.tell(logger.error, "mine")
            hold = request.wait(WAIT)
            assert hold is not None
            writing.result(WAIT)
            assert hold.expired
    finally:
        logger.removeHandler(handler)


def test_no_thread_of_the_library_is_stopped_by_a_finalizer(freezer: Freezer) -> None:
    """One that comes to a safepoint, as a finalizer may in any thread: it is to thaw the others."""

    def visit() -> str:
        freezer.safepoint("in a finalizer")
        with freezer.blocking():
            pass
        return "passed"

    with freezer.hold() as hold:
        assert start_own(visit).finish() == "passed"
        stranger = start(visit, name="freezethreads-of-a-user")
        stranger.join(0.05)
        assert stranger.is_alive()
        hold.thaw()
        assert stranger.finish() == "passed"
