"""A thread that is enrolled with two freezers, and waits: it is stopped for both or for none."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import Future

import pytest

from freezethreads import Freezer, State, ThreadBlocked, World, sync
from freezing import Actor, Pause, Puppet, actor, puppet
from helpers import WAIT, wait_for
from rigging import rig_mark
from sync_clock import begin, outcome


@pytest.fixture
def freezers() -> tuple[Freezer, Freezer]:
    return Freezer("one"), Freezer("other")


@pytest.fixture
def thread(freezers: tuple[Freezer, Freezer]) -> Iterator[Puppet]:
    """Enrolled with both."""
    with puppet(freezers[0]) as thread:
        thread.do(freezers[1].register)
        yield thread


@pytest.fixture
def controller() -> Iterator[Actor]:
    with actor() as thread:
        yield thread


def freeze_both(freezers: tuple[Freezer, ...]) -> None:
    """As a controller does that needs both. The outer one keeps the thread meanwhile."""
    for outer, inner in (freezers, freezers[::-1]):
        with outer.freeze(timeout=WAIT), inner.freeze(timeout=WAIT):
            pass


orders = pytest.mark.parametrize("order", [(0, 1), (1, 0)], ids=["in order", "the other way"])


@orders
def test_a_todo_for_one_waits_for_the_thaw_of_the_other(
    freezers: tuple[Freezer, Freezer],
    thread: Puppet,
    monkeypatch: pytest.MonkeyPatch,
    order: tuple[int, int],
) -> None:
    """It is code of the application. A call of the world's own tells when the thread is awake."""
    asker, keeper = (freezers[index] for index in order)
    items: sync.SimpleQueue[int] = sync.SimpleQueue()
    waiting = begin(monkeypatch, thread, items.get)
    calls: list[str] = []
    with keeper.freeze(timeout=WAIT) as world:
        todo = asker.todo(thread.worker, calls.append, "todo")
        world.call(thread.worker, calls.append, "call")
        assert calls == ["call"]
    todo.result(WAIT)
    assert calls == ["call", "todo"]
    items.put(1)
    assert outcome(waiting) == 1


@orders
def test_a_world_of_one_calls_nothing_in_a_thread_that_the_other_holds_too(
    freezers: tuple[Freezer, Freezer],
    thread: Puppet,
    controller: Actor,
    monkeypatch: pytest.MonkeyPatch,
    order: tuple[int, int],
) -> None:
    """It would run in a world of the other one. (The calls could be made once.) Either may call
    when it is alone."""
    inner, outer = (freezers[index] for index in order)
    items: sync.SimpleQueue[int] = sync.SimpleQueue()
    waiting = begin(monkeypatch, thread, items.get)
    calls: list[str] = []
    with outer.freeze(timeout=WAIT) as keeper:
        keeper.call(thread.worker, int)  # so that it has left its wait for the refrigerator
        world = controller.do(inner.freeze, timeout=WAIT)
        with pytest.raises(ThreadBlocked):
            controller.do(world.call, thread.worker, calls.append, "inner")
        with pytest.raises(ThreadBlocked):
            keeper.call(thread.worker, calls.append, "outer")
        assert calls == []
    assert controller.do(world.call, thread.worker, threading.get_ident) == thread.worker.ident
    controller.do(world.thaw)
    items.put(1)
    assert outcome(waiting) == 1


@orders
def test_who_makes_a_todo_for_one_is_running_for_the_other(
    freezers: tuple[Freezer, Freezer],
    thread: Puppet,
    controller: Actor,
    monkeypatch: pytest.MonkeyPatch,
    order: tuple[int, int],
) -> None:
    asker, other = (freezers[index] for index in order)
    items: sync.SimpleQueue[int] = sync.SimpleQueue()
    waiting = begin(monkeypatch, thread, items.get)
    pause = Pause()
    todo = asker.todo(thread.worker, pause)
    pause.wait()
    assert [info.state for info in other.threads()] == [State.RUNNING]
    frozen: Future[World] = controller.tell(other.freeze, timeout=WAIT)
    assert not frozen.done()
    pause.go()
    todo.result(WAIT)
    frozen.result(WAIT).thaw()
    items.put(1)
    assert outcome(waiting) == 1


@pytest.mark.parametrize("kind", ["put", "get", "simple get", "event"])
def test_who_stops_without_waiting_is_stopped_for_both(
    freezers: tuple[Freezer, Freezer], thread: Puppet, controller: Actor, kind: str
) -> None:
    items: sync.Queue[int] = sync.Queue()
    simple: sync.SimpleQueue[int] = sync.SimpleQueue()
    event = sync.Event()
    event.set()
    over = threading.Event()

    def use() -> None:
        if kind == "put":
            items.put(1)
        elif kind == "get":
            items.put(1)
            items.get()
        elif kind == "simple get":
            simple.put(1)
            simple.get()
        else:
            event.wait()

    def use_on() -> None:
        while not over.is_set():
            use()

    using = thread.tell(use_on)
    try:
        for _ in range(50):
            controller.do(freeze_both, freezers)
    finally:
        over.set()
    using.result(WAIT)


@orders
def test_freezes_that_come_while_it_returns_stop_it_for_both(
    freezers: tuple[Freezer, Freezer],
    thread: Puppet,
    controller: Actor,
    monkeypatch: pytest.MonkeyPatch,
    order: tuple[int, int],
) -> None:
    """1. The thread has been woken, and has just taken off its mark, which is the same for both.
    2. A controller asks one freezer for a freeze.
    3. The thread goes on, and perhaps stands for it.
    4. In that world the controller asks the other one.
    """
    first, second = (freezers[index] for index in order)
    items: sync.SimpleQueue[int] = sync.SimpleQueue()
    waiting = begin(monkeypatch, thread, items.get)
    pause = Pause(thread.worker)
    rig_mark(thread.record.parking, after_off=pause)
    todo = freezers[0].todo(thread.worker, int)
    pause.wait()
    asked = threading.Event()
    first._registry.find(thread.worker).waker = asked.set
    freezing = controller.tell(freeze_both, (first, second))
    wait_for(asked)
    pause.go()
    freezing.result(WAIT)
    todo.result(WAIT)
    items.put(1)
    assert outcome(waiting) == 1


@orders
def test_freezes_that_come_while_it_makes_todos_stop_it_for_both(
    freezers: tuple[Freezer, Freezer],
    thread: Puppet,
    controller: Actor,
    monkeypatch: pytest.MonkeyPatch,
    order: tuple[int, int],
) -> None:
    first, second = (freezers[index] for index in order)
    items: sync.SimpleQueue[int] = sync.SimpleQueue()
    waiting = begin(monkeypatch, thread, items.get)
    pause = Pause()
    calls: list[int] = []

    def call(number: int) -> None:
        calls.append(number)
        pause()

    with freezers[0].freeze(timeout=WAIT):
        todos = [freezers[0].todo(thread.worker, call, number) for number in range(3)]
        todos.append(freezers[1].todo(thread.worker, call, 3))
    pause.wait()
    asked = threading.Event()
    first._registry.find(thread.worker).waker = asked.set
    freezing = controller.tell(freeze_both, (first, second))
    wait_for(asked)
    assert calls == [0]
    pause.go()
    freezing.result(WAIT)
    for todo in todos:
        todo.result(WAIT)
    assert calls == [0, 1, 2, 3]
    items.put(1)
    assert outcome(waiting) == 1


def test_freezes_back_to_back_of_one_do_not_starve_it(
    freezers: tuple[Freezer, Freezer], thread: Puppet, controller: Actor
) -> None:
    """Between two freezes it gets to run, though it is away for the other when it stands."""
    items: sync.Queue[int] = sync.Queue()
    for _ in range(100):
        items.put(1)
    over, all_over = threading.Event(), threading.Event()

    def freeze_on() -> None:
        while not over.is_set():
            freezers[0].freeze(timeout=WAIT).thaw()

    def take_all() -> int:
        return sum(items.get() for _ in range(100))

    freezing = controller.tell(freeze_on)
    try:
        assert thread.do(take_all) == 100
        thread.block(all_over)  # where the last freeze finds it
    finally:
        over.set()
        freezing.result(WAIT)
        all_over.set()
