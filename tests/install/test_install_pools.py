"""Standard pools in a program with an installation; and what is no place to stop at, as it is done
with locks held that everybody needs."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, ThreadPoolExecutor

import pytest

import freezethreads
from freezethreads import Freezer, Installation, State
from freezethreads._ground.original import OwnThread
from helpers import WAIT, start, start_own, wait_for
from install_waits import until, wait_in_wait


@pytest.fixture
def freezer() -> Freezer:
    return Freezer("under test")


@pytest.fixture
def installation(freezer: Freezer) -> Iterator[Installation]:
    with freezethreads.install(freezer) as installation:
        yield installation


def test_idle_workers_are_stopped_and_dispatch_nothing_while_frozen(
    freezer: Freezer, installation: Installation
) -> None:
    ran: list[int] = []
    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(abs, range(-9, 0), timeout=WAIT)) == list(range(9, 0, -1))
        for worker in pool._threads:
            wait_in_wait(freezer, worker)
        with freezer.freeze(timeout=WAIT) as world:
            assert {info.state for info in world.threads} == {State.FROZEN}
            futures = [pool.submit(ran.append, i) for i in range(5)]
            assert pool._work_queue.qsize() == 5
            assert ran == []
        for future in futures:
            future.result(WAIT)
    assert sorted(ran) == list(range(5))
    assert freezer.threads() == ()


def test_busy_workers_stop_between_two_items(freezer: Freezer, installation: Installation) -> None:
    counts: list[int] = []
    over: list[bool] = []

    def work() -> None:
        counts.append(1)
        if not over:
            pool.submit(work)

    with ThreadPoolExecutor(2) as pool:
        for _ in range(4):
            pool.submit(work)
        for _ in range(100):
            with freezer.freeze(timeout=WAIT):
                before = len(counts)
                assert pool._work_queue.qsize() == 4
                assert len(counts) == before
        over.append(True)
    assert len(counts) >= 100


def test_a_pool_that_is_older_is_listed_and_holds_nobody_up(freezer: Freezer) -> None:
    with ThreadPoolExecutor(2, "old") as pool:
        block = threading.Event()
        pool.submit(block.wait, WAIT)
        with freezethreads.install(freezer) as installation:
            pool.submit(block.wait, WAIT)
            block.set()
            until(lambda: pool._idle_semaphore._value == 2)
            # (A dummy may stand for a thread of another test, which is gone.)
            real = [t for t in installation.missed if not isinstance(t, threading._DummyThread)]
            assert {t.name for t in real} == {"MainThread", "old_0", "old_1"}
            with freezer.freeze(timeout=WAIT) as world:
                assert world.threads == ()
                assert {t.name for t in world.unregistered} == {"old_0", "old_1"}


Make = Callable[[Callable[[], object]], None]


# An enrolled thread makes a call while a freeze waits for it, and must not stop in there.


@pytest.fixture
def while_asked_to_stop(freezer: Freezer, installation: Installation) -> Make:
    begun = threading.Event()
    go: list[bool] = []
    done: list[bool] = []

    def work(call: Callable[[], object]) -> None:
        begun.set()  # it is enrolled, and stops there no more
        while not go:
            pass
        call()
        done.append(True)
        while go:
            pass

    def freeze() -> None:
        with freezer.freeze():
            pass

    def make(call: Callable[[], object]) -> None:
        worker = start(work, call)
        wait_for(begun)
        freezing = start_own(freeze)
        until(lambda: freezer.armed)
        go.append(True)
        try:
            until(lambda: bool(done))
            assert freezing.is_alive()
        finally:
            go.clear()
            worker.finish()
            freezing.finish()

    return make


def test_start(while_asked_to_stop: Make) -> None:
    other = threading.Thread()
    while_asked_to_stop(other.start)
    other.join(WAIT)


def test_start_of_what_is_not_enrolled(while_asked_to_stop: Make) -> None:
    other = OwnThread()
    while_asked_to_stop(other.start)
    other.join(WAIT)


def test_submit(while_asked_to_stop: Make) -> None:
    with ThreadPoolExecutor(1) as pool:
        pool.submit(int).result(WAIT)
        until(lambda: pool._idle_semaphore._value == 1)
        pool._idle_semaphore.acquire()  # or it would not wait for it
        while_asked_to_stop(lambda: pool.submit(int))


def test_shutdown(while_asked_to_stop: Make) -> None:
    with ThreadPoolExecutor(1) as pool:
        pool.submit(int).result(WAIT)
        while_asked_to_stop(lambda: pool.shutdown(wait=False, cancel_futures=True))


def test_shutdown_counts_as_stopped_while_it_waits(
    freezer: Freezer, installation: Installation
) -> None:
    over = threading.Event()
    pool = ThreadPoolExecutor(1)
    pool.submit(over.wait, WAIT)
    closing = start(pool.shutdown)
    wait_in_wait(freezer, closing)
    with freezer.freeze(timeout=WAIT), pytest.raises(RuntimeError, match="after shutdown"):
        pool.submit(int)
    over.set()
    closing.finish()


def test_a_pool_that_breaks(freezer: Freezer, installation: Installation) -> None:
    begun = threading.Event()

    def fail() -> None:
        begun.set()  # a worker that is not enrolled yet would wait for the thaw
        while not freezer.armed:
            pass
        raise ZeroDivisionError

    with ThreadPoolExecutor(1, initializer=fail) as pool:
        future = pool.submit(int)
        wait_for(begun)
        with freezer.freeze(timeout=WAIT):
            with pytest.raises(BrokenExecutor):
                start_own(future.result, WAIT).finish()
            with pytest.raises(BrokenExecutor):
                start_own(pool.submit, int).finish()
