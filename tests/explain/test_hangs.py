"""What a diagnosis warns of in a program that can be stopped, and hangs for want of a lock."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from freezethreads import Freezer, sync
from freezethreads._explain import _hangs, diagnose, render_diagnosis
from freezethreads._report import ownership
from freezethreads._report.ownership import awaited_by
from freezethreads._report.reports import Finding
from helpers import WAIT, Worker, start, wait_for, wait_until


@pytest.fixture
def freezer() -> Freezer:
    return Freezer()


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any wait is a long one."""
    monkeypatch.setattr(_hangs, "_LONG", 0.0)


class Keeper:
    """A thread that has a lock while it passes safepoints, and one that waits for the lock."""

    def __init__(self, freezer: Freezer) -> None:
        self.lock = sync.Lock()
        self.over = threading.Event()
        self._freezer = freezer
        self._owned = threading.Event()
        keeper = start(self._keep, name="keeper")
        wait_for(self._owned)
        self.threads: list[Worker[None]] = [keeper, start(self._want, name="waiter")]
        wait_until(lambda: awaited_by(self.threads[1].ident or 0) is not None)

    def finish(self) -> None:
        """Release the lock, and end both."""
        self.over.set()
        for thread in self.threads:
            thread.finish()

    def _keep(self) -> None:
        with self._freezer.register("keeper"), self.lock:
            self._owned.set()
            while not self.over.wait(0.001):
                self._freezer.safepoint("with the lock")

    def _want(self) -> None:
        with self._freezer.register("waiter"):
            self.lock.acquire()  # here
            self.lock.release()


@pytest.fixture
def keeper(freezer: Freezer) -> Iterator[Keeper]:
    keeper = Keeper(freezer)
    yield keeper
    keeper.finish()


def warning_of(freezer: Freezer) -> Finding:
    """The one warning about a program that can be stopped."""
    diagnosis = diagnose(freezer, WAIT)
    assert diagnosis.healthy
    (warning,) = diagnosis.warnings
    text = render_diagnosis(diagnosis)
    assert ": healthy, with 1 warning. " in text
    assert f"warning: {warning.thread}: lock at {__file__}:{warning.lineno}\n" in text
    return warning


def test_who_waits_for_a_lock_that_is_kept(
    freezer: Freezer, keeper: Keeper, at_once: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ownership, "tracking", False)
    warning = warning_of(freezer)
    assert (warning.cause, warning.thread) == ("lock", "waiter")
    assert warning.line == "self.lock.acquire()  # here"
    assert "stops when it is asked to, but has waited " in warning.why
    assert f" for {keeper.lock!r}, " in warning.why
    assert ", held by keeper at its safepoint 'with the lock' at " in warning.why
    assert "have its owner release it; FREEZETHREADS_DEBUG=1 " in warning.advice


def test_where_the_lock_was_acquired_if_that_was_noted(
    freezer: Freezer, at_once: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ownership, "tracking", True)
    keeper = Keeper(freezer)
    warning = warning_of(freezer)
    why = warning.why
    keeper.finish()
    assert "FREEZETHREADS_DEBUG" not in warning.advice
    assert f", acquired at {__file__}:" in why
    assert " in Keeper._keep, held by keeper at " in why


def test_who_has_only_come_is_not_worth_a_warning(freezer: Freezer, keeper: Keeper) -> None:
    assert diagnose(freezer, WAIT).warnings == ()


def test_whoever_is_stopped_besides_may_have_it(
    freezer: Freezer, keeper: Keeper, at_once: None
) -> None:
    with freezer.hold(timeout=WAIT):
        assert diagnose(freezer, WAIT).warnings == ()


@pytest.mark.parametrize("kind", ["freeze", "hold"])
def test_a_controller_that_waits_for_what_it_has_stopped(
    freezer: Freezer, keeper: Keeper, kind: str
) -> None:
    """A deadlock, however short it has been."""

    def control() -> None:
        with getattr(freezer, kind)(timeout=WAIT):
            keeper.lock.acquire(timeout=WAIT)  # there
        keeper.lock.release()

    controller = start(control, name="controller")
    wait_until(lambda: awaited_by(controller.ident or 0) is not None)
    warnings = {one.thread: one for one in diagnose(freezer, WAIT).warnings}
    for freeze in list(freezer._registry.active):
        freezer._controller.thaw(freeze)
    keeper.over.set()
    controller.finish()
    assert set(warnings) == {"controller", "keeper", "waiter"}
    assert {one.cause for one in warnings.values()} == {"deadlock"}
    assert warnings["controller"].line == "keeper.lock.acquire(timeout=WAIT)  # there"
    assert " for <locked " in warnings["controller"].why
    assert f" for the thaw of <{kind} by controller> (" in warnings["keeper"].why
    assert ": it is behind what is probably a deadlock of 2 threads." in warnings["waiter"].why
    assert "before the freeze" in warnings["controller"].advice


def test_an_owner_that_has_ended(freezer: Freezer, at_once: None) -> None:
    lock = sync.Lock()
    owned, over = threading.Event(), threading.Event()

    def own() -> None:
        lock.acquire()
        owned.set()
        wait_for(over)

    def want() -> None:
        with freezer.register("waiter"):
            lock.acquire()
            lock.release()

    owner = start(own)
    wait_for(owned)
    waiter = start(want, name="waiter")
    wait_until(lambda: awaited_by(waiter.ident or 0) is not None)
    over.set()
    owner.finish()
    (finding,) = diagnose(freezer, WAIT).findings
    assert (finding.thread, finding.cause) == ("waiter", "deadlock")
    assert ", held by a thread that has ended (any other thread may " in finding.why
    assert finding.why.endswith(": probably a wait for what a thread had that has ended.")
    assert "however it ends" in finding.advice
    lock.release()
    waiter.finish()


class Late:
    """A registered thread that comes to no safepoint."""

    def __init__(self, freezer: Freezer) -> None:
        self._over, registered = threading.Event(), threading.Event()

        def run() -> None:
            with freezer.register("late"):
                registered.set()
                wait_for(self._over)

        self._thread = start(run)
        wait_for(registered)

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.finish()


def test_who_hangs_is_told_also_where_another_is_late(
    freezer: Freezer, keeper: Keeper, at_once: None
) -> None:
    with Late(freezer):
        diagnosis = diagnose(freezer, 0.05)
    assert [finding.thread for finding in diagnosis.findings] == ["late"]
    assert [(one.thread, one.cause) for one in diagnosis.warnings] == [("waiter", "lock")]


def test_what_one_waits_for_the_diagnosis_itself_is_not_told(
    freezer: Freezer, keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The owner has stood with its lock for as long as that took."""
    monkeypatch.setattr(_hangs, "_LONG", 0.3)
    with Late(freezer):
        diagnosis = diagnose(freezer, 0.5)
    assert [finding.thread for finding in diagnosis.findings] == ["late"]
    assert diagnosis.warnings == ()
