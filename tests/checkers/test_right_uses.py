"""What type checkers see of the public API, and that it is so.

mypy and pyright check each `assert_type`, as part of the linting; here the same lines are run.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any, assert_type

import pytest

import freezethreads
from freezethreads import (
    Freezer,
    Hold,
    Installation,
    Registration,
    Site,
    Statistics,
    ThreadInfo,
    ThreadPoolExecutor,
    World,
)
from freezethreads.checkpoint import Checkpoint, Checkpointer, FileStore, SQLiteStore, Store
from freezethreads.control import Client, Serving, connect, find_processes
from freezethreads.integrations import asyncio_loop
from freezethreads.sync import (
    Barrier,
    Condition,
    Event,
    LifoQueue,
    Lock,
    PriorityQueue,
    Queue,
    RLock,
    Semaphore,
    SimpleQueue,
    sleep,
)
from freezethreads.testing import Result, Role, Scenario, torture


def half(number: int, label: str = "") -> float:
    return number / 2


@pytest.fixture
def freezer() -> Freezer:
    return Freezer("checkers")


def test_calls_return_what_the_function_returns(freezer: Freezer) -> None:
    me = threading.current_thread()
    with freezer.register():
        assert_type(freezer.run_frozen(half, 3), float)
        assert_type(freezer.run_frozen(half, 3, "with a label", timeout=None), float)
        assert_type(freezer.run_frozen(lambda: "x", reason="a function without a name"), str)
        assert_type(freezer.run_frozen(sorted, [2, 1]), list[int])
        assert_type(freezer.run_frozen(print), None)
        assert_type(freezer.todo(me, half, 3), Future[float])
        assert_type(freezer.todo(threading.get_ident(), half, 3, priority=1), Future[float])
        assert_type(freezer.todo(freezer.threads()[0], print), Future[None])
        assert_type(freezer.todo_all(half, 3, group="io"), list[Future[float]])


def test_the_functions_of_the_module_are_those_of_a_freezer() -> None:
    assert_type(freezethreads.default_freezer, Freezer)
    assert_type(freezethreads.run_frozen(half, 3, lease=60.0), float)
    assert_type(freezethreads.todo_all(half, 3), list[Future[float]])
    assert_type(freezethreads.safepoint("here"), None)
    assert_type(freezethreads.__version__, str)
    with freezethreads.register("name", group="io", waker=print) as registration:
        assert_type(registration, Registration)
        assert_type(freezethreads.todo(threading.current_thread(), half, 3), Future[float])
        with freezethreads.freeze(group="io") as world:
            assert_type(world, World)


def test_a_world_and_a_hold(freezer: Freezer) -> None:
    done = threading.Event()
    ready = threading.Event()

    def work() -> None:
        with freezer.register():
            ready.set()
            while not done.is_set():
                freezer.safepoint()

    worker = freezethreads.Thread(target=work, freezer=Freezer("other"))
    worker.start()
    ready.wait(10)
    try:
        with freezer.freeze(timeout=5.0, lease=None) as world:
            assert_type(world, World)
            assert_type(world.call(worker, half, 3), float)
            assert_type(world.threads, tuple[ThreadInfo, ...])
            assert_type(world.unregistered, tuple[threading.Thread, ...])
            assert_type(world.waited, float)
            assert_type(world.expired, bool)
        with freezer.hold() as hold:
            assert_type(hold, Hold)
            assert_type(hold.thaw(), None)
    finally:
        done.set()
        worker.join()


def test_regions(freezer: Freezer) -> None:
    with freezer.blocking("poll", fork_safe=True) as region:
        assert_type(region, None)
    with freezer.no_freeze() as region:
        assert_type(region, None)
    with freezethreads.install() as installation:
        assert_type(installation, Installation)
        assert_type(installation.missed, tuple[threading.Thread, ...])


def test_looking(freezer: Freezer) -> None:
    assert_type(freezer.armed, bool)
    assert_type(freezer.threads(), tuple[ThreadInfo, ...])
    assert_type(freezer.sites(), tuple[Site, ...])
    assert_type(freezer.statistics(), Statistics)
    assert_type(freezer.statistics().last_frozen_time, float | None)


def test_a_pool(freezer: Freezer) -> None:
    with ThreadPoolExecutor(1, freezer=freezer) as pool:
        assert_type(pool, ThreadPoolExecutor)
        assert_type(pool.submit(half, number=3), Future[float])
        assert_type(pool.map(half, [3]), Iterator[float])


def test_in_a_coroutine(freezer: Freezer) -> None:
    async def main() -> None:
        with asyncio_loop.enrol(freezer, group="loop", name="loop") as enrolment:
            assert_type(enrolment, asyncio_loop.Enrolment)
            assert_type(enrolment.registration, Registration)
        async with asyncio_loop.freeze(freezer, timeout=5.0) as world:
            assert_type(world, World)
        assert_type(await asyncio.to_thread(freezer.run_frozen, threading.get_ident), int)

    asyncio.run(main())


def test_control(freezer: Freezer) -> None:
    with freezer.serve() as serving:
        assert_type(serving, Serving)
        assert_type(serving.path, Path)
        assert_type(find_processes(), list[int])
        with connect(os.getpid(), patience=10.0) as client:
            assert_type(client, Client)
            assert_type(client.pid, int)
            assert_type(client.hello, dict[str, Any])
            assert_type(client.request("threads", freezer="checkers"), dict[str, Any])


def test_locks() -> None:
    for lock in (Lock(), RLock()):
        with lock as entered:
            assert_type(entered, bool)
            assert_type(lock.owner, int | None)
        assert_type(lock.acquire(timeout=1.0), bool)
        assert_type(lock.release(), None)
        assert_type(lock.locked(), bool)
    with Condition(Lock()) as condition:
        assert_type(condition, bool)
    with Condition() as entered, Semaphore(1) as semaphore:
        assert_type(entered, bool)
        assert_type(semaphore, bool)


def test_waits() -> None:
    event = Event()
    event.set()
    assert_type(event.wait(1.0), bool)
    assert_type(Barrier(1).wait(), int)
    assert_type(sleep(0), None)
    numbers: SimpleQueue[int] = SimpleQueue()
    numbers.put(3)
    assert_type(numbers.get(), int)
    for queue in (Queue[int](1), LifoQueue[int](), PriorityQueue[int]()):
        queue.put(3, timeout=1.0)
        assert_type(queue.get(), int)


def test_checkpoints(freezer: Freezer, tmp_path: Path) -> None:
    class Nowhere:
        """Whatever has these three methods is a store."""

        def detach(self, payload: Any) -> Any:
            return payload

        def save(self, payload: Any) -> int | None:
            return None

        def load(self) -> Any | None:
            return None

    files, base = FileStore(tmp_path / "file", keep=3), SQLiteStore(tmp_path / "base")
    assert_type((files.keep, files.path, base.keep, base.path), tuple[int, Path, int, Path])
    stores: list[Store] = [files, base, Nowhere()]
    for store in stores:
        with Checkpointer(freezer, store, lambda: {"a": 1}, mode="inline") as checkpointer:
            assert_type(checkpointer, Checkpointer)
            assert_type(checkpointer.last, Checkpoint | None)
            assert_type(checkpointer.checkpoint(), Checkpoint)
            assert_type(checkpointer.checkpoint().size, int | None)
    assert_type(files.load(), Any | None)
    assert_type(files.close(), None)
    base.close()


def test_torture() -> None:
    class Nothing(Scenario):
        """Nobody plays."""

        def actors(self) -> list[Role]:
            return []

        def invariant(self, world: World) -> None:
            assert_type(world, World)

    result = torture(Nothing, seconds=0.01, on_progress=print)
    assert_type(result, Result)
    assert_type(result.passed, bool)
