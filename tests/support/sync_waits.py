"""What the tests of `freezethreads.sync` wait for: each way to wait there is, seen from outside."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from freezethreads import sync
from freezing import actor
from sync_clock import Clock


@dataclass(frozen=True)
class Wait:
    """Something to wait for.

    `wait(timeout)` is the call that waits, and `give()` ends one such wait; `result` is what the
    call returns then, and `late` what it returns, or raises, when its time is over before. `take()`
    is what a controller may do in its world: take what was given; it returns whether it was there,
    and is always true where nobody can take anything. `label` is that of the site.
    """

    label: str
    wait: Callable[[float | None], object]
    give: Callable[[], object]
    take: Callable[[], bool] | None = None
    result: object = True
    late: object = False

    def is_there(self) -> bool:
        """Whether what was given has not been taken. It is taken if this is true."""
        return self.take is None or self.take()


Opener = Callable[[Clock], Any]
OPENERS: dict[str, Opener] = {}


def opener(make: Callable[[Clock], Iterator[Wait]]) -> Callable[[Clock], Any]:
    """Put one on the list, under its function's name."""
    OPENERS[make.__name__] = opened = contextmanager(make)
    return opened


def tried(call: Callable[[], object]) -> bool:
    """Whether the call found what it looks for."""
    try:
        call()
    except (queue.Empty, queue.Full):
        return False
    return True


def _of_lock(timeout: float | None) -> float:
    return -1 if timeout is None else timeout


@opener
def lock(clock: Clock) -> Iterator[Wait]:
    mutex = sync.Lock()
    mutex.acquire()
    yield Wait(
        "Lock.acquire",
        lambda timeout: mutex.acquire(timeout=_of_lock(timeout)),
        mutex.release,
        lambda: mutex.acquire(False),
    )


@opener
def rlock(clock: Clock) -> Iterator[Wait]:
    """Who gets it gives it back at once."""
    mutex = sync.RLock()

    def wait(timeout: float | None) -> bool:
        if not mutex.acquire(timeout=_of_lock(timeout)):
            return False
        mutex.release()
        return True

    with actor() as owner:
        owner.do(mutex.acquire)
        yield Wait(
            "RLock.acquire",
            wait,
            lambda: owner.do(mutex.release),
            lambda: owner.do(mutex.acquire, False),
        )


def _condition(mutex: Any) -> Iterator[Wait]:
    """What can be taken is its lock."""
    condition = sync.Condition(mutex)

    def wait(timeout: float | None) -> bool:
        with condition:
            return condition.wait(timeout)

    def give() -> None:
        with condition:
            condition.notify()

    def take() -> bool:
        free = bool(condition.acquire(False))
        if free:
            condition.release()
        return free

    yield Wait("Condition.wait", wait, give, take)


@opener
def condition(clock: Clock) -> Iterator[Wait]:
    yield from _condition(None)


@opener
def condition_of_lock(clock: Clock) -> Iterator[Wait]:
    yield from _condition(sync.Lock())


@opener
def condition_of_raw_lock(clock: Clock) -> Iterator[Wait]:
    yield from _condition(threading.Lock())


@opener
def condition_of_raw_rlock(clock: Clock) -> Iterator[Wait]:
    yield from _condition(threading.RLock())


@opener
def event(clock: Clock) -> Iterator[Wait]:
    event = sync.Event()
    yield Wait("Condition.wait", event.wait, event.set)


def _semaphore(semaphore: Any) -> Iterator[Wait]:
    while semaphore.acquire(False):
        pass
    yield Wait(
        "Condition.wait",
        lambda timeout: semaphore.acquire(timeout=timeout),
        semaphore.release,
        lambda: semaphore.acquire(False),
    )


@opener
def semaphore(clock: Clock) -> Iterator[Wait]:
    yield from _semaphore(sync.Semaphore(0))


@opener
def bounded_semaphore(clock: Clock) -> Iterator[Wait]:
    yield from _semaphore(sync.BoundedSemaphore(3))


@opener
def barrier(clock: Clock) -> Iterator[Wait]:
    barrier = sync.Barrier(2)
    late = threading.BrokenBarrierError
    yield Wait("Condition.wait", barrier.wait, barrier.wait, result=0, late=late)


def _get(items: Any, label: str) -> Iterator[Wait]:
    yield Wait(
        label,
        lambda timeout: items.get(timeout=timeout),
        lambda: items.put("item"),
        lambda: tried(items.get_nowait),
        result="item",
        late=queue.Empty,
    )


@opener
def queue_get(clock: Clock) -> Iterator[Wait]:
    yield from _get(sync.Queue(), "Condition.wait")


@opener
def lifo_queue_get(clock: Clock) -> Iterator[Wait]:
    yield from _get(sync.LifoQueue(), "Condition.wait")


@opener
def priority_queue_get(clock: Clock) -> Iterator[Wait]:
    yield from _get(sync.PriorityQueue(), "Condition.wait")


@opener
def simple_queue_get(clock: Clock) -> Iterator[Wait]:
    yield from _get(sync.SimpleQueue(), "SimpleQueue.get")


@opener
def queue_put(clock: Clock) -> Iterator[Wait]:
    full: sync.Queue[str] = sync.Queue(1)
    full.put("first")
    yield Wait(
        "Condition.wait",
        lambda timeout: full.put("item", timeout=timeout),
        full.get_nowait,
        lambda: tried(lambda: full.put_nowait("other")),
        result=None,
        late=queue.Full,
    )


@opener
def queue_join(clock: Clock) -> Iterator[Wait]:
    """It takes no time-out."""
    tasks: sync.Queue[str] = sync.Queue()
    tasks.put("task")
    yield Wait("Condition.wait", lambda _: tasks.join(), tasks.task_done, result=None)


@opener
def sleep(clock: Clock) -> Iterator[Wait]:
    yield Wait(
        "sleep",
        lambda timeout: sync.sleep(3600 if timeout is None else timeout),
        lambda: clock.advance(3600),
        result=None,
        late=None,
    )


TIMED = [name for name in OPENERS if name != "queue_join"]
EXCLUSIVE = [  # what is given can be had by one alone
    "lock",
    "rlock",
    "semaphore",
    "bounded_semaphore",
    "queue_get",
    "lifo_queue_get",
    "priority_queue_get",
    "simple_queue_get",
    "queue_put",
]
