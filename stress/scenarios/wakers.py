"""Threads that wait for sockets, and are woken by their wakers alone."""

from __future__ import annotations

import logging
import select
import socket
import threading
from collections.abc import Iterable

from freezethreads import NotRegistered, ThreadExited, World
from freezethreads.testing import Actor, Role, Scenario, Violation
from stress._pair import Pair

ANSWER = 60.0
"""Seconds in which a todo is made."""


class Reports(logging.Handler):
    """Takes what the freezer says of wakers that raise."""

    def emit(self, record: logging.LogRecord) -> None:
        self.seen = True

    seen = False


class Sleeper(Pair):
    """A pair, the two ends of a thread's doorbell, of which the waker rings one."""

    def __init__(self, actor: Actor) -> None:
        super().__init__(actor.name)
        self.group = actor.role.group
        self.inside, self.outside = socket.socketpair()
        self.inside.setblocking(False)
        self.outside.setblocking(False)
        self.thread = threading.current_thread()

    def ring(self) -> None:
        """The waker."""
        try:
            self.outside.send(b"!")
        except BlockingIOError:
            pass  # it rings already, many times

    def ring_and_raise(self) -> None:
        """A waker that works, and breaks."""
        self.ring()
        raise RuntimeError("this waker raises")

    def close(self) -> None:
        """Not before the end of all: somebody may ring who does not know that it has gone."""
        self.inside.close()
        self.outside.close()

    def wait(self) -> None:
        """Wait for a ring, and forget it."""
        select.select([self.inside], [], [])
        try:
            self.inside.recv(4096)
        except BlockingIOError:
            pass


class Wakers(Scenario):
    """Threads wait in `select()` for ever, most of them in no blocking region.

    So none comes to a safepoint, or makes a todo, unless its waker is called each time something is
    asked of it, after it was asked. A waker that raises is reported, and nobody else's is skipped.
    A freeze that times out, or a todo that is not made, is what a lost ring looks like; so half of
    them are only ever frozen, and the others only asked for todos.
    """

    pause = 0.003

    def setup(self) -> None:
        self.sleepers: dict[str, Sleeper] = {}
        self.reports = Reports()
        self.logger = logging.getLogger("freezethreads")
        self.logger.addHandler(self.reports)
        self.logger.propagate = False

    def actors(self) -> Iterable[Role]:
        return [
            Role(self.sleep, max(1, self.threads // 4), group="frozen", registered=False),
            Role(self.sleep, max(1, self.threads // 4), group="asked", registered=False),
            Role(self.ask, max(1, self.threads // 4), registered=False),
            Role(self.ring_at_the_end, registered=False, idle=True),
        ]

    def sleep(self, actor: Actor) -> None:
        sleeper = Sleeper(actor)
        waker = sleeper.ring_and_raise if int(actor.number) % 2 else sleeper.ring
        own = self.freezer.register(actor.name, group=actor.role.group, waker=waker)
        self.sleepers[actor.name] = sleeper
        with own:
            while not actor.over:
                self.wait(actor, sleeper)
                sleeper.change(actor.random)
                self.freezer.safepoint("woken")
                actor.step()

    def wait(self, actor: Actor, sleeper: Sleeper) -> None:
        if actor.random.random() < 0.3:
            with self.freezer.blocking("in a region as well"):
                sleeper.wait()
        else:
            sleeper.wait()

    def ask(self, actor: Actor) -> None:
        while not actor.over:
            asked = [each for each in list(self.sleepers.values()) if each.group == "asked"]
            if asked:
                self.ask_one(actor, actor.random.choice(asked))
            actor.pause(0.0005)
            actor.step()

    def ask_one(self, actor: Actor, sleeper: Sleeper) -> None:
        count = actor.random.randrange(1, 4)
        try:
            for future in [self.freezer.todo(sleeper.thread, self.make) for _ in range(count)]:
                if future.result(ANSWER) is not sleeper:
                    raise Violation(f"a todo for {sleeper.who} was made by another thread")
        except (NotRegistered, ThreadExited):
            if not actor.over:
                raise

    def make(self) -> Sleeper:
        """The todo."""
        sleeper = self.sleepers[threading.current_thread().name]
        sleeper.change(self.random)
        return sleeper

    def ring_at_the_end(self, actor: Actor) -> None:
        while not actor.over:
            actor.pause(0.05)
        for sleeper in list(self.sleepers.values()):
            sleeper.ring()

    def control(self, actor: Actor) -> None:
        actor.pause(self.pause)
        with actor.freeze(group="frozen") as world:
            actor.check(world)
        actor.step()

    def invariant(self, world: World) -> None:
        for sleeper in list(self.sleepers.values()):
            if sleeper.group == "frozen":
                sleeper.check()

    def teardown(self) -> None:
        self.logger.removeHandler(self.reports)
        self.logger.propagate = True
        for sleeper in self.sleepers.values():
            sleeper.close()
        if not self.reports.seen:
            raise Violation("wakers have raised, and nothing was reported")
