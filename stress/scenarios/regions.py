"""Blocking regions, entered and left without end."""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Iterable

from freezethreads import World
from freezethreads.testing import Actor, Role, Scenario, Violation
from stress._pair import Pair

LABEL = "a region"
HURRIED = 4
"""Threads that are in no region for long."""


class Regions(Scenario):
    """Threads are in a blocking region nearly always, and on their way in or out of it.

    Each breaks its pair in its first line after a region and mends it in its last one before the
    next; in between there is no safepoint. So a thread that leaves although it counts as stopped is
    seen, and so is one that stands anywhere but where it has said that it may.
    """

    pause = 0.0003

    def setup(self) -> None:
        self.pairs: list[Pair] = []
        self.silent, self.other = socket.socketpair()

    def actors(self) -> Iterable[Role]:
        return [Role(self.visit, self.threads)]

    def mean(self, actor: Actor) -> float:
        """Seconds in a region: few hurry, since not all can run at once."""
        return 0.00002 if int(actor.number) < HURRIED else 0.0002 * self.threads

    def visit(self, actor: Actor) -> None:
        pair = Pair(actor.name)
        self.pairs.append(pair)
        waits = [self.nothing, self.sleep, self.sleep, self.poll, self.nest, self.fail, self.stop]
        while not actor.over:
            with self.freezer.blocking(LABEL):
                actor.random.choice(waits)(actor)
            pair.change(actor.random)
            actor.step()

    def nothing(self, actor: Actor) -> None:
        pass

    def sleep(self, actor: Actor) -> None:
        time.sleep(actor.random.expovariate(1 / self.mean(actor)))

    def poll(self, actor: Actor) -> None:
        select.select([self.silent], [], [], self.mean(actor))

    def nest(self, actor: Actor) -> None:
        with self.freezer.blocking("inside", fork_safe=True):
            self.sleep(actor)

    def fail(self, actor: Actor) -> None:
        try:
            with self.freezer.blocking("inside"):
                self.sleep(actor)
                raise OSError("the call has failed")
        except OSError:
            pass

    def stop(self, actor: Actor) -> None:
        """Out of the region and back, if anything is asked."""
        self.freezer.safepoint(LABEL)
        self.sleep(actor)

    def invariant(self, world: World) -> None:
        for pair in self.pairs:
            pair.check()
        for info in world.threads:
            if info.site is None or info.site.label != LABEL:
                raise Violation(f"{info.name} stands at {info.site}, which is nowhere in {LABEL}")

    def teardown(self) -> None:
        self.silent.close()
        self.other.close()
