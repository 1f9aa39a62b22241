"""Whom an installation enrols, as what, and what becomes of them when it ends."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import freezethreads
from freezethreads import (
    AlreadyRegistered,
    Freezer,
    Installation,
    NotRegistered,
    State,
    ThreadExited,
    ThreadInfo,
)
from freezethreads._pool import ThreadPoolExecutor
from freezethreads._refrigerator.waits import waits_count
from freezethreads._registry.record import here
from freezethreads._threads import Thread
from helpers import WAIT, start, wait_until
from install_waits import is_back, record_of, until, wait_in_wait


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


# Who is enrolled.


class Overriding(threading.Thread):
    """A thread that overrides what it may, and calls nothing of it at the top."""

    def __init__(self, call: Callable[[], object]) -> None:
        super().__init__(name="overriding")
        self.call = call
        self.ran = False

    def start(self) -> None:
        super().start()

    def run(self) -> None:
        self.ran = True
        self.call()


def test_a_thread_is_enrolled_while_it_runs(freezer: Freezer, installation: Installation) -> None:
    infos: list[ThreadInfo | None] = []

    def work() -> None:
        infos.append(own_info(freezer))
        assert "run" not in vars(threading.current_thread())

    threads = [
        threading.Thread(target=work, name="plain"),
        threading.Thread(target=work, name="daemon", daemon=True),
        Overriding(work),
        threading.Timer(0, work),
    ]
    threads[-1].name = "timer"
    for thread in threads:
        thread.start()
        thread.join(WAIT)
        assert freezer.threads() == ()
    assert [info and (info.name, info.group) for info in infos] == [
        (thread.name, "all") for thread in threads
    ]


def test_what_a_thread_raises_goes_to_the_excepthook(
    freezer: Freezer, installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []
    monkeypatch.setattr(
        threading, "excepthook", lambda args: seen.append((*args, own_info(freezer)))
    )
    thread = threading.Thread(target=lambda: 1 / 0)
    thread.start()
    thread.join(WAIT)
    ((kind, error, traceback, who, info),) = seen
    assert (kind, str(error), who, info) == (ZeroDivisionError, "division by zero", thread, None)
    assert traceback is error.__traceback__


def test_a_thread_that_cannot_be_started_is_as_it_was(
    freezer: Freezer, installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise RuntimeError("can't start new thread")

    for name in ("_start_new_thread", "_start_joinable_thread"):
        monkeypatch.setattr(threading, name, refuse, raising=False)
    thread = threading.Thread()
    with pytest.raises(RuntimeError, match="can't start new thread"):
        thread.start()
    assert "run" not in vars(thread)
    monkeypatch.undo()
    thread.start()
    thread.join(WAIT)


def test_the_errors_of_start_are_those_of_the_original(installation: Installation) -> None:
    thread = threading.Thread()
    thread.start()
    thread.join(WAIT)
    with pytest.raises(RuntimeError, match="threads can only be started once"):
        thread.start()
    with pytest.raises(RuntimeError, match=r"thread.__init__\(\) not called"):
        threading.Thread.__new__(threading.Thread).start()


def test_the_librarys_own_threads_are_not_enrolled(
    freezer: Freezer, installation: Installation
) -> None:
    with freezer.freeze(timeout=WAIT, lease=WAIT):
        (lease,) = (t for t in threading.enumerate() if t.name.startswith("freezethreads-"))
        assert lease.ident not in freezer._registry.records
        assert lease not in installation.missed
    lease.join(WAIT)


def test_a_users_thread_is_enrolled_by_whatever_name(
    freezer: Freezer, installation: Installation
) -> None:
    over = threading.Event()
    worker = start(over.wait, WAIT, name="freezethreads-lease")
    wait_until(lambda: bool(freezer.threads()))  # it enrols itself, after it has started
    with freezer.freeze(timeout=WAIT) as world:
        assert [info.name for info in world.threads] == ["freezethreads-lease"]
    over.set()
    worker.finish()


# A thread that knows of the freezer.


def test_a_threads_own_registration_goes_before(
    freezer: Freezer, installation: Installation
) -> None:
    woken = threading.Event()
    seen: list[tuple[str, str]] = []

    def note() -> None:
        info = own_info(freezer)
        assert info is not None
        seen.append((info.name, info.group))

    def work() -> None:
        with pytest.raises(NotRegistered):
            freezer.unregister()
        todo = freezer.todo(threading.current_thread(), int)
        with freezer.register("mine", group="own", waker=woken.set):
            note()
            assert isinstance(todo.exception(WAIT), ThreadExited)  # as by any unregister()
            assert len(here.parking.members) == 1
            with pytest.raises(AlreadyRegistered):
                freezer.register()
            freezer.todo(threading.current_thread(), int)
        note()
        freezer.register("again")
        note()
        freezer.unregister()
        with pytest.raises(NotRegistered):
            freezer.unregister()
        freezer.register("left so")

    start(work, name="worker").finish()
    assert seen == [("mine", "own"), ("worker", "all"), ("again", "")]
    assert woken.is_set()
    until(lambda: not freezer.threads())


def test_it_is_enrolled_with_another_freezer_besides(
    freezer: Freezer, installation: Installation
) -> None:
    other = Freezer("other")
    over = threading.Event()

    def work() -> None:
        with other.register():
            over.wait(WAIT)

    worker = start(work)
    until(lambda: bool(other.threads()))
    wait_in_wait(freezer, worker)
    with freezer.freeze(timeout=WAIT), other.freeze(timeout=WAIT):
        over.set()
        until(lambda: is_back(record_of(freezer, worker)))
        assert worker.is_alive()
    worker.finish()


def test_a_registration_waits_for_the_thaw_of_its_group(
    freezer: Freezer, installation: Installation
) -> None:
    def work() -> None:
        with freezer.register(group="held"):
            pass

    with freezer.hold(group="held", timeout=WAIT) as hold:
        worker = start(work)
        until(lambda: any(info.group == "held" for info in freezer.threads()))
        record = record_of(freezer, worker)
        until(lambda: record.state is State.FROZEN)
        assert worker.is_alive()
        hold.thaw()
        worker.finish()


def test_our_own_classes_say_themselves_how_they_are_enrolled(
    freezer: Freezer, installation: Installation
) -> None:
    infos: list[ThreadInfo | None] = []
    thread = Thread("own", lambda: infos.append(own_info(freezer)), freezer=freezer)
    thread.start()
    thread.join(WAIT)
    with ThreadPoolExecutor(1, freezer=freezer, group="pool") as pool:
        infos.append(pool.submit(own_info, freezer).result(WAIT))
    assert [info and info.group for info in infos] == ["own", "pool"]
    assert freezer.threads() == ()


# Whom it does not enrol.


def test_threads_that_ran_before_are_listed(freezer: Freezer) -> None:
    orders: queue.SimpleQueue[Callable[[], object] | None] = queue.SimpleQueue()
    done: queue.SimpleQueue[object] = queue.SimpleQueue()

    def obey() -> None:
        for order in iter(orders.get, None):
            done.put(order())

    thread = start(obey)
    with freezethreads.install(freezer) as installation:
        assert set(installation.missed) == {threading.main_thread(), thread}
        orders.put(freezer.register)
        done.get(timeout=WAIT)
        assert installation.missed == (threading.main_thread(),)
        orders.put(freezer.unregister)
        done.get(timeout=WAIT)
        assert set(installation.missed) == {threading.main_thread(), thread}
        later = start(lambda: installation.missed)
        assert set(later.finish()) == {threading.main_thread(), thread}
        orders.put(None)
        thread.finish()
        assert installation.missed == (threading.main_thread(),)


def test_the_calling_thread_can_be_enrolled(freezer: Freezer) -> None:
    with freezethreads.install(freezer, group="io") as installation:
        assert freezer.threads() == ()
        for _ in range(2):
            installation.enrol()
            (info,) = freezer.threads()
            assert (info.name, info.group) == ("MainThread", "io")
        assert installation.missed == ()
    assert freezer.threads() == ()
    installation.enrol()
    assert freezer.threads() == ()
    with freezethreads.install(freezer) as another:
        another.enrol()
        assert len(freezer.threads()) == 1
        with freezer.register("by itself"):
            assert [info.name for info in freezer.threads()] == ["by itself"]


def test_a_thread_keeps_nothing_of_an_installation_that_has_ended() -> None:
    def come_and_go() -> tuple[bool, int]:
        for name in "one", "two":
            with freezethreads.install(Freezer(name)) as installation:
                installation.enrol()
                assert waits_count()
        return waits_count(), len(here.parking.members)

    assert start(come_and_go).finish() == (False, 1)  # which the next enrolment takes the place of
