"""All that `freezethreads.sync` has to wait for, but for queues: see `pipeline`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from threading import BrokenBarrierError
from time import monotonic

from freezethreads import World, sync
from freezethreads.testing import Actor, Role, Scenario, Violation
from stress._pair import Pair

PERMITS = 2
MANY = 8
"""Items that are there if nobody takes any."""
CLOCK = 1e-6
"""Seconds that sums of times are rounded by, at most."""
SHORT = 0.003
"""Seconds: the time-out of a wait, on average."""


class Waits(Scenario):
    """Threads wait for locks, permits, items, events and each other, some with a time-out.

    Whoever gets something gives it back before it comes to a door. So in a world every lock is free
    and every permit is there, unless somebody was given one while it stood; the controller takes
    them all and gives them back, with those who wait for them standing by. Under each lock a
    pair is broken and mended, which shows two that have it. A wait whose time has run out does not
    say so earlier; a wait that has got something has.
    """

    def setup(self) -> None:
        self.locks = [(lock, Pair(f"a {lock!r}")) for lock in (sync.Lock(), sync.RLock())]
        self.permits: list[tuple[sync.Semaphore | sync.BoundedSemaphore, dict[Actor, None]]] = [
            (sync.Semaphore(PERMITS), {}),
            (sync.BoundedSemaphore(PERMITS), {}),
        ]
        self.event = sync.Event()
        self.condition = sync.Condition()
        self.items: list[str] = []  # these three under the condition's lock
        self.made, self.taken = 0, 0
        self.barrier = sync.Barrier(2 + self.threads // 16)
        self.arrived: dict[str, int] = {}  # how often each has come to the barrier
        self.waiting: dict[Actor, None] = {}
        self.mean = 0.0005 * self.threads  # seconds of a rest: not all can run at once

    def actors(self) -> Iterable[Role]:
        return [
            Role(self.wait, max(2, self.threads - self.barrier.parties)),
            Role(self.meet, self.barrier.parties),
            Role(self.provide),
        ]

    def wait(self, actor: Actor) -> None:
        self.waiting[actor] = None
        ways = [self.lock_it, self.lock_it, self.take_permit, self.await_event, self.take_item]
        while not actor.over:
            actor.random.choice(ways)(actor)
            if actor.random.random() < 0.5:
                self.freezer.safepoint("with empty hands")
            else:
                actor.pause(self.mean)
            actor.step()
        del self.waiting[actor]

    def get(self, actor: Actor, wait: Callable[[float | None], bool]) -> bool:
        """Wait, perhaps with a time-out; whether that was successful."""
        timeout = actor.random.expovariate(1 / SHORT) if actor.random.random() < 0.5 else None
        began = monotonic()
        success = wait(timeout)
        waited = monotonic() - began
        if not success and (timeout is None or waited < timeout - CLOCK):
            raise Violation(f"a wait for {timeout} s was given up after {waited} s")
        return success

    def lock_it(self, actor: Actor) -> None:
        lock, pair = actor.random.choice(self.locks)
        if self.get(
            actor, lambda timeout: lock.acquire(timeout=-1 if timeout is None else timeout)
        ):
            pair.check()
            if isinstance(lock, sync.RLock):
                with lock:
                    pair.change(actor.random)
            pair.change(actor.random)
            lock.release()

    def take_permit(self, actor: Actor) -> None:
        semaphore, users = actor.random.choice(self.permits)
        if self.get(actor, lambda timeout: semaphore.acquire(timeout=timeout)):
            users[actor] = None
            if len(users) > PERMITS:
                raise Violation(f"{len(users)} threads have one of {PERMITS} permits")
            del users[actor]
            with self.freezer.no_freeze():  # it waits for the semaphore's own lock, as anybody does
                semaphore.release()

    def await_event(self, actor: Actor) -> None:
        self.get(actor, self.event.wait)

    def take_item(self, actor: Actor) -> None:
        with self.condition:
            if self.get(actor, lambda timeout: self.condition.wait_for(self.has_items, timeout)):
                self.items.pop()
                self.taken += 1

    def has_items(self) -> bool:
        return bool(self.items)

    def provide(self, actor: Actor) -> None:
        """Set the event and make items, as long as anybody waits for them."""
        while not actor.over or self.waiting:
            self.event.set()
            with self.condition:
                for _ in range(MANY - len(self.items)):
                    self.items.append("an item")
                    self.made += 1
                self.condition.notify(len(self.items))
            if actor.random.random() < 0.5:
                self.event.clear()
            if actor.random.random() < 0.3:
                self.freezer.todo_all(
                    int
                )  # wakes all who wait, and they wait for the rest of the time
            actor.pause(0.0002)
            actor.step()

    def meet(self, actor: Actor) -> None:
        """Nobody comes back from the barrier before all are there."""
        while not actor.over:
            self.arrived[actor.name] = mine = actor.steps + 1
            try:
                self.barrier.wait()
            except BrokenBarrierError:
                break
            arrived = list(self.arrived.values())
            if len(arrived) < self.barrier.parties or min(arrived) < mine:
                raise Violation(f"{actor.name} was let through, but not all are there: {arrived}")
            actor.step()
        self.barrier.abort()

    def invariant(self, world: World) -> None:
        for lock in (*(lock for lock, _ in self.locks), self.condition):
            if not lock.acquire(blocking=False):
                raise Violation(f"a thread stands, and owns {lock!r}")
            lock.release()
        for semaphore, _ in self.permits:
            if not all([semaphore.acquire(blocking=False) for _ in range(PERMITS)]):
                raise Violation(f"a thread stands, and has a permit of {semaphore!r}")
            semaphore.release(PERMITS)
        for _, pair in self.locks:
            pair.check()
        if self.made != self.taken + len(self.items):
            raise Violation(f"of {self.made} items, {self.taken} and {len(self.items)} are left")
