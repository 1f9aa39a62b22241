"""Signal handlers and `__del__` in the middle of a wait in `freezethreads.sync`."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import pytest

from freezethreads import Freezer, State, sync
from freezethreads._ground.completion import Bell
from freezethreads._refrigerator.waits import Waiting
from freezing import Actor, actor, after, at_bell, before
from helpers import WAIT, wait_for


@pytest.fixture
def freezer() -> Freezer:
    return Freezer("signals")


@pytest.fixture
def other() -> Iterator[Actor]:
    """A thread that is not enrolled."""
    with actor() as thread:
        yield thread


class Handler:
    """Within `with`, SIGUSR1 makes the call, once. `result` is what it returned."""

    def __init__(self, call: Callable[[], object]) -> None:
        self.result: object = None
        self._call = call
        self._begun = threading.Event()

    def __enter__(self) -> Handler:
        self._previous = signal.signal(signal.SIGUSR1, self._handle)
        return self

    def __exit__(self, *exc_info: object) -> None:
        signal.signal(signal.SIGUSR1, self._previous)
        assert self._begun.is_set(), "no signal came"

    def _handle(self, *_: object) -> None:
        if not self._begun.is_set():
            self._begun.set()
            self.result = self._call()

    def send(self) -> None:
        """Interrupt the main thread wherever it is. From another thread.

        A signal that comes when it is just about to sleep in C goes unheard, hence more than one.
        """
        while not self._begun.wait(0.001):
            os.kill(os.getpid(), signal.SIGUSR1)


def asleep_in_main(patch: pytest.MonkeyPatch, then: Callable[[], object]) -> None:
    """When the main thread next sleeps in a wait, or is just about to, have `then` called."""
    pending = [then]

    def note(*_: object) -> None:
        if threading.current_thread() is threading.main_thread() and pending:
            pending.pop()()

    before(patch, Bell, "wait", note)


@contextmanager
def registered(freezer: Freezer, enrolled: bool) -> Iterator[None]:
    """The calling thread is enrolled, or not."""
    with freezer.register() if enrolled else nullcontext():
        yield


both_ways = pytest.mark.parametrize("enrolled", [True, False], ids=["enrolled", "plain"])


@pytest.mark.parametrize("make", [sync.SimpleQueue, sync.Queue])
def test_a_handler_that_asks_for_a_todo_in_the_middle_of_a_wait(
    freezer: Freezer, other: Actor, monkeypatch: pytest.MonkeyPatch, make: Callable[[], Any]
) -> None:
    """The thread makes it at once, in its wait, and goes on waiting."""
    items = make()

    def ask() -> None:
        todo = freezer.todo(threading.main_thread(), threading.get_ident)
        todo.add_done_callback(lambda done: other.tell(items.put, done.result()))

    with freezer.register(), Handler(ask) as handler:
        asleep_in_main(monkeypatch, lambda: other.tell(handler.send))
        assert items.get(timeout=WAIT) == threading.get_ident()


@both_ways
@pytest.mark.parametrize("make", [sync.SimpleQueue, sync.Queue])
def test_a_handler_that_has_an_item_put_in_the_middle_of_a_wait(
    freezer: Freezer,
    other: Actor,
    monkeypatch: pytest.MonkeyPatch,
    make: Callable[[], Any],
    enrolled: bool,
) -> None:
    items = make()
    with registered(freezer, enrolled), Handler(lambda: other.tell(items.put, 1)) as handler:
        asleep_in_main(monkeypatch, lambda: other.tell(handler.send))
        assert items.get(timeout=WAIT) == 1


def test_a_handler_that_passes_a_safepoint_in_the_middle_of_a_wait(
    freezer: Freezer, other: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stops there for the freeze that stands, and the wait goes on after the thaw."""
    lock = sync.Lock()
    lock.acquire()
    main = threading.main_thread()

    def stop() -> list[State]:
        world = other.do(freezer.freeze, timeout=WAIT)
        states: list[State] = []

        def look_and_thaw() -> None:
            states.append(world.threads[0].state)
            world.call(main, states.append, State.RUNNING)
            world.thaw()

        looking = other.tell(look_and_thaw)
        freezer.safepoint("in the handler")
        looking.result(WAIT)
        other.tell(lock.release)
        return states

    with freezer.register(), Handler(stop) as handler:
        asleep_in_main(monkeypatch, lambda: other.tell(handler.send))
        assert lock.acquire(timeout=WAIT)
    assert handler.result == [State.FROZEN, State.RUNNING]


@both_ways
@pytest.mark.parametrize("make", [sync.Lock, sync.RLock])
def test_a_handler_can_have_the_lock_that_its_thread_waits_for(
    freezer: Freezer,
    other: Actor,
    monkeypatch: pytest.MonkeyPatch,
    make: Callable[[], sync.Lock],
    enrolled: bool,
) -> None:
    """1. The main thread waits for a lock. 2. A handler waits for the same one. 3. It is released.

    The handler has it first: the wait that it has interrupted cannot go on before.
    """
    lock = make()
    other.do(lock.acquire)
    order: list[str] = []

    def use(who: str) -> None:
        assert lock.acquire(timeout=WAIT)
        order.append(who)
        lock.release()

    def handle() -> None:
        asleep_in_main(monkeypatch, lambda: other.tell(lock.release))
        use("the handler")

    with registered(freezer, enrolled), Handler(handle) as handler:
        asleep_in_main(monkeypatch, lambda: other.tell(handler.send))
        use("the wait")
    assert order == ["the handler", "the wait"]


@both_ways
def test_a_handler_can_take_an_item_that_its_thread_waits_for(
    freezer: Freezer, other: Actor, monkeypatch: pytest.MonkeyPatch, enrolled: bool
) -> None:
    items: sync.SimpleQueue[int] = sync.SimpleQueue()

    def handle() -> int:
        asleep_in_main(monkeypatch, lambda: other.tell(items.put, 1))
        item = items.get(timeout=WAIT)
        other.tell(items.put, 2)
        return item

    with registered(freezer, enrolled), Handler(handle) as handler:
        asleep_in_main(monkeypatch, lambda: other.tell(handler.send))
        assert items.get(timeout=WAIT) == 2
    assert handler.result == 1


@both_ways
def test_who_is_interrupted_when_it_is_woken_holds_up_nobody(
    freezer: Freezer, other: Actor, monkeypatch: pytest.MonkeyPatch, enrolled: bool
) -> None:
    """1. The main thread and another one wait for a lock. 2. It is released for the main thread.
    3. Before that looks, a handler comes, and waits for what the other one does with the lock.
    """
    lock, done = sync.Lock(), sync.Lock()
    lock.acquire()
    done.acquire()

    def use() -> None:
        assert lock.acquire(timeout=WAIT)
        lock.release()
        done.release()

    def release_for_main() -> None:
        with monkeypatch.context() as patch:
            asleep = at_bell(patch, other.worker)
            other.tell(use)
            wait_for(asleep)
        lock.release()

    def interrupt(*_: object) -> None:
        if threading.current_thread() is threading.main_thread():
            signal.raise_signal(signal.SIGUSR1)

    with registered(freezer, enrolled), Handler(lambda: done.acquire(timeout=WAIT)) as handler:
        after(monkeypatch, Bell, "wait", interrupt)
        asleep_in_main(monkeypatch, release_for_main)
        assert lock.acquire(timeout=WAIT)
    assert handler.result is True


def test_a_wait_of_a_handler_does_not_take_the_place_of_one_that_returns(
    freezer: Freezer, other: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """1. The main thread was woken for a lock, and is on its way out of its wait.
    2. A handler comes, and waits a little.

    Should it park after that, it is the first wait that has to give others the chance.
    """
    lock = sync.Lock()
    lock.acquire()
    waiters: list[object] = []

    def interrupt(self: Waiting, *_: object) -> None:
        if not waiters:
            waiters.append(self)
            signal.raise_signal(signal.SIGUSR1)
            waiters.append(record.parking.waiter)

    with freezer.register(), Handler(lambda: sync.sleep(0.001)):
        record = freezer._registry.find(threading.main_thread())
        before(monkeypatch, Waiting, "_make_todos", interrupt)
        asleep_in_main(monkeypatch, lambda: other.tell(lock.release))
        assert lock.acquire(timeout=WAIT)
        assert record.parking.waiter is None
    assert waiters[0] is waiters[1]


def test_a_handler_in_the_middle_of_the_first_acquisition_of_an_rlock(freezer: Freezer) -> None:
    """What it acquires it releases, and no more than that."""
    lock = sync.RLock()
    real = lock._try

    def try_and_be_interrupted(blocking: bool) -> bool:
        acquired = real(blocking)
        signal.raise_signal(signal.SIGUSR1)
        return bool(acquired)

    def use() -> int:
        lock._try = real
        with lock:
            return lock._recursion_count()

    lock._try = try_and_be_interrupted
    with Handler(use), lock:
        assert lock._is_owned()
        assert lock._recursion_count() == 1
    assert not lock.locked()
