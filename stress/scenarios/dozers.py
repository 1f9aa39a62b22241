"""Threads in freezable waits that do not end, and what is asked of them meanwhile."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from concurrent.futures import Future

from freezethreads import ThreadExited, World, sync
from freezethreads.testing import Actor, Role, Scenario, Violation
from stress._pair import Pair

SHORT = 0.0005
"""Seconds in which a thread that was woken would have taken what is there."""


class Dozers(Scenario):
    """Each waits for one thing until the run is over, and makes its todos, without a waker.

    It makes them while it waits, in its own context and in no world. So a todo that does not wake
    its thread is seen as an asker that makes no step; and one that ends the wait, as a thread that
    has gone on for nothing. What they wait for is offered to them while they stand.
    """

    def setup(self) -> None:
        self.pairs: dict[str, Pair] = {}
        self.over = False
        self.event = sync.Event()
        self.queue: sync.SimpleQueue[None] = sync.SimpleQueue()
        self.lock = sync.Lock()
        self.lock.acquire()

    def actors(self) -> Iterable[Role]:
        each = max(1, self.threads // 4)
        waits = [self.wait_for_event, self.wait_for_item, self.wait_for_lock]
        return [
            *(Role(wait, each, idle=True) for wait in waits),
            Role(self.ask, each, registered=False),
            Role(self.end, registered=False, idle=True),
        ]

    def wait_for_event(self, actor: Actor) -> None:
        self.begin(actor)
        self.event.wait()
        self.check_over(actor)

    def wait_for_item(self, actor: Actor) -> None:
        self.begin(actor)
        self.queue.get()
        self.check_over(actor)

    def wait_for_lock(self, actor: Actor) -> None:
        self.begin(actor)
        with self.lock:
            self.check_over(actor)

    def begin(self, actor: Actor) -> None:
        self.pairs[actor.name] = Pair(actor.name)

    def check_over(self, actor: Actor) -> None:
        if not self.over:
            raise Violation(f"{actor.name} does not wait any more, and has got nothing")

    def ask(self, actor: Actor) -> None:
        while not actor.over:
            for future in self.freezer.todo_all(self.change):
                self.wait_for(future)
            actor.pause(0.0005)
            actor.step()

    def wait_for(self, future: Future[None]) -> None:
        try:
            future.result()
        except ThreadExited:
            if not self.over:
                raise

    def change(self) -> None:
        """The todo."""
        pair = self.pairs.get(threading.current_thread().name)
        if pair is not None:
            pair.change(self.random)

    def end(self, actor: Actor) -> None:
        """Let them have what they wait for, when nobody else has a world."""
        while not actor.over:
            actor.pause(0.05)
        with actor.freeze():
            self.over = True
            self.event.set()
            for _ in range(self.threads):
                self.queue.put(None)
            self.lock.release()

    def invariant(self, world: World) -> None:
        for pair in list(self.pairs.values()):
            pair.check()
        if not self.over:
            self.offer()

    def offer(self) -> None:
        """Nobody who stands takes anything, though it is there and others wait for it."""
        self.lock.release()
        time.sleep(SHORT)
        if not self.lock.acquire(blocking=False):
            raise Violation("a thread that stands has got the lock")
        self.queue.put(None)
        time.sleep(SHORT)
        if self.queue.empty():
            raise Violation("a thread that stands has taken an item")
        self.queue.get_nowait()
