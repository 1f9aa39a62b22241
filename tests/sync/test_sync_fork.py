"""`freezethreads.sync` after a fork: of those who wait, only the thread that forked is there."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from fork_helpers import check_alone, forked, in_child
from freezethreads import Freezer, sync
from freezethreads._ground.completion import Bell
from freezing import Actor, actor, before
from helpers import WAIT, start, wait_for

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
pytestmark = needs_fork


@pytest.fixture
def freezer() -> Freezer:
    return Freezer("fork")


@pytest.fixture
def parent() -> Iterator[Actor]:
    """A thread that stays behind in the parent."""
    thread = Actor()
    yield thread
    thread.finish()


def wait_in(thread: Actor, patch: pytest.MonkeyPatch, wait: Callable[[], object]) -> None:
    """Have that thread wait; returns when it sleeps, or is just about to."""
    asleep = threading.Event()

    def note(*_: object) -> None:
        if threading.current_thread() is thread.worker:
            asleep.set()

    with patch.context() as inner:
        before(inner, Bell, "wait", note)
        thread.tell(wait)
        wait_for(asleep)


class Kind:
    """Something to wait for, and how to end one wait for it."""

    def __init__(self, wait: Callable[[], object], give: Callable[[], object]) -> None:
        self.wait = wait
        self.give = give


def lock() -> Kind:
    mutex = sync.Lock()
    mutex.acquire()
    return Kind(mutex.acquire, mutex.release)


def simple_queue() -> Kind:
    items: sync.SimpleQueue[int] = sync.SimpleQueue()
    return Kind(items.get, lambda: items.put(1))


def condition() -> Kind:
    condition = sync.Condition()

    def wait() -> None:
        with condition:
            assert condition.wait(WAIT)

    def give() -> None:
        with condition:
            condition.notify()

    return Kind(wait, give)


def semaphore() -> Kind:
    permits = sync.Semaphore(0)
    return Kind(permits.acquire, permits.release)


KINDS = pytest.mark.parametrize("make", [lock, simple_queue, condition, semaphore])


@KINDS
def test_who_stayed_behind_is_not_woken_in_place_of_the_living(
    parent: Actor, monkeypatch: pytest.MonkeyPatch, make: Callable[[], Kind]
) -> None:
    kind = make()
    wait_in(parent, monkeypatch, kind.wait)

    def check() -> None:
        with actor() as living:
            wait_in(living, monkeypatch, kind.wait)
            kind.give()
            living.do(int)

    forked(lambda fork: fork(), check)
    kind.give()
    parent.do(int)


def fork_in_a_todo(freezer: Freezer, fork: Callable[[], int], asker: Actor) -> None:
    """When the calling thread next waits, it forks, in a todo."""
    asker.tell(freezer.todo, threading.current_thread(), fork)


def fork_in_a_handler(freezer: Freezer, fork: Callable[[], int], asker: Actor) -> None:
    """The same in a signal handler."""
    begun = threading.Event()

    def handle(*_: object) -> None:
        if not begun.is_set():
            begun.set()
            fork()

    def send() -> None:
        while not begun.wait(0.001):
            os.kill(os.getpid(), signal.SIGUSR1)

    signal.signal(signal.SIGUSR1, handle)
    asker.tell(send)


@pytest.fixture
def no_handler() -> Iterator[None]:
    previous = signal.getsignal(signal.SIGUSR1)
    yield
    signal.signal(signal.SIGUSR1, previous)


@pytest.mark.usefixtures("no_handler")
@pytest.mark.parametrize("how", [fork_in_a_todo, fork_in_a_handler])
@KINDS
def test_who_forks_in_the_middle_of_its_wait_goes_on_waiting_in_both_processes(
    freezer: Freezer,
    parent: Actor,
    monkeypatch: pytest.MonkeyPatch,
    make: Callable[[], Kind],
    how: Callable[..., None],
) -> None:
    kind = make()
    asleep = threading.Event()
    main = threading.current_thread()

    def note(*_: object) -> None:
        if threading.current_thread() is main:
            asleep.set()

    def give() -> None:
        if how is fork_in_a_todo:  # and so there is another bout, which the handler cut in two
            wait_for(asleep)
        kind.give()

    def body(fork: Callable[[], int]) -> None:
        def fork_and_go_on() -> int:
            pid = fork()
            asleep.clear()
            start(give, name="giver")
            return pid

        how(freezer, fork_and_go_on, parent)
        kind.wait()

    before(monkeypatch, Bell, "wait", note)
    with freezer.register():
        forked(body, lambda: check_alone(freezer, True))


@pytest.mark.parametrize("name", ["Lock", "RLock", "Condition", "Event"])
def test_what_is_made_anew_in_the_child_works(parent: Actor, name: str) -> None:
    """As the standard library's modules do with theirs (`_at_fork_reinit`)."""
    thing: Any = getattr(sync, name)()
    if name != "Event":
        parent.do(thing.acquire)

    def check() -> None:
        thing._at_fork_reinit()
        if name == "Event":
            thing.set()
            assert thing.wait(WAIT)
        else:
            assert thing.acquire(False)
            thing.release()

    forked(lambda fork: fork(), check)
    if name != "Event":
        parent.do(thing.release)


def test_a_lock_that_a_thread_has_is_its_own_in_the_child() -> None:
    rlock = sync.RLock()

    def body(fork: Callable[[], int]) -> None:
        with rlock:
            fork()
            assert rlock._is_owned()

    def check() -> None:
        assert in_child()
        assert not rlock.locked()

    forked(body, check)
