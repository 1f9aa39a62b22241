"""The bug reports of such systems: CPython, runc, Kubernetes, and liburcu's test of fork().

Stopped between two bytecodes, a thread executes one of them from one freeze to the next, and does
not come to its next wait; and nobody holds back half-way who waits in C.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

import pytest

from fork_helpers import Fork, check_alone, forked, waiting
from freezethreads import Freezer, LeaseExpired, State, sync
from freezethreads._ground.arguments import Where
from freezing import actor, at_bell, looping, puppet, puppets
from helpers import WAIT, start, wait_for, wait_until
from in_steps import Request
from machine import ANYWHERE, needs_monitoring
from peers import cancels, exits, floods
from peers.looking import check_still, freezer_of, frozen_groups, groups_of, witness
from sync_clock import begin


@pytest.fixture
def freezer() -> Freezer:
    return Freezer("reports")


@pytest.mark.parametrize("make", [sync.Lock, sync.RLock])
def test_cpython_144513(
    monkeypatch: pytest.MonkeyPatch, make: Callable[[], Any], where: Where
) -> None:
    """A lock was handed to a thread that the collector had parked, and nobody could go on. Here
    it goes to who is not frozen, though that came later, and then it is free."""
    freezer = freezer_of("reports", where)
    lock = make()

    def use() -> None:
        with lock:
            pass

    with puppets(freezer, "owner", "first", "second") as (owner, first, second):
        owner.do(lock.acquire)
        waits = begin(monkeypatch, first, use)
        with freezer.hold(group="first", timeout=WAIT):
            waits_too = begin(monkeypatch, second, use)
            owner.do(lock.release)
            waits_too.result(WAIT)
            owner.do(use)
            assert not lock.locked()
            assert frozen_groups(freezer) == ["first"]
            assert not waits.done()
        waits.result(WAIT)


def test_cpython_151518(freezer: Freezer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Collections back to back starved a thread on its way back from a blocking call. Here it gets
    to its next wait between any two freezes of which the first has found it on its way."""
    tickets, over = threading.Semaphore(0), threading.Event()
    rounds: list[int] = []

    def loop() -> None:
        while not over.is_set():
            with freezer.blocking():
                assert tickets.acquire(timeout=WAIT)
            rounds.append(1)

    with puppet(freezer) as thread:
        looping = thread.tell(loop)
        for number in range(20):
            with freezer.freeze(timeout=WAIT):
                parks = at_bell(monkeypatch, thread.worker)
                tickets.release()
                wait_for(parks)  # its wait is over, its way back barred
            with freezer.freeze(timeout=WAIT):
                assert len(rounds) == number + 1
            monkeypatch.undo()
        over.set()
        tickets.release()
        looping.result(WAIT)


@pytest.mark.parametrize(
    ("where", "threads"), [("safepoint", 200), pytest.param("anywhere", 20, marks=needs_monitoring)]
)
def test_cpython_157666(where: Where, threads: int) -> None:
    """Threads that register during a collection. Here they are in the freeze, however many."""
    floods.register_during_freeze(threads, where)


@pytest.mark.parametrize("where", ["safepoint", ANYWHERE])
@pytest.mark.parametrize("kind", ["freeze", "hold"])
def test_cpython_137433(kind: str, where: Where) -> None:
    """The interpreter did not end when a daemon thread was parked at its end."""
    exits.exit_while_frozen(kind, 2, where)


def fail_by_time_out(freezer: Freezer, half_way: Callable[[], None]) -> None:
    """The last thread is too late."""
    cancels.by_time_out(freezer, half_way)


def fail_by_signal(freezer: Freezer, half_way: Callable[[], None]) -> None:
    """The controller is interrupted."""
    cancels.by_signal(freezer, half_way)


def fail_by_callback(freezer: Freezer, half_way: Callable[[], None]) -> None:
    """What was to be done while they stood raises."""
    with pytest.raises(ZeroDivisionError):
        freezer.run_frozen(divmod, 1, 0, timeout=WAIT, group="stops")


def fail_by_lease(freezer: Freezer, half_way: Callable[[], None]) -> None:
    """The lease runs out."""
    with pytest.raises(LeaseExpired), freezer.freeze(timeout=WAIT, group="stops", lease=0.02):
        wait_until(lambda: frozen_groups(freezer) == [])


def fail_by_end_of_thread(freezer: Freezer, half_way: Callable[[], None]) -> None:
    """The controller's thread ends."""
    world = start(lambda: freezer.freeze(timeout=WAIT, group="stops")).finish()
    wait_until(lambda: not freezer.armed)
    world.thaw()


def fail_by_end_of_waiting_thread(freezer: Freezer, half_way: Callable[[], None]) -> None:
    """The controller's thread ends half-way."""

    def ask() -> Request:
        request = Request(freezer)
        assert request.poll() is None
        half_way()
        return request

    start(ask).finish()


def fail_by_watchdog(freezer: Freezer, half_way: Callable[[], None]) -> None:
    """The system is out of threads when all stand, and a watchdog is needed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("freezethreads._controller.controller.Lease.start", refuse)
        with pytest.raises(RuntimeError, match="no thread"):
            freezer.freeze(timeout=WAIT, group="stops", lease=WAIT)


def refuse(*_: object) -> None:
    raise RuntimeError("no thread can be started")


FAILURES = [
    fail_by_time_out,
    fail_by_signal,
    fail_by_callback,
    fail_by_lease,
    fail_by_end_of_thread,
    fail_by_end_of_waiting_thread,
    fail_by_watchdog,
]


AT_ONCE = [fail_by_callback, fail_by_lease, fail_by_end_of_thread, fail_by_watchdog]


@pytest.mark.parametrize(
    ("where", "fail"),
    [
        *[("safepoint", fail) for fail in FAILURES],
        *[pytest.param("anywhere", fail, marks=needs_monitoring) for fail in AT_ONCE],
    ],
)
def test_runc_2791(where: Where, fail: Callable[[Freezer, Callable[[], None]], None]) -> None:
    """A freeze that failed left its group half-way, FREEZING, until somebody thawed it and tried
    again. Here everybody runs after any failure, and the next freeze and the next hold work."""
    freezer = freezer_of("reports", where)
    over = threading.Event()

    def half_way() -> None:
        wait_until(lambda: frozen_groups(freezer) == ["stops", "stops"])
        assert groups_of(freezer, State.RUNNING) == ["late"]

    with looping(freezer, 2, "stops") as loops, puppet(freezer, "late") as late:
        fail(freezer, half_way)
        wait_until(lambda: not freezer.armed)
        assert frozen_groups(freezer) == []
        loops.progress()
        passing = late.pass_safepoints(over)
        for stop in (freezer.freeze, freezer.hold):
            with stop(timeout=WAIT), witness() as others:
                assert frozen_groups(freezer) == ["late", "stops", "stops"]
                check_still(loops, others)
        over.set()
        passing.result(WAIT)


def thaw_by_lease(freezer: Freezer, kind: str) -> str:
    """The watchdog thaws."""
    with actor() as holder:
        frozen = holder.do(getattr(freezer, kind), timeout=WAIT, reason="backup", lease=0.02)
        wait_until(lambda: frozen.expired and not freezer.armed)
        holder.do(frozen.thaw)
        return holder.worker.name


def thaw_by_dropping(freezer: Freezer, kind: str) -> str:
    """Nobody refers to it any more."""
    with actor() as holder:
        holder.do(lambda: getattr(freezer, kind)(timeout=WAIT, reason="backup") and None)
        wait_until(lambda: not freezer.armed)
        return holder.worker.name


def thaw_by_end_of_thread(freezer: Freezer, kind: str) -> str:
    """The holder ends; of holds only one that is under way ends with it."""
    holder = start(lambda: getattr(freezer, kind)(timeout=WAIT, reason="backup"), name="holder")
    frozen = holder.finish()
    wait_until(lambda: not freezer.armed)
    frozen.thaw()
    return holder.name


def thaw_as_agreed(freezer: Freezer, kind: str) -> str:
    """The controller thaws. This is not worth a word."""
    getattr(freezer, kind)(timeout=WAIT, reason="backup").thaw()
    return ""


THAWS = [
    ("freeze", thaw_by_lease),
    ("hold", thaw_by_lease),
    ("freeze", thaw_by_dropping),
    ("hold", thaw_by_dropping),
    ("freeze", thaw_by_end_of_thread),
    ("freeze", thaw_as_agreed),
    ("hold", thaw_as_agreed),
]


@pytest.mark.parametrize(("kind", "thaw"), THAWS)
def test_kubernetes_104280(
    caplog: pytest.LogCaptureFixture,
    where: Where,
    kind: str,
    thaw: Callable[[Freezer, str], str],
) -> None:
    """A container was found frozen, or thawed, and no log said by whom. Here each thaw that is not
    its controller's own is a warning with the holder's name and reason: one, and no more."""
    freezer = freezer_of("reports", where)
    with looping(freezer, 1) as loops:
        holder = thaw(freezer, kind)
        loops.progress()
    if thaw is not thaw_as_agreed:
        wait_until(lambda: bool(caplog.records))  # whoever thaws says so after that
    records = [(record.levelno, record.getMessage()) for record in caplog.records]
    if thaw is thaw_as_agreed:
        assert records == []
    else:
        ((level, message),) = records
        assert level == logging.WARNING
        assert f"<{kind} by {holder} for 'backup'> was thawed by the freezer: " in message


@pytest.mark.parametrize("registered", [True, False], ids=["registered", "unregistered"])
def test_urcu_fork(registered: bool, where: Where) -> None:
    """liburcu's test_urcu_fork: a process forks while threads are parked. The child has none of
    them, nothing of theirs is asked there, and the freezer works in both."""
    freezer = freezer_of("reports", where)
    with looping(freezer, 2, "a") as loops, waiting(freezer, todos=1):
        if registered:
            freezer.register("forker")
        hold = freezer.hold(group="a", timeout=WAIT)

        def body(fork: Fork) -> None:
            with freezer.freeze(timeout=WAIT):
                fork()

        forked(body, lambda: check_alone(freezer, registered))
        assert frozen_groups(freezer) == ["a", "a"]
        hold.thaw()
        loops.progress()
        if registered:
            freezer.unregister()
