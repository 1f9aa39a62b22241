"""Waits that are over at once, or by their time-out: a thread in them stops all the same."""

from __future__ import annotations

import queue
import select
import selectors
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

import freezethreads
from freezethreads import Freezer, Installation, State
from helpers import WAIT, start, start_own
from install_waits import is_back, record_of, until, waiting
from install_waits_io import fill, pair
from install_waits_tls import tls_pair


@pytest.fixture
def freezer() -> Freezer:
    return Freezer("under test")


@pytest.fixture
def installation(freezer: Freezer) -> Iterator[Installation]:
    with freezethreads.install(freezer) as installation:
        yield installation


# With nothing to wait for. A thread that always finds something to do has to stop nevertheless.


def selected(stack: ExitStack) -> Callable[[], object]:
    here, there = pair(stack)
    there.send(b"x")
    selector = stack.enter_context(selectors.DefaultSelector())
    selector.register(here, selectors.EVENT_READ)
    return lambda: selector.select(0)


def event_that_is_set(stack: ExitStack) -> Callable[[], object]:
    event = threading.Event()
    event.set()
    return event.wait


def queue_that_is_used(stack: ExitStack) -> Callable[[], object]:
    jobs: queue.Queue[int] = queue.Queue()

    def use() -> None:
        jobs.put(1)

    return use


def queue_that_is_full(stack: ExitStack) -> Callable[[], object]:
    jobs: queue.Queue[int] = queue.Queue()
    for _ in range(10**6):
        jobs.queue.append(1)
    return lambda: jobs.get(block=False)


def data_that_is_there(stack: ExitStack) -> Callable[[], object]:
    here, there = pair(stack)
    there.send(b"x")
    return lambda: here.recv(1, socket.MSG_PEEK)


def room_that_is_there(stack: ExitStack) -> Callable[[], object]:
    here = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    here.bind(("127.0.0.1", 0))
    here.connect(here.getsockname())
    return lambda: here.sendall(b"x")  # what it has no room for it throws away


def room_for_an_impatient_one(stack: ExitStack) -> Callable[[], object]:
    here, there = pair(stack)
    here.settimeout(WAIT)

    def use() -> None:
        here.send(b"x")
        there.recv(1, socket.MSG_DONTWAIT)

    return use


def poll_of_nothing(stack: ExitStack) -> Callable[[], object]:
    poll = select.poll()
    return lambda: poll.poll(0)


def thread_that_runs(stack: ExitStack) -> Callable[[], object]:
    main = threading.main_thread()
    return lambda: main.join(timeout=0)


BUSY = [
    selected,
    event_that_is_set,
    queue_that_is_used,
    queue_that_is_full,
    data_that_is_there,
    room_that_is_there,
    room_for_an_impatient_one,
    poll_of_nothing,
    lambda stack: lambda: select.select([], [], [], 0),
    thread_that_runs,
]


@pytest.mark.parametrize("make", BUSY)
def test_a_thread_that_never_has_to_wait_stops_as_well(
    freezer: Freezer, installation: Installation, make: Callable[[ExitStack], Callable[[], object]]
) -> None:
    over: list[bool] = []
    called: list[bool] = []  # and so it does not stop at its enrolment any more

    with ExitStack() as stack:
        call = make(stack)

        def work() -> None:
            while not over:
                call()
                called[:] = [True]

        worker = start(work)
        try:
            until(lambda: bool(called))
            with freezer.freeze(timeout=WAIT) as world:
                assert [info.state for info in world.threads] == [State.FROZEN]
                site = world.threads[0].site
                assert site is not None
                assert (site.kind, site.filename) == ("wait", __file__)
        finally:
            over.append(True)
            worker.finish()


# With a time-out that ends during a freeze.

SOON = 0.5
"""Seconds: longer than it takes to see that it waits, and to freeze it."""


def simple_queue(stack: ExitStack) -> Callable[[], object]:
    return lambda: queue.SimpleQueue[int]().get(timeout=SOON)


def full_queue(stack: ExitStack) -> Callable[[], object]:
    jobs: queue.Queue[int] = queue.Queue(1)
    jobs.put(1)
    return lambda: jobs.put(2, timeout=SOON)


def lock(stack: ExitStack) -> Callable[[], object]:
    owned = threading.Lock()
    owned.acquire()
    return lambda: owned.acquire(timeout=SOON)


def receive(stack: ExitStack) -> Callable[[], object]:
    here, _ = pair(stack)
    here.settimeout(SOON)
    return lambda: here.recv(1)


def send(stack: ExitStack) -> Callable[[], object]:
    here, _ = pair(stack)
    fill(here)
    here.settimeout(SOON)
    return lambda: here.send(b"x")


def accept(stack: ExitStack) -> Callable[[], object]:
    server = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
    server.settimeout(SOON)
    return server.accept


def encrypted(stack: ExitStack) -> Callable[[], object]:
    server, _ = tls_pair(stack)
    server.settimeout(SOON)
    return lambda: server.recv(1)


def child(stack: ExitStack) -> Callable[[], object]:
    process = stack.enter_context(subprocess.Popen(["cat"], stdin=subprocess.PIPE))
    return lambda: process.wait(SOON)


def join(stack: ExitStack) -> Callable[[], object]:
    over = threading.Event()
    stack.callback(over.set)
    other = start_own(over.wait, WAIT)
    return lambda: other.join(SOON)


TIMED: list[tuple[Callable[[ExitStack], Callable[[], object]], object]] = [
    (lambda stack: lambda: threading.Event().wait(SOON), False),
    (lambda stack: lambda: threading.Semaphore(0).acquire(timeout=SOON), False),
    (lambda stack: lambda: queue.Queue[int]().get(timeout=SOON), queue.Empty()),
    (full_queue, queue.Full()),
    (simple_queue, queue.Empty()),
    (lock, False),
    (join, None),
    (receive, TimeoutError("timed out")),
    (send, TimeoutError("timed out")),
    (accept, TimeoutError("timed out")),
    (encrypted, TimeoutError("The read operation timed out")),
    (child, subprocess.TimeoutExpired(["cat"], SOON)),
    (lambda stack: lambda: select.select([], [], [], SOON), ([], [], [])),
    (lambda stack: lambda: signal.sigtimedwait([], SOON), None),
]


@pytest.mark.parametrize(("make", "wanted"), TIMED)
def test_its_time_runs_out_during_a_freeze(
    freezer: Freezer,
    installation: Installation,
    make: Callable[[ExitStack], Callable[[], object]],
    wanted: object,
) -> None:
    def work() -> object:
        try:
            return call()
        except Exception as error:  # noqa: BLE001 - whatever it is, it is compared
            return error

    with ExitStack() as stack:
        call = make(stack)  # here, as it may have to wait itself
        thread = stack.enter_context(waiting(freezer, work))
        record = record_of(freezer, thread)
        with freezer.freeze(timeout=WAIT):
            until(lambda: is_back(record))
            assert thread.is_alive()
        result = thread.finish()
    if isinstance(wanted, Exception):
        assert (type(result), str(result)) == (type(wanted), str(wanted))
    else:
        assert result == wanted
