"""The end of an installation: its threads, what others have done since, what is left of it."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any

import pytest

import freezethreads
from freezethreads import (
    Freezer,
    FreezeTimeout,
    Installation,
    ThreadExited,
    ThreadInfo,
)
from freezethreads._install import _members, _wrappers
from freezethreads._install._members import Members
from freezethreads._install._patches import Row
from freezing import Pause, before
from helpers import WAIT, start, start_own, wait_for
from install_rows import CALLED
from install_waits import is_back, record_of, until, waiting


@pytest.fixture
def freezer() -> Freezer:
    return Freezer("under test")


@pytest.fixture
def installation(freezer: Freezer) -> Iterator[Installation]:
    with freezethreads.install(freezer, group="all") as installation:
        yield installation


def own_info(freezer: Freezer) -> ThreadInfo | None:
    """How the calling thread is enrolled."""
    ident = threading.get_ident()
    return next((info for info in freezer.threads() if info.ident == ident), None)


# Its threads.


def test_a_thread_that_never_stops_is_struck_off(
    freezer: Freezer, installation: Installation
) -> None:
    over: list[bool] = []

    def work() -> None:
        while not over:
            pass
        with freezer.register("by itself"):
            assert own_info(freezer) is not None
        assert own_info(freezer) is None

    worker = start(work)
    record_of(freezer, worker)
    todo: Future[int] = freezer.todo(worker, int)
    freezing = start_own(lambda: freezer.freeze(timeout=WAIT).thaw())
    until(lambda: bool(freezer._registry.active))
    installation.uninstall()
    freezing.finish()
    assert isinstance(todo.exception(WAIT), ThreadExited)
    assert freezer.threads() == ()
    with freezer.freeze(timeout=WAIT) as world:
        assert worker in world.unregistered
        assert world.threads == ()
    over.append(True)
    worker.finish()


def test_a_thread_that_stands_frozen_stands_until_the_thaw(
    freezer: Freezer, installation: Installation
) -> None:
    order = threading.Semaphore(0)
    passed: list[str] = []

    def wait() -> None:
        order.acquire()
        passed.append("wait")

    def stop() -> None:
        while not passed:
            freezer.safepoint()

    with waiting(freezer, wait) as waiter:
        stopper = start(stop)
        records = [record_of(freezer, waiter), record_of(freezer, stopper)]
        with freezer.hold(timeout=WAIT) as hold:
            until(lambda: is_back(records[1]))
            installation.uninstall()
            assert freezer.threads() == ()
            order.release()
            until(lambda: is_back(records[0]))
            assert passed == []
            hold.thaw()
            waiter.finish()
            stopper.finish()
    assert passed == ["wait"]


def test_a_threads_own_registration_outlives_the_installation(
    freezer: Freezer, installation: Installation
) -> None:
    up, over = threading.Event(), threading.Event()

    def work() -> None:
        with freezer.register("mine"):
            up.set()
            wait_for(over)
        assert own_info(freezer) is None

    worker = start(work)
    wait_for(up)
    installation.uninstall()
    assert [info.name for info in freezer.threads()] == ["mine"]
    over.set()
    worker.finish()


@pytest.mark.parametrize("step", ["enrol_implicitly", "leave_implicitly"])
def test_a_thread_that_begins_or_ends_meanwhile_is_not_forgotten(
    freezer: Freezer, installation: Installation, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    pause = Pause()
    before(monkeypatch, _members, step, pause)
    worker = start(own_info, freezer)
    pause.wait()
    installation.uninstall()
    pause.go()
    info = worker.finish()
    assert (info is None) == (step == "enrol_implicitly")
    assert freezer.threads() == ()


# What somebody else has replaced since, and what was copied.


def is_straight(freezer: Freezer, wait: Callable[[threading.Event], object]) -> bool:
    """Whether a registered thread in this wait for an event does not count as stopped."""
    begun, over = threading.Event(), threading.Event()

    def work() -> None:
        with freezer.register():
            begun.set()
            wait(over)

    thread = start(work)
    wait_for(begun)
    try:
        freezer.freeze(timeout=0.5).thaw()
    except FreezeTimeout:
        return True
    finally:
        over.set()
        thread.finish()
    return False


@pytest.fixture
def restored() -> Iterator[None]:
    """What a test has replaced itself is put back in the end, whatever became of it."""
    wait, lock = threading.Condition.wait, threading.Lock
    yield
    threading.Condition.wait = wait  # type: ignore[method-assign]
    threading.Lock = lock


def test_what_somebody_else_has_put_there_stays(
    freezer: Freezer, restored: None, caplog: pytest.LogCaptureFixture
) -> None:
    calls: list[object] = []
    installation = freezethreads.install(freezer)
    ours = threading.Condition.wait

    def theirs(self: threading.Condition, timeout: float | None = None) -> bool:
        calls.append(timeout)
        return ours(self, timeout)

    threading.Condition.wait = theirs  # type: ignore[method-assign]
    with caplog.at_level(logging.WARNING, "freezethreads"):
        installation.uninstall()
    assert caplog.messages == [
        "threading.Condition.wait was replaced by somebody else since install(), and is left so"
    ]
    assert vars(threading.Condition)["wait"] is theirs
    assert not threading.Event().wait(0.001)
    assert calls == [0.001]
    assert is_straight(freezer, threading.Event.wait)
    with freezethreads.install(freezer):
        assert not is_straight(freezer, threading.Event.wait)
    assert vars(threading.Condition)["wait"] is theirs
    threading.Condition.wait = ours  # type: ignore[method-assign]
    assert is_straight(freezer, threading.Event.wait)


def test_a_class_that_somebody_else_has_replaced(freezer: Freezer, restored: None) -> None:
    raw: Any = threading.Lock
    with freezethreads.install(freezer):
        ours: Any = threading.Lock
        threading.Lock = lambda: ours()  # type: ignore[assignment]
        made = type(threading.Lock())
        assert made is type(ours()) is not type(raw())
    assert type(threading.Lock()) is type(raw())
    assert isinstance(ours(), made)


def test_a_name_that_was_copied_meanwhile_is_straight_afterwards(freezer: Freezer) -> None:
    with freezethreads.install(freezer):
        from queue import SimpleQueue
        from time import sleep
    assert type(SimpleQueue()) is type(queue.SimpleQueue())
    assert sleep is not time.sleep

    def sleep_until(over: threading.Event) -> None:
        while not over.is_set():
            sleep(0.05)

    assert is_straight(freezer, sleep_until)


@pytest.mark.parametrize("row", CALLED, ids=[row.label for row in CALLED])
def test_what_is_left_of_any_name_is_a_straight_call(
    freezer: Freezer, monkeypatch: pytest.MonkeyPatch, row: Row
) -> None:
    for name in ("Waiting", "Plain", "stop_if_asked"):
        monkeypatch.delattr(_wrappers, name)
    monkeypatch.setattr(_wrappers, "armed", SimpleNamespace(registries={"somebody": None}))

    def original(*args: object, **kwargs: object) -> object:
        return args, kwargs

    first = SimpleNamespace(gettimeout=lambda: None)
    made = row.make(original, Members(freezer, ""), row.label)
    if row.label in ("Thread.start", "ThreadPoolExecutor.shutdown"):
        assert made(first) is None
    else:
        assert made(first, 1, x=2) == ((first, 1), {"x": 2})
