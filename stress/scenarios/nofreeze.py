"""Sections in which nobody may be stopped, with doors of the freezer in them."""

from __future__ import annotations

import threading
from collections.abc import Iterable

from freezethreads import World, sync
from freezethreads.testing import Actor, Role, Scenario, Violation
from stress._pair import Pair


class NoFreeze(Scenario):
    """Inside `no_freeze()` threads pass safepoints, regions and waits with a lock held.

    They have a broken pair there and own the one lock; so a freeze that stops a thread in such a
    section finds both. Who waits for the lock is inside as well: the freeze waits for them all. A
    todo is made outside only.
    """

    pause = 0.002

    def setup(self) -> None:
        self.pairs: dict[str, Pair] = {}
        self.lock = threading.Lock()
        self.early: list[str] = []  # who made a todo inside

    def actors(self) -> Iterable[Role]:
        return [Role(self.work, self.threads), Role(self.ask, registered=False)]

    def work(self, actor: Actor) -> None:
        pair = self.pairs[actor.name] = Pair(actor.name)
        ways = [self.enter, self.enter, self.enter_from_region, self.enter_twice]
        while not actor.over:
            actor.random.choice(ways)(actor, pair)
            if actor.random.random() < 0.5:
                self.freezer.safepoint("outside")
            else:
                actor.pause(0.0002)
            actor.step()

    def enter(self, actor: Actor, pair: Pair) -> None:
        with self.freezer.no_freeze(), self.lock:
            self.update(actor, pair)

    def enter_from_region(self, actor: Actor, pair: Pair) -> None:
        """Inside, the region does not count: the thread runs, until it is back in the region."""
        with self.freezer.blocking("around the section"):
            self.enter(actor, pair)

    def enter_twice(self, actor: Actor, pair: Pair) -> None:
        with self.freezer.no_freeze():
            self.enter(actor, pair)
            pair.left += 1
            self.freezer.safepoint("inside the outer one")
            pair.right += 1

    def update(self, actor: Actor, pair: Pair) -> None:
        """Break the pair, pass a door, and mend it."""
        pair.left += 1
        door = actor.random.randrange(3)
        if door == 0:
            self.freezer.safepoint("inside")
        elif door == 1:
            with self.freezer.blocking("inside"):
                pass
        else:
            sync.sleep(0.0001)
        pair.right += 1

    def ask(self, actor: Actor) -> None:
        while not actor.over:
            self.freezer.todo_all(self.look)
            actor.pause(0.002)
            actor.step()

    def look(self) -> None:
        """A todo."""
        pair = self.pairs.get(threading.current_thread().name)
        if pair is not None and pair.left != pair.right:
            self.early.append(pair.who)

    def invariant(self, world: World) -> None:
        if self.early:
            raise Violation(f"{self.early[0]} made a todo inside no_freeze()")
        if self.lock.locked():
            raise Violation("a thread stands, and owns the lock")
        for pair in list(self.pairs.values()):
            pair.check()
