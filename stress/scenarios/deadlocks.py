"""Who waits for whom: threads that only seem to be in a deadlock, and some that are."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

from freezethreads import Deadlock, World, sync
from freezethreads._ground.frames import HAS_GIL
from freezethreads._machine.deadlocks import find_deadlocks
from freezethreads.testing import Actor, Role, Scenario, Violation
from stress.rings import Decoy, Ring

EVERLASTING = 8
"""Rings that nobody can take apart, in one run: their threads stay."""
PATIENCE = 20.0
"""Seconds until a ring is found, on a machine that is busy."""


class Deadlocks(Scenario):
    """Threads use locks as hard as they can, in each way that there is, and none is ever in a
    deadlock; and a controller makes rings of threads that are, and decoys.

    Each ring is found, with its threads in their order, and nothing else is. One that the
    controller takes apart afterwards was not certain.
    """

    def setup(self) -> None:
        kinds: list[Callable[[], Any]] = [sync.Lock, sync.RLock]
        if HAS_GIL:
            kinds += [threading.Lock, threading.RLock]
        self.locks = [kind() for kind in kinds for _ in range(3)]
        self.condition = threading.Condition()
        self.items: list[int] = []
        self.pinged, self.ponged = threading.Semaphore(0), threading.Semaphore(0)
        self.rings: list[Ring] = []

    def actors(self) -> Iterable[Role]:
        def role(play: Callable[[Actor], object], count: int = 1) -> Role:
            return Role(play, count, registered=False, idle=True)

        yield role(self.nest, max(2, self.threads // 2))
        yield role(self.hand_over, 2)
        yield role(self.produce)
        yield role(self.consume, 2)
        yield role(self.ping)
        yield role(self.pong)
        yield role(self.start_and_join)

    # Who only seems to be in one.

    def nest(self, actor: Actor) -> None:
        """Some locks, in their order."""
        while not actor.over:
            some = sorted(actor.random.sample(range(len(self.locks)), actor.random.randint(1, 4)))
            self.take([self.locks[i] for i in some], actor.random)
            actor.step()

    def take(self, locks: list[Any], choices: random.Random) -> None:
        if not locks:
            time.sleep(choices.choice((0, 0, 0.0001)))
            return
        first, *others = locks
        if choices.random() < 0.5:
            with first:
                self.take(others, choices)
            return
        first.acquire()
        try:
            self.take(others, choices)
        finally:
            first.release()

    def hand_over(self, actor: Actor) -> None:
        """Hand over hand along a list, as one locks the nodes of one."""
        while not actor.over:
            lock = self.locks[0]
            lock.acquire()
            for other in self.locks[1:]:
                other.acquire()
                lock.release()
                lock = other
            lock.release()
            actor.step()

    def produce(self, actor: Actor) -> None:
        while not actor.over:
            with self.condition:
                self.items.append(1)
                self.condition.notify()
            actor.step()
        with self.condition:
            self.items += [1] * 9
            self.condition.notify_all()

    def consume(self, actor: Actor) -> None:
        while not actor.over:
            with self.condition:
                self.condition.wait_for(lambda: self.items)
                self.items.pop()
            actor.step()

    def ping(self, actor: Actor) -> None:
        """Two semaphores, each of which one thread releases for the other."""
        while not actor.over:
            self.pinged.release()
            self.ponged.acquire()
            actor.step()
        self.pinged.release()

    def pong(self, actor: Actor) -> None:
        self.pinged.acquire()
        while not actor.over:
            self.ponged.release()
            self.pinged.acquire()
            actor.step()
        self.ponged.release()

    def start_and_join(self, actor: Actor) -> None:
        while not actor.over:
            threads = [threading.Thread(target=self.take, args=(self.locks, actor.random))]
            threads += [threading.Thread(target=thread.join) for thread in threads]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            actor.step()

    # Who is in one.

    def control(self, actor: Actor) -> None:
        lasting = sum(ring.lasts for ring in self.rings)
        ring = Ring(actor.random, may_last=lasting < EVERLASTING)
        self.rings.append(ring)
        decoy = Decoy()
        began = time.monotonic()
        while not self.finds_all() and time.monotonic() - began < PATIENCE:
            actor.pause(self.pause)
        with actor.freeze() as world:
            actor.check(world)
        self.take_apart()
        decoy.end()
        actor.step()

    def invariant(self, world: World) -> None:
        if not self.finds_all():
            raise Violation(f"not all are found: {self.rings}")

    def finds_all(self) -> bool:
        """Whether all rings are found. Raises `Violation` if anything else is.

        Nobody waits for a sign here, so references are not looked at: that takes a second while
        threads switch so often.
        """
        return {self.ring_of(one) for one in find_deadlocks()} == set(self.rings)

    def ring_of(self, deadlock: Deadlock) -> Ring:
        for ring in self.rings:
            if ring.is_in(deadlock):
                if deadlock.certain is not ring.lasts:
                    raise Violation(f"{ring} can be taken apart: {not ring.lasts}, and\n{deadlock}")
                return ring
        raise Violation(f"nobody has made this:\n{deadlock}")

    def take_apart(self) -> None:
        for ring in [ring for ring in self.rings if not ring.lasts]:
            ring.take_apart()
            self.rings.remove(ring)

    def teardown(self) -> None:
        self.take_apart()


def acquire(lock: Any) -> None:
    lock.acquire()


def release(lock: Any) -> None:
    lock.release()
