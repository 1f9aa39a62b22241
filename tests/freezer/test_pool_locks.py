"""`ThreadPoolExecutor`: nobody stands frozen with its locks, and how its workers are enrolled."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from concurrent.futures.thread import BrokenThreadPool
from contextlib import contextmanager

import pytest

from freezethreads import Freezer, FreezeTimeout, install, sync
from freezethreads._pool import ThreadPoolExecutor
from freezing import Pause, actor, at_bell, before, puppet
from helpers import WAIT, wait_for
from thread_helpers import Gate, finish, members


@pytest.fixture
def freezer() -> Freezer:
    return Freezer("pools")


# What is done with the pool's locks held.


@contextmanager
def frozen_at(
    pause: Pause, freezer: Freezer, group: str, patch: pytest.MonkeyPatch
) -> Iterator[None]:
    """Freeze `group` while its thread is at `pause`: it goes on when it has been asked to stop."""
    with actor() as controller:
        pause.wait()
        armed = at_bell(patch, controller.worker)
        freezing = controller.tell(freezer.freeze, group=group)
        wait_for(armed)
        pause.go()
        with freezing.result(WAIT):
            yield


def test_who_cancels_what_is_queued_does_not_stop_midway(
    freezer: Freezer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """1. `shutdown` has the lock, and looks into the queue. 2. A freeze. 3. It empties the queue,
    releases the lock, and stops at its next safepoint."""
    gate = Gate()
    pool = ThreadPoolExecutor(1, freezer=freezer, group="pool")
    with puppet(freezer, "caller") as caller:
        running, queued = pool.submit(gate), pool.submit(int)
        wait_for(gate.begun)
        looks = Pause(caller.worker)
        before(monkeypatch, sync.SimpleQueue, "get", looks)
        caller.tell(pool.shutdown, wait=False, cancel_futures=True)
        caller.tell(freezer.safepoint)
        with frozen_at(looks, freezer, "caller", monkeypatch):
            assert not pool._shutdown_lock.locked()
            assert queued.cancelled()
        gate.open()
        assert running.result(WAIT) is True
    pool.shutdown()


def test_a_worker_whose_initializer_failed_does_not_stop_midway(
    freezer: Freezer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same, with the lock that a worker has while it refuses what is queued."""

    def fail() -> None:
        before(monkeypatch, sync.SimpleQueue, "get", looks)
        raise LookupError("on purpose")

    looks = Pause()
    with ThreadPoolExecutor(1, freezer=freezer, group="pool", initializer=fail) as pool:
        queued = pool.submit(int)
        with frozen_at(looks, freezer, "pool", monkeypatch):
            assert not pool._shutdown_lock.locked()
            assert isinstance(queued.exception(WAIT), BrokenThreadPool)


class SlowSemaphore(sync.Semaphore):
    """What a pool has where the standard locks were replaced; it cannot be acquired at once."""

    def __init__(self) -> None:
        super().__init__(0)
        self.gate = Gate()

    def acquire(self, blocking: bool = True, timeout: float | None = None) -> bool:
        self.gate()
        return super().acquire(blocking, timeout)


def test_who_submits_does_not_stop_midway(freezer: Freezer) -> None:
    with ThreadPoolExecutor(1, freezer=freezer) as pool, puppet(freezer, "caller") as caller:
        pool._idle_semaphore = semaphore = SlowSemaphore()
        future = caller.tell(pool.submit, int, "7")
        wait_for(semaphore.gate.begun)
        with pytest.raises(FreezeTimeout) as caught:
            freezer.freeze(group="caller", timeout=0.05)
        assert [each.name for each in caught.value.stragglers] == [caller.worker.name]
        semaphore.gate.open()
        assert future.result(WAIT).result(WAIT) == 7


# How the workers are enrolled.


def test_the_initializer_is_called_by_an_enrolled_thread(freezer: Freezer) -> None:
    found: list[dict[str, str]] = []

    def initialize(*args: object) -> None:
        assert args == ("one", 2)
        found.append(members(freezer))

    with ThreadPoolExecutor(
        1, "named", initialize, ("one", 2), freezer=freezer, group="io"
    ) as pool:
        assert pool.submit(int, "7").result(WAIT) == 7
    assert found == [{"named_0": "io"}]


def test_no_worker_stays_enrolled_after_its_end(freezer: Freezer) -> None:
    def fail() -> None:
        raise LookupError("on purpose")

    with ThreadPoolExecutor(1, freezer=freezer, initializer=fail) as pool:
        broken = pool.submit(int)
    assert isinstance(broken.exception(WAIT), BrokenThreadPool)
    assert members(freezer) == {}


def test_the_workers_of_a_pool_that_nobody_refers_to_end_while_they_wait(freezer: Freezer) -> None:
    pool = ThreadPoolExecutor(2, freezer=freezer)
    pool.submit(int).result(WAIT)
    (worker,) = pool._threads
    del pool
    gc.collect()
    finish(worker)
    assert members(freezer) == {}


def test_workers_go_their_own_way_where_all_threads_are_enrolled(freezer: Freezer) -> None:
    with (
        install(freezer, group="app"),
        ThreadPoolExecutor(1, "own", freezer=freezer, group="io") as pool,
    ):
        assert pool.submit(members, freezer).result(WAIT) == {"own_0": "io"}
        with freezer.freeze(group="io") as world:
            assert [info.name for info in world.threads] == ["own_0"]
    assert members(freezer) == {}
