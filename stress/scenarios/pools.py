"""Pools whose workers are frozen while others submit, wait and shut down."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable
from concurrent.futures import Future

from freezethreads import ThreadPoolExecutor, World, sync
from freezethreads.testing import Actor, Role, Scenario, Violation
from stress._pair import Pair

ANSWER = 60.0
"""Seconds in which a call is made."""
AHEAD = 8
"""Calls that a submitter has under way."""


class Pools(Scenario):
    """One pool for all, and many that are made and shut down at once.

    A frozen pool takes what is submitted and dispatches nothing: in a world no call begins or ends.
    Each call has a pair, which it breaks between its beginning and a safepoint, and from there to
    its end. Each is made, and its future has what it returned; who shuts a pool down finds all its
    calls made. Whoever waits for a call or a pool, counts as stopped.
    """

    def setup(self) -> None:
        self.calls: dict[Pair, None] = {}  # those that have begun, and have not ended
        workers = max(1, self.threads // 2)
        self.pool = ThreadPoolExecutor(workers, freezer=self.freezer, group="pool")
        self.posted: list[Future[int]] = []  # in the last world

    def actors(self) -> Iterable[Role]:
        each = max(1, self.threads // 8)
        return [
            Role(self.submit, each, registered=False),
            Role(self.submit, each),
            Role(self.shut_down, each, registered=False),
            Role(self.shut_down, each),
        ]

    def submit(self, actor: Actor) -> None:
        asked: deque[Future[int]] = deque()
        while not actor.over:
            asked.append(self.pool.submit(self.call, actor.steps))
            if len(asked) > AHEAD:
                self.settle(actor.steps - AHEAD, asked.popleft())
            self.freezer.safepoint("between calls")
            actor.step()

    def shut_down(self, actor: Actor) -> None:
        """Make a pool, have it called, and wait for its end."""
        while not actor.over:
            pool = ThreadPoolExecutor(2, freezer=self.freezer, group="pool.short")
            futures = [
                pool.submit(self.call, number) for number in range(actor.random.randrange(6))
            ]
            cancel = actor.random.random() < 0.3
            pool.shutdown(cancel_futures=cancel)
            for number, future in enumerate(futures):
                if not future.done():
                    raise Violation("a pool was shut down, and a call is still to be made")
                if not (cancel and future.cancelled()):
                    self.settle(number, future)
            actor.pause(0.002)
            actor.step()

    def call(self, number: int) -> int:
        """What the workers do. They have a safepoint between two changes, perhaps, or a wait."""
        pair = Pair(threading.current_thread().name)
        self.calls[pair] = None
        pair.change(self.random)
        door = self.random.randrange(3)
        if door == 0:
            self.freezer.safepoint("in a call")
        elif door == 1:
            sync.sleep(0.0002)
        pair.change(self.random)
        del self.calls[pair]
        return number

    def settle(self, number: int, future: Future[int]) -> None:
        if future.result(ANSWER) != number:
            raise Violation(f"call {number} has returned {future.result()}")

    def control(self, actor: Actor) -> None:
        for future in self.posted:
            self.settle(-1, future)
        actor.pause(self.pause)
        with actor.freeze() as world:
            before = list(self.calls)
            actor.check(world)
            self.posted = list(self.submit_frozen())
            actor.pause(self.stand)
            actor.check(world)
            if list(self.calls) != before:
                raise Violation("a call has begun, or ended, in a frozen pool")
            if any(future.running() or future.done() for future in self.posted):
                raise Violation("a frozen pool has dispatched what was submitted to it")
        actor.step()

    def submit_frozen(self) -> Iterable[Future[int]]:
        """Some calls by the old workers, and one by a new one."""
        for pool in (self.pool, self.pool, ThreadPoolExecutor(1, freezer=self.freezer)):
            yield pool.submit(self.call, -1)
        pool.shutdown(wait=False)

    def invariant(self, world: World) -> None:
        for pair in list(self.calls):
            pair.check()

    def teardown(self) -> None:
        self.pool.shutdown()
