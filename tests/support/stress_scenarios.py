"""Scenarios for the tests of the torture runner: one in order, and each kind that is not."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterable

from freezethreads import World
from freezethreads.testing import Actor, Role, Scenario, Violation


class Sound(Scenario):
    """Two threads that count; nothing is wrong."""

    def setup(self) -> None:
        self.pairs = [[0, 0] for _ in range(2)]

    def actors(self) -> Iterable[Role]:
        return [Role(self.count, 2)]

    def count(self, actor: Actor) -> None:
        pair = self.pairs[int(actor.number)]
        while not actor.over:
            pair[0] += 1
            self.between(actor)
            pair[1] += 1
            self.freezer.safepoint("counted")
            actor.step()

    def between(self, actor: Actor) -> None:
        """What is done while the pair is torn."""

    def invariant(self, world: World) -> None:
        for one, other in self.pairs:
            if one != other:
                raise Violation(f"a pair is torn: {one} and {other}")


class Torn(Sound):
    """A safepoint where the invariant does not hold."""

    def between(self, actor: Actor) -> None:
        self.freezer.safepoint("between the halves")


class Restless(Sound):
    """A thread that goes on while it counts as stopped."""

    stand = 0.02  # long enough for it to get the interpreter

    def actors(self) -> Iterable[Role]:
        return [Role(self.count), Role(self.move)]

    def move(self, actor: Actor) -> None:
        with self.freezer.blocking("moving all the same"):
            while not actor.over:
                actor.step()


class Lazy(Sound):
    """One thread does nothing that counts."""

    def actors(self) -> Iterable[Role]:
        return [Role(self.count), Role(self.rest), Role(self.rest, idle=True)]

    def rest(self, actor: Actor) -> None:
        while not actor.over:
            self.freezer.safepoint()
            time.sleep(0.001)


class Overdue(Sound):
    """One thread makes its first step when the run's time is over."""

    begin = 0.3

    def actors(self) -> Iterable[Role]:
        return [Role(self.count), Role(self.begin_late)]

    def begin_late(self, actor: Actor) -> None:
        with self.freezer.blocking("busy"):
            time.sleep(self.begin)
        if not actor.over:
            actor.step()


class Unfrozen(Sound):
    """Nobody freezes anything."""

    controllers = 0


class Unready(Sound):
    """It cannot even be set up."""

    def setup(self) -> None:
        raise OSError("no such state")


class Late(Sound):
    """A thread comes to its first safepoint when a freeze has given up."""

    def actors(self) -> Iterable[Role]:
        return [Role(self.count), Role(self.dawdle)]

    def dawdle(self, actor: Actor) -> None:
        while not (actor.over or self.freezer.statistics().timeouts):
            time.sleep(0.001)
        while not (actor.over or self.freezer.statistics().freezes):
            self.freezer.safepoint()
        actor.step()  # for which a run waits


class Patient(Late):
    """The same, but that is what it is for."""

    may_time_out = True


class Stuck(Sound):
    """A thread that counts as stopped, and never comes back before the test lets it go."""

    gate = threading.Event()

    def actors(self) -> Iterable[Role]:
        return [Role(self.count), Role(self.hang)]

    def hang(self, actor: Actor) -> None:
        with self.freezer.blocking("stuck"):
            self.gate.wait()


class Crashing(Sound):
    """The process dies."""

    def teardown(self) -> None:
        os.abort()


class Lingering(Sound):
    """The process does not come to its end."""

    def teardown(self) -> None:
        threading.Thread(target=threading.Event().wait).start()
