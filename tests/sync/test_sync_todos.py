"""A thread that waits in `freezethreads.sync` can be asked for a todo, and goes on waiting."""

from __future__ import annotations

import concurrent.futures
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import ExitStack
from contextvars import ContextVar

import pytest

from freezethreads import Freezer, sync
from freezethreads._ground.completion import Bell
from freezethreads._refrigerator.waits import Waiting
from freezing import Pause, Puppet, after, at_bell, before, puppet, puppets
from helpers import WAIT, wait_for, wait_until
from sync_clock import Clock, begin, outcome
from sync_waits import OPENERS, TIMED, Wait

every_wait = pytest.mark.parametrize("name", OPENERS)

# Of several that wait, one is chosen each time.
CHOSEN = (
    "lock",
    "condition",
    "condition_of_raw_lock",
    "semaphore",
    "bounded_semaphore",
    "queue_get",
    "priority_queue_get",
    "simple_queue_get",
    "queue_put",
)
chosen_one_by_one = pytest.mark.parametrize("name", CHOSEN)


@pytest.fixture
def freezer() -> Freezer:
    return Freezer("todos")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


@pytest.fixture
def three(freezer: Freezer) -> Iterator[list[Puppet]]:
    with puppets(freezer, "a", "b", "c") as threads:
        yield threads


@every_wait
def test_it_makes_a_todo_at_once_and_in_its_own_context(
    freezer: Freezer, clock: Clock, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    own = threading.local()
    variable: ContextVar[str] = ContextVar("variable")

    def prepare() -> None:
        own.value = "its own"
        variable.set("as well")

    def look() -> tuple[str, str, threading.Thread]:
        return own.value, variable.get(), threading.current_thread()

    with OPENERS[name](clock) as wait, puppet(freezer) as thread:
        thread.do(prepare)
        future = begin(monkeypatch, thread, wait.wait, None)
        for _ in range(3):
            todo = freezer.todo(thread.worker, look)
            assert todo.result(WAIT) == ("its own", "as well", thread.worker)
        assert not future.done()
        with freezer.freeze(timeout=WAIT) as world:
            assert world.call(thread.worker, look) == ("its own", "as well", thread.worker)
        wait.give()
        assert outcome(future) == wait.result


@every_wait
def test_it_makes_what_it_was_asked_for_before_it_came_to_wait(
    freezer: Freezer, clock: Clock, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    with OPENERS[name](clock) as wait, puppet(freezer) as thread:
        todo = freezer.todo(thread.worker, threading.get_ident)
        future = thread.tell(wait.wait, None)
        assert todo.result(WAIT) == thread.worker.ident
        wait.give()
        assert outcome(future) == wait.result


@pytest.mark.parametrize("name", TIMED)
def test_it_goes_on_with_what_is_left_of_its_time(
    freezer: Freezer, clock: Clock, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    with OPENERS[name](clock) as wait, puppet(freezer) as thread:
        future = begin(monkeypatch, thread, wait.wait, 10.0)
        clock.advance(6)
        for _ in range(2):
            freezer.todo(thread.worker, int).result(WAIT)
        clock.advance(3.9)
        for _ in range(2):
            freezer.todo(thread.worker, int).result(WAIT)
        assert not future.done()
        clock.advance(0.2)
        assert outcome(future) == wait.late


@pytest.mark.parametrize("name", TIMED)
def test_the_time_that_a_todo_takes_is_time_waited(
    freezer: Freezer, clock: Clock, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    with OPENERS[name](clock) as wait, puppet(freezer) as thread:
        future = begin(monkeypatch, thread, wait.wait, 10.0)
        freezer.todo(thread.worker, clock.advance, 10.1).result(WAIT)
        assert outcome(future) == wait.late


def wait_until_it_waits_again(freezer: Freezer, thread: Puppet) -> None:
    """After what it was asked for. There is a result before it has: till then others are chosen."""
    parking = freezer._registry.records[thread.worker.ident or 0].parking

    def waits() -> bool:
        waiter = parking.waiter
        return isinstance(waiter, Waiting) and parking.away is not None and not waiter.barred

    wait_until(waits)


@pytest.mark.parametrize("by", ["todo", "call"])
@pytest.mark.parametrize("asked", [(0,), (1,), (0, 2)], ids=["first", "middle", "both ends"])
@chosen_one_by_one
def test_it_keeps_its_place_among_those_who_wait(
    freezer: Freezer,
    clock: Clock,
    three: list[Puppet],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    asked: tuple[int, ...],
    by: str,
) -> None:
    with OPENERS[name](clock) as wait:
        futures = [begin(monkeypatch, thread, wait.wait, None) for thread in three]
        for index in asked:
            if by == "todo":
                freezer.todo(three[index].worker, int).result(WAIT)
            else:
                with freezer.freeze(timeout=WAIT) as world:
                    world.call(three[index].worker, int)
            wait_until_it_waits_again(freezer, three[index])
        for future in futures:
            wait.give()
            assert outcome(future) == wait.result


MOMENTS = ("in the todo", "woken for the todo", "woken for what it waits for")


@pytest.mark.parametrize("moment", MOMENTS)
@every_wait
def test_neither_is_lost_if_both_come_at_the_same_moment(
    freezer: Freezer, clock: Clock, monkeypatch: pytest.MonkeyPatch, name: str, moment: str
) -> None:
    """1. The thread sleeps in its wait.
    2. One of the two comes: a todo, or what it waits for. It wakes, and has looked at nothing, or
       is making the todo.
    3. The other one comes.
    """
    with OPENERS[name](clock) as wait, puppet(freezer) as thread:
        pause = Pause(thread.worker)
        if moment != MOMENTS[0]:
            after(monkeypatch, Bell, "wait", pause)
        future = begin(monkeypatch, thread, wait.wait, None)
        if moment == MOMENTS[2]:
            wait.give()
            pause.wait()
            todo: Future[object] = freezer.todo(thread.worker, int)
        else:
            ask: Callable[[], object] = pause if moment == MOMENTS[0] else int
            todo = freezer.todo(thread.worker, ask)
            pause.wait()
            wait.give()
        pause.go()
        todo.result(WAIT)
        assert outcome(future) == wait.result


@every_wait
def test_a_todo_that_comes_between_its_mark_and_its_sleep_wakes_it(
    freezer: Freezer, clock: Clock, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    with OPENERS[name](clock) as wait, puppet(freezer) as thread:
        pause = Pause(thread.worker)
        before(monkeypatch, Bell, "wait", pause)
        future = thread.tell(wait.wait, None)
        pause.wait()
        todo = freezer.todo(thread.worker, threading.get_ident)
        pause.go()
        assert todo.result(WAIT) == thread.worker.ident
        wait.give()
        assert outcome(future) == wait.result


def give_to_all(wait: Wait, futures: list[Future[object]]) -> None:
    """One after the other. Who is on its way back from a todo may come later than its turn."""
    left = set(futures)
    while left:
        wait.give()
        done, left = concurrent.futures.wait(left, WAIT, concurrent.futures.FIRST_COMPLETED)
        assert [outcome(future) for future in done] == [wait.result]


@chosen_one_by_one
def test_who_makes_a_todo_holds_up_nobody(
    freezer: Freezer,
    clock: Clock,
    three: list[Puppet],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    """The first is busy with a todo, however long; what comes meanwhile is for the second."""
    with OPENERS[name](clock) as wait, ExitStack() as stack:
        futures = [begin(monkeypatch, thread, wait.wait, None) for thread in three]
        pause = Pause()
        stack.callback(pause.go)
        freezer.todo(three[0].worker, pause)
        pause.wait()
        wait.give()
        assert outcome(futures.pop(1)) == wait.result
        pause.go()
        give_to_all(wait, futures)


@pytest.mark.parametrize("name", ["lock", "simple_queue_get"])
def test_who_is_woken_and_then_makes_a_todo_holds_up_nobody(
    freezer: Freezer,
    clock: Clock,
    three: list[Puppet],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    """1. The first has been woken for what it waits for, and has not taken it yet.
    2. A todo comes. The thread finds it on its way out, and makes it first.
    """
    with OPENERS[name](clock) as wait, ExitStack() as stack:
        woken, pause = Pause(three[0].worker), Pause()
        stack.callback(pause.go)
        after(monkeypatch, Bell, "wait", woken)
        futures = [begin(monkeypatch, thread, wait.wait, None) for thread in three]
        wait.give()
        woken.wait()
        freezer.todo(three[0].worker, pause)
        woken.go()
        pause.wait()
        assert outcome(futures.pop(1)) == wait.result
        pause.go()
        give_to_all(wait, futures)


@pytest.mark.parametrize("make", [sync.Lock, sync.RLock])
def test_a_todo_can_have_the_lock_that_its_thread_waits_for(
    freezer: Freezer, monkeypatch: pytest.MonkeyPatch, make: type[sync.Lock]
) -> None:
    lock = make()
    order: list[str] = []

    def use(who: str, first: Callable[[], object] = int) -> None:
        first()
        with lock:
            order.append(who)

    with puppets(freezer, "holder", "waiter") as (holder, thread):
        holder.do(lock.acquire)
        waiting = begin(monkeypatch, thread, use, "the wait")
        pause = Pause()
        with monkeypatch.context() as patch:
            todo = freezer.todo(thread.worker, use, "the todo", pause)
            pause.wait()
            asleep = at_bell(patch, thread.worker)
            pause.go()
            wait_for(asleep)
        holder.do(lock.release)
        todo.result(WAIT)
        assert outcome(waiting) is None
        assert order == ["the todo", "the wait"]


def test_a_todo_that_asks_again_and_again_does_not_keep_it_from_its_item(
    freezer: Freezer, monkeypatch: pytest.MonkeyPatch
) -> None:
    items: sync.SimpleQueue[int] = sync.SimpleQueue()
    calls = [0]
    with puppet(freezer) as thread:
        future = begin(monkeypatch, thread, items.get)

        def again() -> None:
            calls[0] += 1
            if calls[0] == 100:
                items.put(1)
            if calls[0] < 200:
                freezer.todo(thread.worker, again)

        again()
        assert outcome(future) == 1
        assert calls[0] >= 100
