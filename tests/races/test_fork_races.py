"""Forks at the worst moment: other threads hold locks, or a signal handler forks in the library."""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager

import pytest

from fork_helpers import (
    Fork,
    check_alone,
    forked,
    had_by_another,
    in_child,
    looping,
)
from freezethreads import Freezer, ThreadExited
from freezethreads._controller import fork as fork_module
from freezethreads._ground.completion import Bell
from freezethreads._registry.todos import Todo
from freezing import Pause, RiggedDict, actor, before, puppet
from helpers import WAIT, start, wait_for, wait_until


class Kept(logging.Handler):
    """Keeps what is logged."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)

    def messages(self) -> list[str]:
        return [record.getMessage() for record in self.records]


@contextmanager
def logged() -> Iterator[Kept]:
    """What the library logs meanwhile."""
    handler = Kept()
    logger = logging.getLogger("freezethreads")
    logger.addHandler(handler)
    try:
        yield handler
    finally:
        logger.removeHandler(handler)


def just_fork(fork: Fork) -> None:
    fork()


@pytest.mark.parametrize("kind", ["freeze", "hold"])
def test_the_child_logs_nothing_of_what_its_parents_threads_had(kind: str) -> None:
    freezer = Freezer()

    with logged() as kept, had_by_another(lambda: getattr(freezer, kind)(timeout=WAIT)):
        said = kept.messages()

        def check() -> None:
            assert kept.messages() == said

        forked(just_fork, check)


def test_fork_while_another_thread_logs() -> None:
    """The child waits for no lock of `logging`.

    1. another thread has a world, and a third one is inside the lock of a log handler;
    2. the main thread forks;
    3. in the child the other threads' locals die, before `logging` has mended its locks.
    """
    freezer = Freezer()
    with logged() as kept:
        assert kept.lock is not None
        lock = kept.lock
        with had_by_another(lambda: freezer.freeze(timeout=WAIT)), had_by_another(lambda: lock):
            forked(just_fork, lambda: check_alone(freezer, registered=False))


def test_fork_while_another_thread_counts() -> None:
    """The child waits for no lock of the statistics.

    1. a registered thread is inside the recorder's lock;
    2. the main thread forks;
    3. in the child that thread's locals die, and then a freeze is counted.
    """
    freezer = Freezer()

    def count() -> threading.RLock:
        freezer.register()
        return freezer._registry.recorder._lock

    with had_by_another(count):
        forked(just_fork, lambda: check_alone(freezer, registered=False))


def test_fork_while_other_threads_make_freezers() -> None:
    """The fork's hooks tolerate a freezer that is made while they look at all of them."""
    ended = threading.Event()

    def make() -> None:
        while not ended.is_set():
            Freezer()

    making = start(make)
    try:
        for _ in range(2000):
            fork_module._before_fork()
    finally:
        ended.set()
        making.finish()


@contextmanager
def forking_once(fork: Fork, done: threading.Event) -> Iterator[None]:
    """The first SIGUSR1 makes the main thread fork, and sets `done`."""

    first = [True]

    def handle(*_: object) -> None:
        if first and first.pop():
            fork()
            done.set()

    previous = signal.signal(signal.SIGUSR1, handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGUSR1, previous)


def signal_main_thread_until(done: threading.Event) -> None:
    """Interrupt the main thread, and whatever it waits for, with SIGUSR1.

    Repeated, since a signal that comes just before a wait does not interrupt the wait.
    """
    give_up = time.monotonic() + WAIT
    while not done.wait(0.01):
        assert time.monotonic() < give_up
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)


def test_signal_handler_forks_while_its_thread_is_frozen() -> None:
    freezer = Freezer()
    done = threading.Event()

    def freeze_and_signal() -> None:
        with freezer.freeze(timeout=WAIT):
            signal_main_thread_until(done)

    def body(fork: Fork) -> None:
        with forking_once(fork, done):
            controller = start(freeze_and_signal)
            while not done.is_set():
                freezer.safepoint()
        if not in_child():
            controller.finish()

    with freezer.register():
        forked(body, lambda: check_alone(freezer, registered=True))


def test_signal_handler_forks_while_its_thread_waits_for_its_turn() -> None:
    """The child's `freeze()` ends: there is nobody left to wait for."""
    freezer = Freezer()
    up, done = threading.Event(), threading.Event()

    def control() -> None:
        with freezer.freeze(timeout=WAIT):
            up.set()
            give_up = time.monotonic() + WAIT
            while len(freezer._controller._turns.queue) < 2:
                assert time.monotonic() < give_up
            signal_main_thread_until(done)

    def body(fork: Fork) -> None:
        with forking_once(fork, done):
            controller = start(control)
            wait_for(up)
            freezer.freeze(timeout=None).thaw()
        if not in_child():
            controller.finish()

    forked(body, lambda: check_alone(freezer, registered=False))


def test_signal_handler_forks_while_its_thread_waits_for_others_to_stop() -> None:
    """The child's `freeze()` ends: there is nobody left to wait for."""
    freezer = Freezer()
    up, asked, done = threading.Event(), threading.Event(), threading.Event()

    def work() -> None:
        with freezer.register("straggler", waker=asked.set):
            up.set()
            wait_for(asked)
            signal_main_thread_until(done)

    def body(fork: Fork) -> None:
        with forking_once(fork, done):
            straggler = start(work)
            wait_for(up)
            freezer.freeze(timeout=None).thaw()
        if not in_child():
            straggler.finish()

    forked(body, lambda: check_alone(freezer, registered=False))


def test_a_thread_that_was_looking_at_a_future_does_not_hang_the_child() -> None:
    freezer = Freezer()
    looking, looked = threading.Event(), threading.Event()

    def look() -> None:
        with future._condition:  # what `future.done()` does, stopped in the middle
            looking.set()
            wait_for(looked)

    with freezer.register():
        future = freezer.todo(threading.current_thread(), int)
        watcher = start(look)
        wait_for(looking)
        try:
            forked(lambda fork: fork(), lambda: future.exception(0))
        finally:
            looked.set()
            watcher.finish()
        freezer.safepoint()
        assert future.result(WAIT) == 0


@pytest.mark.parametrize("registered", [True, False])
@pytest.mark.parametrize("ask", ["freeze", "hold"])
def test_the_child_of_a_parked_thread_runs_although_a_thaw_was_under_way(
    monkeypatch: pytest.MonkeyPatch, registered: bool, ask: str
) -> None:
    """
    1. a thread is parked; the thaw has begun, and has let nobody go
    2. a signal handler in the thread forks
    3. in the child nobody goes on with the thaw, and the thread must not wait for it
    """
    freezer = Freezer()
    asleep, go, over = threading.Event(), threading.Event(), threading.Event()
    with puppet(freezer) if registered else actor() as thread, actor() as controller:

        def stand(fork: Fork) -> None:
            def handler(*_: object) -> None:
                if threading.current_thread() is thread.worker and not asleep.is_set():
                    asleep.set()
                    wait_for(go)
                    fork()
                    over.set()

            before(monkeypatch, Bell, "wait", handler)
            freezer.safepoint()

        asking = controller.tell(getattr(freezer, ask), timeout=WAIT)
        wait_until(lambda: freezer.armed)
        standing = thread.tell(forked, stand, lambda: None)
        stopped = asking.result(WAIT)
        wait_for(asleep)
        thaws = Pause(controller.worker)
        completion = stopped._freeze.completion
        completion._waiting = RiggedDict(completion._waiting, after_list=thaws)
        thawing = controller.tell(stopped.thaw)
        thaws.wait()
        go.set()
        wait_for(over)
        thaws.go()
        thawing.result(WAIT)
        standing.result(WAIT)


def test_the_child_makes_no_call_of_a_world_that_its_thread_had_not_begun(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """
    1. a thread stands, is called, and has said that it makes the call
    2. a signal handler in the thread forks
    3. the parent makes the call, and the child, which has no such world, does not
    """
    freezer = Freezer()
    made: list[int] = []
    with puppet(freezer) as thread, actor() as controller:

        def stand(fork: Fork) -> None:
            def handler(*_: object) -> None:
                if threading.current_thread() is thread.worker:
                    fork()

            before(monkeypatch, Todo, "run", handler)
            freezer.safepoint()

        def call() -> None:
            with freezer.freeze(timeout=WAIT) as world:
                world.call(thread.worker, lambda: made.append(os.getpid()))

        def check() -> None:
            assert made == []
            check_alone(freezer, registered=True)

        calling = controller.tell(call)
        wait_until(lambda: freezer.armed)
        thread.tell(forked, stand, check).result(2 * WAIT)
        calling.result(WAIT)
        assert made == [os.getpid()]


def test_a_call_of_a_world_in_a_thread_that_is_gone_ends_in_the_child() -> None:
    freezer = Freezer()
    done = threading.Event()

    def body(fork: Fork) -> None:
        with (
            looping(freezer, "loop") as worker,
            forking_once(fork, done),
            freezer.freeze(timeout=WAIT) as world,
        ):
            try:
                world.call(worker, signal_main_thread_until, done)
            except ThreadExited:
                assert in_child()
            else:
                assert not in_child()

    forked(body, lambda: check_alone(freezer, registered=False))


def test_the_result_of_a_todo_is_set_in_the_child_although_others_looked_at_it() -> None:
    """The todo forks, while another thread holds the lock of its future."""
    freezer = Freezer()
    asked, looking, looked = threading.Event(), threading.Event(), threading.Event()

    futures: list[Future[None]] = []

    def look() -> None:
        wait_for(asked)
        with futures[0]._condition:  # what `future.done()` does, stopped in the middle
            looking.set()
            wait_for(looked)

    def body(fork: Fork) -> None:
        def fork_while_it_looks() -> None:
            asked.set()
            wait_for(looking)
            fork()
            looked.set()

        futures.append(freezer.todo(threading.current_thread(), fork_while_it_looks))
        freezer.safepoint()

    watcher = start(look)
    with freezer.register():
        forked(body, lambda: futures[0].result(0))
    watcher.finish()
    assert futures[0].result(WAIT) is None
