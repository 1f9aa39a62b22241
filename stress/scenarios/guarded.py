"""Processes that are forked under a guard, while threads live inside locks."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from multiprocessing import get_context
from typing import Any

from freezethreads import ForkUnsafe, install, sync
from freezethreads.testing import Actor, Role, Violation
from stress.scenarios import forks

HELD_FOR = 0.001
"""Seconds for which one has a lock in its hands, on average."""


class Guarded(forks.Forks):
    """Forks by whomever, each of which finds all locks free, however they were acquired.

    Each thread lives inside a lock of its own: a `with` block over a name or over a call, or
    `acquire()` alone, there or elsewhere. Some stop with it in a blocking region. A child acquires
    each one. In a world in which somebody stands with a lock the fork is refused, as nobody can go
    on before its end.
    """

    def setup(self) -> None:
        super().setup()
        kinds: list[Callable[[], Any]] = [threading.Lock, threading.RLock, sync.Lock, sync.RLock]
        self.free_for = HELD_FOR
        self.locks = {
            way: [kind() for kind in kinds] for way in ("hold", "hold_barely", "hold_called")
        }
        with install(self.freezer):  # whose owners are known: of these in no other way
            made = [threading.Lock(), threading.RLock()]
        self.locks["hold_elsewhere"] = [sync.Lock(), *made]
        self.shared = get_context("fork").RLock()
        self.refused: dict[str, int] = {}
        self.made: dict[str, int] = {}
        self.guard = self.freezer.guard_forks(timeout=4 * self.freeze_timeout)
        if self.guard.where == "safepoint":  # it tries anew until all locks are free by chance
            self.locks = {way: locks[:1] for way, locks in self.locks.items()}
            self.free_for = 4 * HELD_FOR
        self.guard.__enter__()

    def teardown(self) -> None:
        self.guard.__exit__()
        if not self.made:
            raise Violation(f"no fork was made, and {self.refused} refused")

    def actors(self) -> Iterable[Role]:
        return [
            *(Role(self.holding(getattr(self, way), lock)) for way, lock in self.all_locks()),
            Role(self.count),
            Role(self.forker, main=True),
            Role(self.forker),
            Role(self.forker, registered=False),
        ]

    def all_locks(self) -> list[tuple[str, Any]]:
        return [(way, lock) for way, locks in self.locks.items() for lock in locks]

    def holding(self, hold: Callable[[Any, Actor], None], lock: Any) -> Callable[[Actor], None]:
        """The part of a thread that lives inside that lock."""

        def play(actor: Actor) -> None:
            while not actor.over:
                hold(lock, actor)
                actor.pause(self.free_for)
                self.freezer.safepoint("with no lock")
                actor.step()

        play.__name__ = hold.__name__
        return play

    def hold(self, lock: Any, actor: Actor) -> None:
        with lock, self.freezer.blocking("with a lock", fork_safe=True):
            actor.pause(HELD_FOR)

    def hold_barely(self, lock: Any, actor: Actor) -> None:
        lock.acquire()
        actor.pause(HELD_FOR)
        lock.release()

    def hold_elsewhere(self, lock: Any, actor: Actor) -> None:
        self.acquire(lock)
        actor.pause(HELD_FOR)
        lock.release()

    def acquire(self, lock: Any) -> None:
        lock.acquire()

    def hold_called(self, lock: Any, actor: Actor) -> None:
        def get_lock() -> Any:
            return lock

        with get_lock():
            actor.pause(HELD_FOR)
        with self.shared:
            time.sleep(0)

    def forker(self, actor: Actor) -> None:
        ways = [self.fork, self.fork_in_region, self.fork_in_world]
        if actor.role.main:  # of two that fork with a lock at once, one would be refused
            ways.append(self.fork_with_lock)
        self.fork_in_turn(actor, ways)

    def fork(self, actor: Actor) -> int:
        try:
            pid = super().fork(actor)
        except ForkUnsafe:
            self.refused[actor.name] = self.refused.get(actor.name, 0) + 1
            raise
        self.made[actor.name] = self.made.get(actor.name, 0) + 1
        return pid

    def fork_in_world(self, actor: Actor) -> int | None:
        with actor.freeze() as world:
            actor.check(world)
            try:
                pid = self.fork(actor)
            except ForkUnsafe:
                return None
            if pid == 0:
                self.invariant(world)
            return pid

    def fork_with_lock(self, actor: Actor) -> int:
        """One of its own, which the child owns as well."""
        with threading.Lock():
            return self.fork(actor)

    def check_child(self, actor: Actor) -> None:
        for way, lock in self.all_locks():
            if not lock.acquire(timeout=0):
                raise Violation(f"in the child {lock!r} of {way}() is held by nobody who is there")
            lock.release()
        with self.shared:
            pass
        super().check_child(actor)
