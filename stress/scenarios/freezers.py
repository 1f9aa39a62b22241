"""Two freezers over the same threads, which make calls for the worlds of both."""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import ExitStack

from freezethreads import Freezer, ThreadBlocked, World
from freezethreads.testing import Actor, Role, Scenario, Violation
from stress._pair import Pair

PATIENT = 6
"""Times a freeze's usual time-out."""


class Freezers(Scenario):
    """Each of two freezers stops the same threads, and has them make calls in its worlds.

    A call changes the thread's pair. So the other freezer, which knows nothing of it, finds a pair
    torn, or changed, if it takes a thread that makes a call for one that stands; or if a thread
    that it holds makes one.
    """

    def setup(self) -> None:
        self.other = Freezer("the other one")
        self.pairs: dict[str, Pair] = {}
        self.workers: list[Actor] = []
        self.patient = PATIENT * self.freeze_timeout

    def actors(self) -> Iterable[Role]:
        return [
            Role(self.work, max(2, self.threads - 2)),
            Role(self.freeze_with_other, registered=False),
        ]

    def work(self, actor: Actor) -> None:
        pair = self.pairs[actor.name] = Pair(actor.name)
        with ExitStack() as stack:
            stack.enter_context(self.other.register(actor.name))
            self.workers.append(actor)
            while not actor.over:
                pair.change(actor.random)
                if actor.random.random() < 0.5:
                    self.freezer.safepoint("the one's")
                    self.other.safepoint("the other's")
                else:
                    actor.pause(0.0001)
                actor.step()
            self.workers.remove(actor)

    def freeze_with_other(self, actor: Actor) -> None:
        while not actor.over:
            actor.pause(self.pause)
            with self.other.freeze(timeout=self.patient) as world:
                self.look(actor, world)
            actor.step()

    def control(self, actor: Actor) -> None:
        actor.pause(self.pause)
        with actor.freeze(timeout=self.patient) as world:
            actor.check(world)
            self.look(actor, world)
        actor.step()

    def look(self, actor: Actor, world: World) -> None:
        """See whether all are whole and at rest for a while, and then have one make a call."""
        names = [info.name for info in world.threads if info.name in self.pairs]
        before = self.counts(names)
        actor.pause(self.stand)
        if self.counts(names) != before:
            raise Violation(f"{actor.name} has stopped all, but some go on")
        for worker in actor.random.sample(workers := list(self.workers), min(2, len(workers))):
            if worker.name in names:
                try:
                    world.call(worker.thread, self.change, actor, self.pairs[worker.name])
                except ThreadBlocked:
                    pass  # the other one holds it

    def change(self, actor: Actor, pair: Pair) -> None:
        """A call: take long enough for the other freezer to look."""
        pair.left += 1
        time.sleep(actor.random.expovariate(1 / self.stand))
        pair.right += 1

    def counts(self, names: list[str]) -> list[int]:
        pairs = [self.pairs[name] for name in names]
        for pair in pairs:
            pair.check()
        return [pair.left for pair in pairs]

    def invariant(self, world: World) -> None:
        for info in world.threads:
            if info.name in self.pairs:
                self.pairs[info.name].check()
