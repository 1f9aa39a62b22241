"""Sections: whom a freeze waits for, and which locks the threads of a world hold."""

from __future__ import annotations

import multiprocessing
import queue
import random
import sys
import threading
import time
from contextlib import suppress
from typing import Any

import pytest

import freezethreads
from freezethreads import Freezer, FreezeTimeout
from freezethreads._controller import controller
from freezethreads._machine import bar, trap, values
from freezing import before
from helpers import WAIT, Worker, start, wait_for, wait_until
from machine import (
    Blocked,
    computing_with,
    loaded,
    needs_monitoring,
    nothing_is_left,
    recurse,
    spin,
)

pytestmark = needs_monitoring


def test_no_lock_is_held_when_unlocked() -> None:
    """Whatever lock of the program the controller wants, it gets at once."""
    lock, rlock, condition, items = (
        threading.Lock(),
        threading.RLock(),
        threading.Condition(),
        queue.Queue[int](),
    )

    def with_lock() -> None:
        with lock:
            spin()

    def with_rlock() -> None:
        rlock.acquire()
        try:
            recurse(5)
        finally:
            rlock.release()

    def with_condition() -> None:
        with condition:
            condition.notify_all()
            spin()

    def put_and_get() -> None:
        items.put(1)
        items.get()

    steps = (with_lock, with_lock, with_rlock, with_rlock, with_condition, put_and_get)
    with loaded(**{f"{step.__name__}{i}": step for i, step in enumerate(steps)}) as load:
        for _ in range(30):
            with freezethreads.freeze(where="unlocked") as world:
                assert world.locks == ()
                for each in (lock, rlock, condition, items.mutex):
                    assert each.acquire(blocking=False), each
                    each.release()
            load.goes_on()


def test_money_is_not_torn_under_a_lock_nor_in_atomic_code() -> None:
    accounts, lock, dice = [100] * 8, threading.Lock(), random.Random(1)
    others = [100] * 8

    def move(book: list[int]) -> None:
        a, b = dice.randrange(8), dice.randrange(8)
        book[a] -= 1
        recurse(2)
        book[b] += 1

    def transfer() -> None:
        with lock:
            move(accounts)

    @freezethreads.atomic
    def transfer_alone() -> None:
        move(others)

    with loaded(a=transfer, b=transfer, c=transfer_alone) as load:
        for _ in range(50):
            with freezethreads.freeze(where="unlocked"):
                assert sum(accounts) == 800
                assert sum(others) == 800
            with freezethreads.freeze(where="anywhere"):
                assert sum(others) == 800
            load.goes_on()


def test_who_gets_a_lock_in_the_world_stands_with_it() -> None:
    blocked = Blocked()
    with freezethreads.freeze(where="unlocked") as world:
        blocked.release()
        time.sleep(0.02)
        assert not blocked.came_back
    blocked.finish()
    assert world.where == "unlocked"


def test_the_controller_s_lock_goes_to_one_that_shows_in_the_world() -> None:
    """It owns a lock when it freezes; who waits for it counts as stopped, and owns it next."""
    lock = threading.Lock()

    def take() -> None:
        with lock:
            spin()

    lock.acquire()
    worker = start(take, name="next")
    with freezethreads.freeze(where="unlocked") as world:
        assert not world.locks
        lock.release()
        wait_until(lambda: bool(world.locks))
        (held,) = world.locks
        assert held.lock is lock
        assert held.thread.name == "next"
        assert held.site is not None
        assert held.site.function.endswith("take")
    worker.finish()


def test_the_locks_of_threads_that_stand_anywhere() -> None:
    lock, ready, over = threading.Lock(), threading.Event(), threading.Event()

    def hold_it() -> None:
        with lock:
            ready.set()
            over.wait(WAIT)

    worker = start(hold_it, name="holds")
    wait_for(ready)
    with freezethreads.freeze(where="anywhere") as world:
        (held,) = world.locks
        assert held.lock is lock
        assert held.thread.name == "holds"
    assert world.locks == ()  # it is over
    over.set()
    worker.finish()


def test_a_lock_that_is_free_is_held_by_nobody() -> None:
    """That a thread has acquired it is a guess, if another one holds it."""
    lock, ready, over = threading.Lock(), threading.Event(), threading.Event()

    def go_on_without() -> None:
        lock.acquire(timeout=0.001)
        ready.set()
        over.wait(WAIT)
        with suppress(RuntimeError):
            lock.release()

    lock.acquire()
    worker = start(go_on_without)
    wait_for(ready)
    with freezethreads.freeze(where="anywhere") as world:
        assert [held.lock for held in world.locks] == [lock]
        lock.release()
        assert not world.locks
    over.set()
    worker.finish()


def test_a_thread_that_begins_while_the_locks_are_read_does_no_harm(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It arrives, and those that have arrived are walked over."""
    begun: list[Worker[None]] = []
    lock, ready, over = threading.Lock(), threading.Event(), threading.Event()

    def hold_it() -> None:
        with lock:
            ready.set()
            over.wait(WAIT)

    def begin(*arguments: Any) -> Any:
        begun.append(start(spin))
        (standing,) = trap.bars
        wait_until(lambda: begun[0].ident in standing.stopped)  # type: ignore[attr-defined]
        return values.is_free(*arguments)

    workers = [start(hold_it)]
    wait_for(ready)
    with freezethreads.freeze(where="anywhere") as world:
        monkeypatch.setattr(bar, "is_free", begin)
        assert [held.lock for held in world.locks] == [lock]
    over.set()
    for worker in workers + begun:
        worker.finish()


def test_a_thread_that_waits_with_a_lock_is_waited_for_and_named() -> None:
    lock, ready, over = threading.Lock(), threading.Event(), threading.Event()

    def hold_it() -> None:
        with lock:
            ready.set()
            over.wait(WAIT)

    worker = start(hold_it, name="holds")
    wait_for(ready)
    with pytest.raises(FreezeTimeout) as caught:
        freezethreads.freeze(where="unlocked", timeout=0.2)
    assert "a section of lock, at " in str(caught.value)
    assert [straggler.name for straggler in caught.value.stragglers] == ["holds"]
    over.set()
    worker.finish()


def test_a_thread_that_computes_with_a_lock_is_named() -> None:
    """No look comes to read where it is, as long as it runs."""
    with computing_with(threading.Lock()):
        with pytest.raises(FreezeTimeout, match="a section of lock") as caught:
            freezethreads.freeze(where="unlocked", timeout=0.2)
        assert [straggler.name for straggler in caught.value.stragglers] == ["computes"]


def test_who_leaves_a_section_and_stays_in_the_function_is_stopped() -> None:
    """It found itself in the section, in a call of the same function."""
    lock, ready, is_seen, over = threading.Lock(), threading.Event(), False, False

    def compute_until(what: str) -> None:
        while not (over if what == "over" else is_seen):
            spin()

    def run() -> None:
        with lock:
            ready.set()
            compute_until("seen")
        compute_until("over")

    def freeze() -> None:
        with freezethreads.freeze(where="unlocked", group="runs", timeout=WAIT):
            assert lock.acquire(blocking=False)
            lock.release()

    def run_registered() -> None:
        with freezethreads.register(group="runs"):
            run()

    worker = start(run_registered)
    wait_for(ready)
    freezes = start(freeze)
    wait_until(lambda: any(bar.sheltered for bar in list(trap.bars)))  # type: ignore[attr-defined]
    is_seen = True
    try:
        freezes.finish()
    finally:
        over = True
        worker.finish()


def test_who_begins_while_a_freeze_waits_is_stopped(where: Any) -> None:
    """Nobody is stopped in the code of `threading` that begins a thread, but in what that calls."""
    freezes: list[Worker[None]] = []
    over = False

    def compute() -> None:
        while not over:
            spin()

    def freeze() -> None:
        with freezethreads.freeze(where=where, timeout=WAIT):
            pass

    @freezethreads.atomic
    def begin() -> Worker[None]:
        freezes.append(start(freeze))
        while not trap.bars:
            spin()
        return start(compute)

    worker = begin()
    try:
        freezes[0].finish()
    finally:
        over = True
        worker.finish()


def test_who_waits_for_a_condition_has_given_its_lock_back() -> None:
    """A queue's `get`, an event's `wait`: there is a `with` block around each of them."""
    items: queue.Queue[int] = queue.Queue()
    condition = threading.Condition()
    released = threading.Event()

    def wait() -> None:
        with condition:
            condition.wait_for(released.is_set, WAIT)

    workers: list[Worker[Any]] = [start(items.get), start(wait), start(wait_for, released)]
    with freezethreads.freeze(where="unlocked", timeout=WAIT) as world:
        assert items.mutex.acquire(blocking=False)
        items.mutex.release()
        assert len(world.threads) >= 3
    items.put(1)
    released.set()
    with condition:
        condition.notify_all()
    for worker in workers:
        worker.finish()


def test_who_has_waited_for_a_condition_has_not_got_its_lock_again(where: Any) -> None:
    """It is notified in the world, and comes to the instructions that acquire the lock."""
    condition, ready = threading.Condition(), threading.Event()

    def wait() -> None:
        with condition:
            ready.set()
            condition.wait(WAIT)

    worker = start(wait, name="waits")
    wait_for(ready)
    with condition:  # it waits
        pass
    with freezethreads.freeze(where=where) as world:
        with condition:
            condition.notify()
        wait_until(lambda: worker.ident in trap._stays)
        assert world.locks == ()
        assert condition.acquire(blocking=False)
        condition.release()
    worker.finish()


def test_who_reads_from_a_queue_of_processes_stands_and_keeps_the_lock_of_its_readers() -> None:
    items: Any = multiprocessing.Queue()
    workers = [start(items.get, name=f"reads{n}") for n in range(2)]
    try:
        with freezethreads.freeze(where="unlocked", timeout=WAIT) as world:
            assert {"reads0", "reads1"} <= {info.name for info in world.threads}
    finally:
        for _ in workers:
            items.put(1)
        for worker in workers:
            worker.finish()
        items.close()
        items.join_thread()


def test_those_who_only_wait_are_not_called_stragglers() -> None:
    """They are not counted as long as somebody is in a section, which is not their fault."""
    lock, ready, over = threading.Lock(), threading.Event(), threading.Event()
    blocked = Blocked()

    def hold_it() -> None:
        with lock:
            ready.set()
            over.wait(WAIT)

    worker = start(hold_it, name="holds")
    wait_for(ready)
    with pytest.raises(FreezeTimeout) as caught:
        freezethreads.freeze(where="unlocked", timeout=0.3)
    assert [straggler.name for straggler in caught.value.stragglers] == ["holds"]
    over.set()
    worker.finish()
    blocked.finish()


def test_a_lock_around_the_wait_for_another_one_counts() -> None:
    outer, ready = threading.Lock(), threading.Event()
    items: queue.Queue[int] = queue.Queue()

    def get() -> None:
        with outer:
            ready.set()
            items.get()

    worker = start(get, name="outer")
    wait_for(ready)
    with pytest.raises(FreezeTimeout, match="a section of outer"):
        freezethreads.freeze(where="unlocked", timeout=0.2)
    items.put(1)
    worker.finish()


def test_a_thread_in_no_freeze_is_waited_for_registered_or_not(where: Any) -> None:
    freezer, ready, over = Freezer(), threading.Event(), threading.Event()

    def keep_going(registered: bool) -> None:
        if registered:
            freezer.register()
        with freezer.no_freeze():
            ready.set()
            over.wait(WAIT)

    for registered in (True, False):
        worker = start(keep_going, registered)
        wait_for(ready)
        with pytest.raises(FreezeTimeout, match="no_freeze"):
            freezer.freeze(where=where, timeout=0.2)
        over.set()
        worker.finish()
        ready.clear()
        over.clear()


@pytest.mark.parametrize("waits", [False, True], ids=["computing", "waiting"])
def test_the_no_freeze_of_another_freezer_counts_as_well(where: Any, waits: bool) -> None:
    """Also where the code does not tell: it is entered by a variable."""
    freezer, other, ready, over = Freezer(), Freezer(), threading.Event(), threading.Event()

    def keep_going() -> None:
        with other.register():
            region = other.no_freeze()
            with region:
                ready.set()
                while not over.wait(WAIT if waits else 0):
                    spin()

    worker = start(keep_going)
    wait_for(ready)
    with pytest.raises(FreezeTimeout) as raised:
        freezer.freeze(where=where, timeout=0.5)
    assert len(raised.value.stragglers) == 1
    over.set()
    worker.finish()


def test_a_thread_that_imports_is_waited_for(tmp_path: Any, where: Any) -> None:
    (tmp_path / "slow_module.py").write_text(
        "import builtins\nbuiltins.slow_ready.set()\nbuiltins.slow_over.wait(10)\n"
    )
    import builtins

    space: Any = builtins
    space.slow_ready, space.slow_over = threading.Event(), threading.Event()
    sys.path.insert(0, str(tmp_path))
    try:
        worker = start(__import__, "slow_module")
        wait_for(space.slow_ready)
        with pytest.raises(FreezeTimeout, match="an import"):
            freezethreads.freeze(where=where, timeout=0.2)
        space.slow_over.set()
        worker.finish()
    finally:
        sys.path.remove(str(tmp_path))
        sys.modules.pop("slow_module", None)
        del space.slow_ready, space.slow_over


def test_who_was_late_is_told_when_no_instruction_is_watched_any_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """That reads much code for the first time: with an event for each instruction it took seconds,
    for which everybody stood."""
    lock, has_it, over = threading.Lock(), threading.Event(), threading.Event()
    left: list[bool] = []
    before(monkeypatch, controller, "timeout_of", lambda *_: left.append(nothing_is_left()))

    def keep() -> None:
        with lock:
            has_it.set()
            wait_for(over)

    keeper = start(keep)
    try:
        wait_for(has_it)
        with pytest.raises(FreezeTimeout, match="it is in a section of lock"):
            freezethreads.freeze(timeout=0.05, where="unlocked")
    finally:
        over.set()
        keeper.finish()
    assert left == [True]
