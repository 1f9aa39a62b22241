"""Promise 11: signal handlers, `__del__` and weakref callbacks at any moment, also in the library.

They come at each bytecode of the library in turn, by a trace function."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager

import pytest

from fork_helpers import looping, state_of
from freezethreads import FreezeError, Freezer, State, ThreadExited
from handlers import OPERATIONS, WAYS, Operation, Tracer, eventually
from helpers import WAIT, Worker, start


def interrupted(
    operation: Operation, act: Callable[[Freezer], object], at_most: int
) -> Iterator[None]:
    """Run `operation` once for each bytecode of the library in it, and `act` at that one."""
    freezer = Freezer()
    with looping(freezer, "worker", group="work") as worker, freezer.register():
        counter = Tracer(None, lambda: None)
        for _ in range(2):  # CPython 3.12 reports no bytecodes to the first tracer of a process
            counter.trace(lambda: operation(freezer, worker))
        spots = list(counter.passed)
        assert len(spots) > 50
        step = -(-len(spots) // at_most)
        for number, spot in enumerate(spots[::step]):
            way = WAYS[number % len(WAYS)]
            ran: list[object] = []
            tracer = Tracer(spot, lambda: way(lambda: ran.append(act(freezer))))  # noqa: B023
            tracer.trace(lambda: operation(freezer, worker))
            freezer.safepoint()
            eventually(lambda: not freezer.armed)
            assert state_of(freezer, threading.current_thread()) is State.RUNNING
            assert freezer.todo(worker, int).result(WAIT) == 0
            eventually(lambda: not freezer.armed)
            assert len(ran) == 1 or spot not in tracer.passed
            yield


@pytest.mark.parametrize("operation", OPERATIONS)
def test_safepoint_and_todo_at_each_bytecode(operation: Operation) -> None:
    futures: list[Future[int]] = []

    def act(freezer: Freezer) -> None:
        freezer.safepoint("at any moment")
        futures.extend(freezer.todo_all(int))
        freezer.safepoint("at any moment")

    for _ in interrupted(operation, act, at_most=90):
        for future in futures:
            assert isinstance(future.exception(WAIT), ThreadExited | None)
        futures.clear()


@pytest.mark.parametrize("operation", OPERATIONS)
def test_freeze_at_each_bytecode(operation: Operation) -> None:
    """A handler's world stands, or it is refused. Nothing in between, and the outer one is whole.

    Refused also by a time-out, where the interrupted thread is about to let the others go.
    """
    states: list[State] = []
    stood = 0

    def act(freezer: Freezer) -> None:
        try:
            freezer.run_frozen(look, freezer, timeout=0.1)
        except FreezeError:
            pass

    def look(freezer: Freezer) -> None:
        me = threading.get_ident()
        states.extend(info.state for info in freezer.threads() if info.ident != me)

    for _ in interrupted(operation, act, at_most=60):
        assert set(states) <= {State.FROZEN}
        stood += len(states)
        states.clear()
    assert stood > 10


@contextmanager
def sigint(hits: list[None], wanted: int) -> Iterator[None]:
    """The first so many SIGINTs raise KeyboardInterrupt; those after them do nothing."""

    def handle(*_: object) -> None:
        if len(hits) < wanted:
            hits.append(None)
            raise KeyboardInterrupt

    previous = signal.signal(signal.SIGINT, handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)


def send_sigint_until(arrived: Callable[[], bool]) -> None:
    """Repeated, since a signal that comes just before a wait does not interrupt the wait."""
    give_up = time.monotonic() + WAIT
    while not arrived():
        assert time.monotonic() < give_up
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)


def is_parked(freezer: Freezer, thread: threading.Thread) -> bool:
    record = freezer._registry.records.get(thread.ident or 0)
    return record is not None and record.parking.word.value.stay is not None


@pytest.mark.parametrize(
    ("door", "wanted"),
    [("safepoint", 1), ("safepoint", 2), ("blocking", 1), ("blocking", 2), ("register", 1)],
)
def test_keyboard_interrupt_of_a_frozen_main_thread(door: str, wanted: int) -> None:
    """It is raised when the thread runs again, and not before."""
    freezer = Freezer()
    main = threading.main_thread()
    standing = threading.Event()
    hits: list[None] = []
    order: list[str] = []

    def control() -> None:
        with freezer.freeze(timeout=WAIT) as world:
            standing.set()
            eventually(lambda: is_parked(freezer, main))
            send_sigint_until(lambda: len(hits) == wanted)
            if door == "safepoint":
                assert world.call(main, threading.get_ident) == main.ident
            assert state_of(freezer, main) is State.FROZEN
            order.append("thaw")

    def stand() -> None:
        if door == "register":
            controller.append(start(control))
            assert standing.wait(WAIT)
            freezer.register()
        elif door == "blocking":
            with freezer.blocking():
                controller.append(start(control))
                assert standing.wait(WAIT)
        else:
            controller.append(start(control))
            while not order:
                freezer.safepoint()

    controller: list[Worker[None]] = []
    if door != "register":
        freezer.register()
    with sigint(hits, wanted):
        with pytest.raises(KeyboardInterrupt):
            stand()
        order.append("interrupt")
        controller[0].finish()
    assert order == ["thaw", "interrupt"]
    assert not freezer.armed
    if door != "register":
        assert state_of(freezer, main) is State.RUNNING
        freezer.unregister()
    assert freezer.threads() == ()


def test_alarm_handler_freezes_while_its_thread_computes() -> None:
    freezer = Freezer()
    states: list[State] = []
    with looping(freezer, "worker") as worker, freezer.register():

        def handle(*_: object) -> None:
            freezer.run_frozen(lambda: states.append(state_of(freezer, worker)), timeout=WAIT)
            signal.setitimer(signal.ITIMER_REAL, 0.002)  # an interval may be shorter than a freeze

        previous = signal.signal(signal.SIGALRM, handle)
        try:
            signal.setitimer(signal.ITIMER_REAL, 0.002)
            eventually(lambda: len(states) >= 5)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, previous)
    assert set(states) == {State.FROZEN}


def test_a_signal_that_does_not_wake_a_frozen_main_thread_is_handled_all_the_same() -> None:
    """1. The main thread stands. 2. Another thread gets a signal, so that nothing wakes the main
    thread, as if it came just before that waited. 3. The world ends when the handler has run."""
    freezer, handled = Freezer(), threading.Event()

    def control() -> bool:
        with freezer.freeze(timeout=WAIT):
            eventually(lambda: is_parked(freezer, threading.main_thread()))
            signal.pthread_kill(threading.get_ident(), signal.SIGUSR1)
            return handled.wait(WAIT)

    previous = signal.signal(signal.SIGUSR1, lambda *_: handled.set())
    try:
        with freezer.register():
            controller = start(control)
            while controller.is_alive():
                freezer.safepoint()
            assert controller.finish()
    finally:
        signal.signal(signal.SIGUSR1, previous)
