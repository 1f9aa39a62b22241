"""`ThreadPoolExecutor` and freezes: what its workers and its callers do in them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import wait
from typing import Any

import pytest

from freezethreads import Freezer, State, World, default_freezer
from freezethreads._pool import ThreadPoolExecutor
from freezethreads._registry.registry import Registry
from freezing import after, puppet
from helpers import WAIT, run_python, wait_for
from thread_helpers import Gate, members


@pytest.fixture
def freezer() -> Freezer:
    return Freezer("pools")


def label_of(world: World, group: str) -> str | None:
    """The label of the wait at which the one thread of `group` stands, which allows a fork."""
    (site,) = (info.site for info in world.threads if info.group == group)
    assert site is not None
    assert (site.kind, site.fork_safe) == ("wait", True)
    return site.label


def turn_over(world: World) -> None:
    """Return when each thread has been awake, and has looked whether it may do something."""
    for info in world.threads:
        assert world.call(info, threading.get_ident) == info.ident


# Workers.


def test_idle_workers_are_stopped_workers(freezer: Freezer) -> None:
    barrier = threading.Barrier(4)
    with ThreadPoolExecutor(3, "idle", freezer=freezer, group="io.pool") as pool:
        for _ in range(3):
            pool.submit(barrier.wait, WAIT)
        barrier.wait(WAIT)
        with freezer.freeze(group="io") as world:
            assert sorted(info.name for info in world.threads) == ["idle_0", "idle_1", "idle_2"]
            assert {info.group for info in world.threads} == {"io.pool"}
            assert {info.site.label for info in world.threads if info.site} == {"SimpleQueue.get"}
            turn_over(world)
    assert members(freezer) == {}


def test_the_default_freezer_and_its_root_group_are_the_defaults() -> None:
    with ThreadPoolExecutor(1, "plain") as pool:
        assert pool.submit(members, default_freezer).result(WAIT) == {"plain_0": ""}


def test_a_frozen_pool_dispatches_nothing_and_then_everything(freezer: Freezer) -> None:
    done: list[int] = []
    gate = Gate()
    with ThreadPoolExecutor(1, freezer=freezer) as pool:
        first = pool.submit(gate)
        others = [pool.submit(done.append, number) for number in range(5)]
        wait_for(gate.begun)
        with freezer.freeze() as world:
            gate.open()
            turn_over(world)
            assert first.running()
            assert not any(future.running() or future.done() for future in others)
            assert pool._work_queue.qsize() == 5
        for future in others:
            future.result(WAIT)
    assert done == [0, 1, 2, 3, 4]


def test_a_worker_that_holds_work_stops_at_its_safepoint(freezer: Freezer) -> None:
    counts = [0]
    begun, over = threading.Event(), threading.Event()

    def work() -> str:
        begun.set()
        while not over.is_set():
            counts[0] += 1
            freezer.safepoint("half-way")
        return "done"

    with ThreadPoolExecutor(1, freezer=freezer) as pool:
        future = pool.submit(work)
        wait_for(begun)
        with freezer.freeze() as world:
            before = counts[0]
            (info,) = world.threads
            assert info.site is not None
            assert (info.site.kind, info.site.label) == ("safepoint", "half-way")
            over.set()
            turn_over(world)
            assert (counts[0], future.running()) == (before, True)
        assert future.result(WAIT) == "done"


def test_a_worker_that_always_finds_work_stops_between_two_items(freezer: Freezer) -> None:
    """There is no safepoint in what it calls, and the queue is never empty."""
    counts = [0, 0, 0]
    over = threading.Event()

    def work(chain: int) -> None:
        counts[chain] += 1
        if not over.is_set():
            pool.submit(work, chain)

    with ThreadPoolExecutor(1, freezer=freezer) as pool:
        for chain in range(3):
            pool.submit(work, chain)
        for _ in range(20):
            with freezer.freeze(timeout=WAIT) as world:
                before = counts.copy()
                turn_over(world)
                assert counts == before
                assert pool._work_queue.qsize() == 3
        over.set()
    assert all(counts)


def test_a_todo_is_made_by_an_idle_worker(freezer: Freezer) -> None:
    with ThreadPoolExecutor(1, freezer=freezer) as pool:
        pool.submit(int).result(WAIT)
        (worker,) = pool._threads
        for _ in range(3):
            assert freezer.todo(worker, threading.get_ident).result(WAIT) == worker.ident
        assert pool.submit(threading.get_ident).result(WAIT) == worker.ident


def test_a_todo_for_a_busy_worker_is_made_between_two_items(freezer: Freezer) -> None:
    order: list[str] = []
    begun, over = threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        wait_for(over)

    with ThreadPoolExecutor(1, freezer=freezer) as pool:
        pool.submit(work)
        pool.submit(order.append, "item")
        wait_for(begun)
        (worker,) = pool._threads
        todo = freezer.todo(worker, order.append, "todo")
        over.set()
        todo.result(WAIT)
    assert order == ["todo", "item"]


# Submissions during a freeze.


def test_what_is_submitted_to_frozen_workers_waits(freezer: Freezer) -> None:
    with ThreadPoolExecutor(1, freezer=freezer) as pool:
        pool.submit(int).result(WAIT)
        with freezer.freeze() as world:
            kept, cancelled = pool.submit(int, "7"), pool.submit(int, "no number")
            turn_over(world)
            assert not kept.running()
            assert cancelled.cancel()
            assert pool._work_queue.qsize() == 2
        assert kept.result(WAIT) == 7


def test_a_worker_that_a_submission_starts_waits_for_the_thaw(
    freezer: Freezer, monkeypatch: pytest.MonkeyPatch
) -> None:
    enrolled, initialized = threading.Event(), threading.Event()
    after(monkeypatch, Registry, "enter", lambda *_: enrolled.set())
    with ThreadPoolExecutor(1, freezer=freezer, initializer=initialized.set) as pool:
        with freezer.freeze() as world:
            future = pool.submit(int, "7")
            wait_for(enrolled)
            assert [info.state for info in world.threads] == [State.FROZEN]
            turn_over(world)
            assert not initialized.is_set()
            assert not future.running()
        assert future.result(WAIT) == 7
        assert initialized.is_set()


def test_a_thread_of_another_group_submits_to_a_frozen_pool(freezer: Freezer) -> None:
    with (
        ThreadPoolExecutor(2, freezer=freezer, group="pool") as pool,
        puppet(freezer, "caller") as caller,
    ):
        both = threading.Barrier(2)
        wait([pool.submit(both.wait, WAIT) for _ in range(2)], WAIT)  # now no worker is to begin
        with freezer.freeze(group="pool") as world:
            futures = [caller.do(pool.submit, int, "7") for _ in range(3)]
            turn_over(world)
            assert not any(future.running() for future in futures)
        assert [future.result(WAIT) for future in futures] == [7, 7, 7]


# Callers.


def result(pool: ThreadPoolExecutor, gate: threading.Event) -> object:
    return pool.submit(wait_for, gate).result()


def result_in_time(pool: ThreadPoolExecutor, gate: threading.Event) -> object:
    return pool.submit(wait_for, gate).result(timeout=WAIT)


def exception(pool: ThreadPoolExecutor, gate: threading.Event) -> object:
    return pool.submit(wait_for, gate).exception()


def mapped(pool: ThreadPoolExecutor, gate: threading.Event) -> object:
    (found,) = pool.map(wait_for, [gate])
    return found


@pytest.mark.parametrize("wait", [result, result_in_time, exception, mapped])
def test_waiting_for_a_result_counts_as_stopped(
    freezer: Freezer, wait: Callable[..., object]
) -> None:
    gate, ended = threading.Event(), threading.Event()
    with (
        ThreadPoolExecutor(1, freezer=freezer, group="pool") as pool,
        puppet(freezer, "caller") as caller,
    ):
        waiting = caller.tell(wait, pool, gate)
        with freezer.freeze(group="caller") as world:
            (site,) = (info.site for info in world.threads)
            assert site is not None
            assert (site.kind, site.filename) == ("wait", __file__), "where the result is asked for"
            gate.set()
            pool.submit(ended.set)
            wait_for(ended)
            turn_over(world)
            assert not waiting.done()
        assert waiting.result(WAIT) is None


def test_pools_that_wait_for_each_other_are_frozen_together(freezer: Freezer) -> None:
    gate = Gate()
    with (
        ThreadPoolExecutor(1, freezer=freezer, group="inner") as inner,
        ThreadPoolExecutor(1, freezer=freezer, group="outer") as outer,
    ):
        future = outer.submit(lambda: inner.submit(gate).result())
        wait_for(gate.begun)
        with freezer.freeze() as world:
            assert label_of(world, "outer") == "Condition.wait"
            gate.open()
            turn_over(world)
            assert future.running()
        assert future.result(WAIT) is True


def test_a_freeze_during_a_shutdown(freezer: Freezer) -> None:
    gate = Gate()
    pool = ThreadPoolExecutor(1, freezer=freezer, group="pool")
    with puppet(freezer, "caller") as caller:
        future, queued = pool.submit(gate), pool.submit(int, "7")
        wait_for(gate.begun)
        ended = caller.tell(pool.shutdown)
        with freezer.freeze() as world:
            assert label_of(world, "caller") == "ThreadPoolExecutor.shutdown"
            gate.open()
            for info in world.threads:
                if info.group == "pool":
                    world.call(info, int)
            assert future.running()
            assert not queued.running()
        ended.result(WAIT)
        assert (future.result(0), queued.result(0)) == (True, 7)
        assert members(freezer) == {caller.worker.name: "caller"}


# Arguments.


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        ({"freezer": "default"}, TypeError, "freezer must be a freezethreads.Freezer"),
        ({"group": None}, TypeError, "group must be a dotted name"),
        ({"group": ".io"}, ValueError, "group must be a dotted name"),
        ({"initializer": "no"}, TypeError, "initializer must be callable"),
        ({"max_workers": 0}, ValueError, "max_workers must be greater than 0"),
        ({"unheard_of": 1}, TypeError, "unheard_of"),
    ],
)
def test_bad_arguments(arguments: dict[str, Any], error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        ThreadPoolExecutor(**arguments)


def test_what_the_package_has_under_the_name_of_the_standard_one_does_not_matter() -> None:
    """On 3.15 that is a lazy import, and who replaces `__import__` may make nothing of it."""
    run_python(
        "import concurrent.futures\n"
        "vars(concurrent.futures)['ThreadPoolExecutor'] = object()\n"
        "import freezethreads\n"
        "with freezethreads.ThreadPoolExecutor(1) as pool:\n"
        "    assert pool.submit(int).result() == 0\n"
    )
