"""HotSpot's safepoint tests: runtime/Safepoint, and the verifiers of its debug builds.

What is late for a safepoint, or verified at one, makes no sense between two bytecodes.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from freezethreads import Freezer, FreezeTimeout, LeaseExpired, SafepointViolation, State, sync
from freezethreads._ground.arguments import Where
from freezethreads._report import ownership
from freezing import actor, at_bell, looping, puppet
from helpers import WAIT, wait_for, wait_until
from peers.looking import check_still, freezer_of, frozen_groups, groups_of, witness
from sync_clock import Clock


def test_abort_vm_on_safepoint_timeout(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """TestAbortVMOnSafepointTimeout: a thread is late for the safepoint. Nothing comes of that
    before the deadline, and all that was promised at the deadline."""
    clock = Clock(monkeypatch)
    freezer = Freezer()
    with looping(freezer, 2, "stops") as loops, puppet(freezer, "late"), actor() as controller:
        waits = at_bell(monkeypatch, controller.worker)
        freezing = controller.tell(freezer.freeze, timeout=5.0)
        wait_for(waits)
        waits = at_bell(monkeypatch, controller.worker)
        clock.advance(4.9)
        wait_for(waits)  # it has looked at the clock, and waits on
        wait_until(lambda: groups_of(freezer, State.RUNNING) == ["late"])
        assert not freezing.done()
        assert freezer.statistics().timeouts == 0
        assert not caplog.records
        clock.advance(0.2)
        assert isinstance(freezing.exception(WAIT), FreezeTimeout)
        assert freezer.statistics().timeouts == 1
        loops.progress()


def test_abort_on_vm_operation_timeout(caplog: pytest.LogCaptureFixture, where: Where) -> None:
    """TestAbortOnVMOperationTimeout: the operation takes longer than it may; everybody runs again,
    with the operation still under way."""
    freezer = freezer_of("timeout", where)
    with looping(freezer, 2) as loops:
        with pytest.raises(LeaseExpired):
            freezer.run_frozen(loops.progress, timeout=WAIT, lease=0.02, reason="too long")
        wait_until(lambda: not freezer.armed)  # the watchdog thaws as well
        with freezer.freeze(timeout=WAIT), witness() as others:
            check_still(loops, others)
    wait_until(lambda: bool(caplog.records))  # the watchdog says so after the thaw
    assert ["too long" in record.getMessage() for record in caplog.records] == [True]


def test_abort_on_vm_operation_timeout_of_one_in_time(
    caplog: pytest.LogCaptureFixture, where: Where
) -> None:
    """The same of an operation that does not: nothing happens to it."""
    freezer = freezer_of("timeout", where)
    with looping(freezer, 2) as loops, witness() as others:
        freezer.run_frozen(check_still, loops, others, timeout=WAIT, lease=WAIT)
    assert freezer.statistics().lease_expiries == 0
    assert not caplog.records


def test_assert_safepoint_check_consistency() -> None:
    """AssertSafepointCheckConsistency: what was declared to need no safepoint check makes none.

    1. a thread is inside `no_freeze()`; a freeze has asked it to stop
    2. it passes safepoints, leaves a blocking region, and runs on
    3. it leaves `no_freeze()`, and stops at its next safepoint
    """
    freezer = Freezer()
    asked, inside, passed, leave = (threading.Event() for _ in range(4))

    def keep_running() -> None:
        with freezer.no_freeze():
            inside.set()
            wait_for(asked)
            freezer.safepoint()
            with freezer.blocking():
                freezer.safepoint()
            passed.set()
            wait_for(leave)
        freezer.safepoint()

    with puppet(freezer, "a", waker=asked.set) as thread, actor() as controller:
        running = thread.tell(keep_running)
        wait_for(inside)
        freezing = controller.tell(freezer.freeze, timeout=WAIT)
        wait_for(passed)
        assert groups_of(freezer, State.RUNNING) == ["a"]
        assert not freezing.done()
        leave.set()
        with freezing.result(WAIT):
            assert frozen_groups(freezer) == ["a"]
            assert not running.done()
        running.result(WAIT)


@pytest.mark.parametrize("make", [sync.Lock, sync.RLock, sync.Condition])
def test_no_safepoint_verifier(monkeypatch: pytest.MonkeyPatch, make: Callable[[], Any]) -> None:
    """NoSafepointVerifier: a safepoint with a lock held that is not for that is an error there and
    then, whether anybody is asked to stop or not. Who is asked does not stop with the lock."""
    monkeypatch.setattr(ownership, "tracking", False)  # debug mode leaves it on
    freezer = Freezer(debug=True)
    lock = make()
    over = threading.Event()

    def pass_safepoint() -> None:
        with pytest.raises(SafepointViolation), lock:
            freezer.safepoint()
        with pytest.raises(SafepointViolation), lock, freezer.blocking():
            pass

    with puppet(freezer, "a") as thread, actor() as controller:
        thread.do(pass_safepoint)
        waits = at_bell(monkeypatch, controller.worker)
        freezing = controller.tell(freezer.freeze, timeout=WAIT)
        wait_for(waits)
        thread.do(pass_safepoint)
        assert not freezing.done()
        passing = thread.pass_safepoints(over)
        with freezing.result(WAIT):
            assert frozen_groups(freezer) == ["a"]
        over.set()
        passing.result(WAIT)
