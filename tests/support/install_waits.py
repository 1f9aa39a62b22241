"""What the tests of an installation share: threads in waits; every wait of a thread for another.

Each wait says how a thread comes to it, how others end it, and what has to be still so while the
thread is frozen although its wait is over. `install_waits_io` and
`install_waits_tls` have those for what is outside of the process.
"""

from __future__ import annotations

import concurrent.futures
import queue
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TypeAlias

from freezethreads import Freezer
from freezethreads._registry.record import Record
from helpers import WAIT, Worker, start, start_own

Maker: TypeAlias = Callable[[ExitStack], "Wait"]


@dataclass
class Wait:
    """One wait: `call` is what waits and returns `result`, and `end` what ends it."""

    call: Callable[[], object]
    end: Callable[[], object] = lambda: None
    result: object = None
    untouched: Callable[[], bool] = lambda: True


def until(condition: Callable[[], bool]) -> None:
    """Look until `condition()` is true; fail after `WAIT` seconds."""
    deadline = time.monotonic() + WAIT
    while not condition():
        assert time.monotonic() < deadline, f"{condition} was not true within {WAIT} s"
        time.sleep(0.0005)


def record_of(freezer: Freezer, thread: threading.Thread) -> Record:
    """What the core knows of a thread that is, or will soon be, enrolled.

    One look, and not two: where it enrols anew, there is no record for a moment.
    """
    record: Record | None = None

    def is_enrolled() -> bool:
        nonlocal record
        record = freezer._registry.records.get(thread.ident or 0)
        return record is not None

    until(is_enrolled)
    assert record is not None
    return record


def is_waiting(record: Record) -> bool:
    """Whether the thread is in a freezable wait."""
    place = record.parking.away
    return place is not None and place[0] == "wait"


def wait_in_wait(freezer: Freezer, thread: threading.Thread) -> None:
    """Wait until the thread is in a freezable wait. It may enrol anew meanwhile."""
    until(lambda: is_waiting(record_of(freezer, thread)))


def is_back(record: Record) -> bool:
    """Whether it is out of that wait, and runs or is parked."""
    return not record.is_away


@contextmanager
def waiting(freezer: Freezer, call: Callable[[], object]) -> Iterator[Worker[object]]:
    """An unmodified thread that has come to wait in `call`."""
    thread = start(call, name="waiting")
    wait_in_wait(freezer, thread)
    yield thread
    thread.finish()


# The waits.


def into(waits: dict[str, Maker]) -> Callable[[Maker], Maker]:
    """A decorator that enters a wait into a list under its name."""

    def enter(maker: Maker) -> Maker:
        waits[maker.__name__] = maker
        return maker

    return enter


WAITS: dict[str, Maker] = {}
wait = into(WAITS)


@wait
def queue_get(stack: ExitStack) -> Wait:
    jobs: queue.Queue[int] = queue.Queue()
    return Wait(jobs.get, lambda: jobs.put(1), 1, lambda: jobs.qsize() == 1)


@wait
def queue_put(stack: ExitStack) -> Wait:
    jobs: queue.Queue[int] = queue.Queue(1)
    jobs.put(1)
    return Wait(lambda: jobs.put(2), jobs.get, None, jobs.empty)


@wait
def queue_join(stack: ExitStack) -> Wait:
    jobs: queue.Queue[int] = queue.Queue()
    jobs.put(1)
    return Wait(jobs.join, jobs.task_done)


@wait
def priority_queue_get(stack: ExitStack) -> Wait:
    jobs: queue.PriorityQueue[int] = queue.PriorityQueue()
    return Wait(jobs.get, lambda: jobs.put(1), 1, lambda: jobs.qsize() == 1)


@wait
def simple_queue_get(stack: ExitStack) -> Wait:
    jobs: queue.SimpleQueue[int] = queue.SimpleQueue()
    return Wait(jobs.get, lambda: jobs.put(1), 1, lambda: jobs.qsize() == 1)


@wait
def lock_acquire(stack: ExitStack) -> Wait:
    lock = threading.Lock()
    lock.acquire()
    return Wait(lock.acquire, lock.release, True, lambda: not lock.locked())


@wait
def rlock_acquire(stack: ExitStack) -> Wait:
    lock = threading.RLock()
    lock.acquire()

    def is_free() -> bool:
        with lock:
            return True

    return Wait(lock.acquire, lock.release, True, is_free)


@wait
def condition_wait(stack: ExitStack) -> Wait:
    condition = threading.Condition()

    def await_it() -> bool:
        with condition:
            return condition.wait(WAIT)

    def notify() -> None:
        with condition:
            condition.notify()

    def is_free() -> bool:
        with condition:
            return True

    return Wait(await_it, notify, True, is_free)


@wait
def event_wait(stack: ExitStack) -> Wait:
    event = threading.Event()
    return Wait(event.wait, event.set, True)


@wait
def semaphore_acquire(stack: ExitStack) -> Wait:
    semaphore = threading.BoundedSemaphore()
    semaphore.acquire()
    return Wait(semaphore.acquire, semaphore.release, True, lambda: semaphore._value == 1)


@wait
def barrier_wait(stack: ExitStack) -> Wait:
    barrier = threading.Barrier(2)
    return Wait(barrier.wait, barrier.wait, 0)


@wait
def sleep(stack: ExitStack) -> Wait:
    return Wait(lambda: time.sleep(0.2))


@wait
def thread_join(stack: ExitStack) -> Wait:
    over = threading.Event()
    # Another thread runs over its end while the freeze stands, so it must not be a part of it.
    other = start_own(over.wait)
    return Wait(other.join, over.set)


@wait
def timer_run(stack: ExitStack) -> Wait:
    ran: list[int] = []
    timer = threading.Timer(0.2, ran.append, (1,))

    def run() -> list[int]:
        timer.run()
        return ran

    return Wait(run, result=[1], untouched=lambda: not ran)


@wait
def future_result(stack: ExitStack) -> Wait:
    future: Future[int] = Future()
    return Wait(future.result, lambda: future.set_result(1), 1)


@wait
def futures_wait(stack: ExitStack) -> Wait:
    future: Future[int] = Future()
    return Wait(
        lambda: len(concurrent.futures.wait([future]).done), lambda: future.set_result(1), 1
    )


@wait
def as_completed(stack: ExitStack) -> Wait:
    future: Future[int] = Future()
    return Wait(
        lambda: [f.result() for f in concurrent.futures.as_completed([future])],
        lambda: future.set_result(1),
        [1],
    )
