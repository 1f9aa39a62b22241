"""Threads that nobody prepared, stopped between two bytecodes: each kind of work, and of wait."""

from __future__ import annotations

import queue
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from itertools import cycle
from typing import Any, Literal

from freezethreads import World, sync
from freezethreads.testing import Actor, Role, Scenario, Violation

PATIENT = 6
"""Times a freeze's usual time-out: who is in a section has to leave it, bytecode by bytecode."""
ACCOUNTS = 8
LONG = 20
"""Turns of a loop between the two halves of a transfer, at most."""
DOZE = 0.02
"""Seconds for which a lock is held on as a freeze has begun: some looks at who waits for it."""

if sys.version_info >= (3, 12):  # before, there is nothing to stop them with

    class Engine(Scenario):
        """Accounts under locks of each form, and waits in C that all end while everybody stands.

        With `where="unlocked"` the controller finds every sum right and every lock free; with
        `"anywhere"` all stand just as still. What it puts into a queue or a socket meanwhile nobody
        takes account of before the thaw. After it nothing of the engine is left.
        """

        controllers = 1

        def setup(self) -> None:
            self.accounts = [[100] * ACCOUNTS for _ in range(4)]
            self.lock, self.rlock = threading.Lock(), threading.RLock()
            self.bed, self.owned = threading.Lock(), sync.Lock()
            self.condition = threading.Condition()
            self.items: queue.Queue[int] = queue.Queue()
            self.simple: queue.SimpleQueue[int] = queue.SimpleQueue()
            self.here, self.there = socket.socketpair()
            self.counts: dict[str, int] = {}
            self.kinds: Iterator[Literal["unlocked", "anywhere"]] = cycle(("unlocked", "anywhere"))

        def actors(self) -> Iterable[Role]:
            works: list[Callable[[Actor], object]] = [
                self.with_lock,
                self.with_lock,
                self.dozes_with_lock,
                self.dozes_with_lock,
                self.between_acquire_and_release,
                self.between_two_calls,
                self.with_condition,
                self.waits_for_a_condition,
                self.get,
                self.get_simple,
                self.receive,
                self.doze,
                self.spin,
                self.begin,
            ]
            return [Role(self.playing(work), registered=False) for work in works]

        def playing(self, work: Callable[[Actor], object]) -> Callable[[Actor], None]:
            """The part of a thread that does this over and over."""

            def play(actor: Actor) -> None:
                while not actor.over:
                    work(actor)
                    self.counts[actor.name] = self.counts.get(actor.name, 0) + 1
                    actor.step()

            play.__name__ = work.__name__
            return play

        def transfer(self, actor: Actor, book: int) -> None:
            accounts = self.accounts[book]
            a, b = actor.random.randrange(ACCOUNTS), actor.random.randrange(ACCOUNTS)
            accounts[a] -= 1
            for _ in range(actor.random.randrange(LONG)):
                pass
            accounts[b] += 1

        def with_lock(self, actor: Actor) -> None:
            with self.lock:
                self.transfer(actor, 0)

        def dozes_with_lock(self, actor: Actor) -> None:
            """Wherever a freeze begins, one of two has the lock, and the other one waits for it."""
            with self.bed:
                while not (self.freezer.armed or actor.over):
                    time.sleep(0.001)
                time.sleep(DOZE)

        def between_acquire_and_release(self, actor: Actor) -> None:
            self.rlock.acquire()
            try:
                self.transfer(actor, 1)
            finally:
                self.rlock.release()

        def between_two_calls(self, actor: Actor) -> None:
            """The lock itself tells that it is held: this code does not."""
            with ExitStack() as stack:
                stack.enter_context(self.owned)
                self.transfer(actor, 3)

        def with_condition(self, actor: Actor) -> None:
            with self.condition:
                self.transfer(actor, 2)
                self.condition.notify_all()

        def waits_for_a_condition(self, actor: Actor) -> None:
            with self.condition:
                self.condition.wait(0.005)

        def get(self, actor: Actor) -> None:
            try:
                self.items.get(timeout=0.005)
            except queue.Empty:
                self.items.put(1)

        def get_simple(self, actor: Actor) -> None:
            try:  # the controller puts something there while all stand
                self.simple.get(timeout=1.0)
            except queue.Empty:
                pass

        def receive(self, actor: Actor) -> None:
            self.here.settimeout(1.0)
            try:  # likewise
                self.here.recv(1)
            except TimeoutError:
                pass

        def doze(self, actor: Actor) -> None:
            time.sleep(0.0005)

        def spin(self, actor: Actor) -> None:
            sum(number * number for number in range(LONG))

        def begin(self, actor: Actor) -> None:
            thread = threading.Thread(target=self.spin, args=(actor,), name="short-lived")
            thread.start()
            thread.join()

        def control(self, actor: Actor) -> None:
            actor.pause(self.pause)
            where = next(self.kinds)
            timeout = PATIENT * self.freeze_timeout
            with self.freezer.freeze(where=where, timeout=timeout) as world:
                before = self.state()
                actor.check(world)
                self.simple.put(1)
                self.there.send(b"x")
                actor.pause(self.stand)
                actor.check(world)
                if self.state() != before:
                    raise Violation(f"with where={where!r} all stand, and some have moved")
            self.find_nothing_left()
            actor.step()

        def state(self) -> object:
            """What nobody may change while all stand."""
            return dict(self.counts), [list(accounts) for accounts in self.accounts]

        def invariant(self, world: World) -> None:
            if world.where == "unlocked":
                sums = [sum(accounts) for accounts in self.accounts]
                if sums != [100 * ACCOUNTS] * len(sums):
                    raise Violation(f"a transfer is half done: {sums}")
                locks: list[Any] = [self.lock, self.rlock, self.bed, self.owned]
                for lock in [*locks, self.condition, self.items.mutex]:
                    if not lock.acquire(blocking=False):
                        raise Violation(f"somebody stands and holds {lock!r}")
                    lock.release()

        def find_nothing_left(self) -> None:
            monitoring: Any = sys.monitoring
            if "freezethreads" in map(monitoring.get_tool, range(6)):
                raise Violation(
                    "all were let go, and the interpreter still has events of the engine"
                )

        def teardown(self) -> None:
            self.here.close()
            self.there.close()
