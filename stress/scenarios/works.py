"""Each kind of work and of wait in threads that nobody prepared, with a witness that moves."""

from __future__ import annotations

import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import cycle
from typing import Any, Literal

from freezethreads import World
from freezethreads.testing import Actor, Role, Scenario, Violation
from stress.scenarios.engine import PATIENT

ROUNDS = 40
"""Turns of the loop of one piece of work."""
ACCOUNTS = 8

if sys.version_info >= (3, 12):  # before, there is nothing to stop them with

    class Witness:
        """How far one thread has come. It changes with nearly each bytecode of its work."""

        def __init__(self) -> None:
            self.count = 0

    class Works(Scenario):
        """Threads that compute, lock, allocate, recurse, generate, sleep, receive, query, run
        programs, sort, and come and go: while all stand, none of their witnesses changes.

        With `where="unlocked"` the controller takes and gives back the one lock, and finds what
        it guards whole.
        """

        controllers = 1

        def setup(self) -> None:
            self.lock = threading.Lock()
            self.accounts = [100] * ACCOUNTS
            self.here, self.there = socket.socketpair()
            self.here.settimeout(0.5)
            self.databases: dict[str, sqlite3.Connection] = {}
            self.witnesses: dict[str, Witness] = {}
            self.kinds: Iterator[Literal["unlocked", "anywhere"]] = cycle(("unlocked", "anywhere"))

        def actors(self) -> Iterable[Role]:
            works: list[Callable[[Actor, Witness], object]] = [
                self.compute,
                self.hold_lock,
                self.hold_lock,
                self.allocate,
                self.recurse,
                self.generate,
                self.sleep,
                self.receive,
                self.query,
                self.sort,
                self.run_program,
                self.begin,
            ]
            return [Role(self.playing(work), registered=False) for work in works]

        def playing(self, work: Callable[[Actor, Witness], object]) -> Callable[[Actor], None]:
            """The part of a thread that does this over and over."""

            def play(actor: Actor) -> None:
                witness = self.witnesses[actor.name] = Witness()
                while not actor.over:
                    work(actor, witness)
                    witness.count += 1
                    actor.step()

            play.__name__ = work.__name__
            return play

        def compute(self, actor: Actor, witness: Witness) -> None:
            for _ in range(ROUNDS):
                witness.count += 1

        def hold_lock(self, actor: Actor, witness: Witness) -> None:
            with self.lock:
                a, b = actor.random.randrange(ACCOUNTS), actor.random.randrange(ACCOUNTS)
                self.accounts[a] -= 1
                for _ in range(ROUNDS // 4):
                    witness.count += 1
                self.accounts[b] += 1

        def allocate(self, actor: Actor, witness: Witness) -> None:
            for _ in range(ROUNDS):
                cycle_of_two: list[Any] = [{"count": witness.count}]
                cycle_of_two.append(cycle_of_two)  # the collector's
                witness.count += 1

        def recurse(self, actor: Actor, witness: Witness, depth: int = ROUNDS) -> None:
            witness.count += 1
            if depth:
                self.recurse(actor, witness, depth - 1)

        def generate(self, actor: Actor, witness: Witness) -> None:
            def ticks() -> Iterator[int]:
                try:
                    while True:
                        witness.count += 1
                        yield witness.count
                except KeyError:
                    witness.count += 1
                    yield witness.count

            generator: Any = ticks()
            for _ in range(ROUNDS):
                next(generator)
            generator.throw(KeyError)
            generator.close()

        def sleep(self, actor: Actor, witness: Witness) -> None:
            time.sleep(0.0005)

        def receive(self, actor: Actor, witness: Witness) -> None:
            try:  # the controller sends something while all stand
                self.here.recv(1)
            except TimeoutError:
                pass

        def query(self, actor: Actor, witness: Witness) -> None:
            """C that calls back into Python for each row."""

            def tick() -> int:
                witness.count += 1
                return witness.count

            database = self.databases.get(actor.name)
            if database is None:
                database = sqlite3.connect(":memory:", check_same_thread=False)
                self.databases[actor.name] = database
                database.executescript("create table t (n); insert into t values (1), (2), (3);")
                database.create_function("tick", 0, tick)
            database.execute("select sum(a.n + tick()) from t a, t b").fetchall()

        def sort(self, actor: Actor, witness: Witness) -> None:
            def tick(number: int) -> int:
                witness.count += 1
                return -number

            sorted(range(ROUNDS), key=tick)

        def run_program(self, actor: Actor, witness: Witness) -> None:
            subprocess.run(["true"], check=True)
            time.sleep(0.02)  # else there would be little else

        def begin(self, actor: Actor, witness: Witness) -> None:
            thread = threading.Thread(
                target=self.compute, args=(actor, witness), name="short-lived"
            )
            thread.start()
            thread.join()

        def control(self, actor: Actor) -> None:
            actor.pause(self.pause)
            where = next(self.kinds)
            timeout = PATIENT * self.freeze_timeout
            with self.freezer.freeze(where=where, timeout=timeout) as world:
                before = self.state()
                actor.check(world)
                self.there.send(b"x")
                actor.pause(self.stand)
                moved = [name for name, count in self.state().items() if before.get(name) != count]
                if moved:
                    raise Violation(f"with where={where!r} all stand, and {moved} moved")
            actor.step()

        def state(self) -> dict[str, object]:
            """What nobody may change while all stand."""
            counts = {name: witness.count for name, witness in self.witnesses.items()}
            return {**counts, "the accounts": tuple(self.accounts)}

        def invariant(self, world: World) -> None:
            if world.where == "unlocked":
                if not self.lock.acquire(blocking=False):
                    raise Violation("somebody stands and holds the lock")
                self.lock.release()
                if sum(self.accounts) != 100 * ACCOUNTS:
                    raise Violation(f"a transfer is half done: {self.accounts}")

        def teardown(self) -> None:
            self.here.close()
            self.there.close()
            for database in self.databases.values():
                database.close()
