"""Producers and consumers under load: at every freeze, items produced are consumed or in the queue.

Each thread counts outside of the queue, right after its call has returned. That is exact: a call
stops at its beginning, or in its wait, with nothing put and nothing taken; when it has put or taken
something it returns, and the thread counts, before it stops anywhere.
"""

from __future__ import annotations

import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from freezethreads import Freezer, World, sync
from helpers import WAIT, Worker, start, wait_until

FREEZES = 1000

PLENTY = 50
"""With more items in an unbounded queue the producers let the consumers catch up."""


class Plant:
    """`producers` that put and `consumers` that get, as fast as they can, until they are told."""

    def __init__(self, items: Any, producers: int, consumers: int) -> None:
        self.freezer = Freezer("plant")
        self.items = items
        self.produced = [0] * producers
        self.consumed = [0] * consumers
        self.over = False
        self._ready = threading.Barrier(producers + consumers + 1)
        self.threads: list[Worker[None]] = [
            *(start(self._produce, index) for index in range(producers)),
            *(start(self._consume, index) for index in range(consumers)),
        ]
        self._ready.wait(WAIT)

    def _produce(self, index: int) -> None:
        with self.freezer.register(f"producer {index}"):
            self._ready.wait(WAIT)
            while not self.over:
                self.items.put("item")
                self.produced[index] += 1
                if isinstance(self.items, sync.SimpleQueue):
                    self.freezer.safepoint("between two puts")  # of which none ever waits
                while self.items.qsize() > PLENTY and not self.over:
                    sync.sleep(1e-4)

    def _consume(self, index: int) -> None:
        with self.freezer.register(f"consumer {index}"):
            self._ready.wait(WAIT)
            while self.items.get() is not None:
                self.consumed[index] += 1

    def work(self, items: int) -> None:
        """Return when so many more items have been consumed, and produced."""
        for counts in (self.produced, self.consumed):
            enough = sum(counts) + items
            deadline = time.monotonic() + WAIT
            while sum(counts) < enough:
                assert time.monotonic() < deadline, f"stuck: {self.freezer.threads()}"
                time.sleep(0)

    def check(self, world: World) -> None:
        """Nothing is lost, nothing is in anybody's hands, and nobody moves."""
        before = self.produced[:], self.consumed[:], self.items.qsize()
        assert sum(self.produced) == sum(self.consumed) + self.items.qsize()
        assert before == (self.produced, self.consumed, self.items.qsize())
        assert len(world.threads) == len(self.threads)

    def finish(self) -> None:
        """Let the producers end, and then the consumers."""
        self.over = True
        for thread in self.threads[: len(self.produced)]:
            thread.finish()
        wait_until(lambda: not self.items.qsize())  # else they lie above it: last in, first out
        for _ in self.consumed:
            self.items.put(None)
        for thread in self.threads[len(self.produced) :]:
            thread.finish()


@contextmanager
def working(items: Any, producers: int, consumers: int) -> Iterator[Plant]:
    """A plant at work; at the end all that was produced has been consumed."""
    plant = Plant(items, producers, consumers)
    try:
        yield plant
    finally:
        plant.finish()
    assert sum(plant.produced) == sum(plant.consumed)
    assert items.qsize() == 0


QUEUES: dict[str, Callable[[], Any]] = {
    "bounded": lambda: sync.Queue(3),
    "of one": lambda: sync.Queue(1),
    "unbounded": sync.Queue,
    "last in, first out": lambda: sync.LifoQueue(3),
    "simple": sync.SimpleQueue,
}


@pytest.fixture(autouse=True)
def quick_switches() -> Iterator[None]:
    """Let the threads, which compute, take short turns where there is a GIL."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-4)
    yield
    sys.setswitchinterval(before)


@pytest.mark.parametrize("name", QUEUES)
def test_at_every_freeze_each_item_is_accounted_for(name: str) -> None:
    labels: Counter[str | None] = Counter()
    with working(QUEUES[name](), 2, 2) as plant:
        for _ in range(FREEZES):
            plant.work(2)
            with plant.freezer.freeze(timeout=WAIT) as world:
                plant.check(world)
                labels.update(info.site.label for info in world.threads if info.site)
    assert sum(plant.produced) > FREEZES
    usual = {"between two puts", "SimpleQueue.get", "sleep"}
    if name != "simple":
        usual = {"Queue.put", "Queue.get", "Condition.wait", "Lock.acquire", "sleep"}
    assert set(labels) <= usual
    assert labels


def test_at_every_freeze_each_permit_is_accounted_for() -> None:
    """Also one that its thread is about to give back: that may have to wait, and then stands."""
    freezer = Freezer("permits")
    permits = sync.Semaphore(2)
    held, turns = [0] * 3, [0] * 3
    over = False

    def use(index: int) -> None:
        with freezer.register():
            while not over:
                permits.acquire()
                held[index] = 1
                turns[index] += 1
                freezer.safepoint()
                permits.release()
                held[index] = 0

    threads = [start(use, index) for index in range(3)]
    try:
        while sum(turns) < FREEZES:
            with freezer.freeze(timeout=WAIT):
                free = sum(permits.acquire(False) for _ in range(3))
                assert sum(held) + free == 2
                if free:
                    permits.release(free)
    finally:
        over = True
        for thread in threads:
            thread.finish()
