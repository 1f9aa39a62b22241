"""Scenes for exceptions in `freezethreads.sync`: two threads that wait, and one of them is hit.

The *subject*, which is enrolled, is interrupted at one bytecode of its call; the *bystander*, which
is not, waits for the same. Whatever becomes of the subject, the bystander must get what is left.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from freezethreads import sync
from freezing import Actor
from helpers import wait_for
from injection import Boom
from sync_interruption import Interruption, until


class Scene:
    """One run: what the two do, and what has to be so afterwards.

    `hit` is where the subject was interrupted, or None if its call was through before. `frozen`
    says that what they wait for is given while the subject is frozen.
    """

    def __init__(self, frozen: bool) -> None:
        self.frozen = frozen
        self.prepared = threading.Event()
        self.given = threading.Event()
        self.hit: tuple[str, int] | None = None
        self.subject_ident = 0

    def prepare(self) -> None:
        """What the subject does before its call."""

    def use(self) -> object:
        """The subject's call."""
        raise NotImplementedError

    def use_as_well(self) -> object:
        """The bystander's."""
        return self.use()

    def give(self) -> None:
        """What the test does when both wait, or the subject has been hit."""

    def make_up(self) -> None:
        """By the subject, after it was hit: whether it is where it has to be then."""

    def end(self, bystander_waits: Callable[[], bool]) -> None:
        """By the test, when the subject is through: let the bystander have it."""

    def check(self) -> None:
        """Nothing is left behind."""

    def close(self) -> None:
        """It is over."""

    def interrupt(self, at: int) -> None:
        """Make the call, interrupted. By the subject."""
        self.subject_ident = threading.get_ident()
        self.prepare()
        self.prepared.set()
        injection = Interruption(at)
        try:
            with injection:
                self.use()
        except Boom:
            pass
        finally:
            self.hit = injection.hit
        if self.hit is not None:
            self.make_up()


class Mutex(Scene):
    """Both acquire a lock that the test has, and release it."""

    make: Callable[[], Any] = sync.Lock

    def __init__(self, frozen: bool) -> None:
        super().__init__(frozen)
        self.mutex = type(self).make()
        self._holder = Actor()
        self.hold()

    def hold(self) -> None:
        """Let the two wait."""
        self._holder.do(self.mutex.acquire)

    def use(self) -> None:
        self.mutex.acquire()
        self.mutex.release()

    def give(self) -> None:
        self._holder.do(self.mutex.release)

    def make_up(self) -> None:
        assert self.mutex.owner != self.subject_ident, f"left locked at {self.hit}"

    def check(self) -> None:
        assert not self.mutex.locked()
        assert not self.mutex._waiters

    def close(self) -> None:
        self._holder.finish()


class WithMutex(Mutex):
    """The same in a `with` statement."""

    def use(self) -> None:
        with self.mutex:
            pass


class ReentrantMutex(Mutex):
    """The same with a re-entrant lock, acquired twice."""

    make = sync.RLock

    def use(self) -> None:
        self.mutex.acquire()
        try:
            with self.mutex:
                pass
        finally:
            self.mutex.release()


class Releasing(Mutex):
    """The subject releases a lock for which the bystander waits."""

    def hold(self) -> None:
        pass

    def prepare(self) -> None:
        self.mutex.acquire()

    def use(self) -> None:
        wait_for(self.given)
        self.mutex.release()

    def use_as_well(self) -> None:
        self.mutex.acquire()
        self.mutex.release()

    def give(self) -> None:
        self.given.set()


class ReleasingReentrant(Releasing):
    """The same with a re-entrant one."""

    make = sync.RLock


class Notified(Scene):
    """Both wait to be notified, and one is. Who is hit has the lock again, and leaves by `with`."""

    make: Callable[[], Any] = sync.Lock

    def __init__(self, frozen: bool) -> None:
        super().__init__(frozen)
        self.condition: Any = sync.Condition(type(self).make())
        self.entered = threading.Event()
        self.subject_had_it = False

    def use(self) -> None:
        with self.condition:
            self.condition.wait()
            self.subject_had_it = True

    def use_as_well(self) -> None:
        with self.condition:
            self.entered.set()
            self.condition.wait()

    def give(self) -> None:
        wait_for(self.entered)
        with self.condition:
            self.condition.notify(2 if self.frozen else 1)

    def make_up(self) -> None:
        owner = self.condition._lock.owner
        assert owner != self.subject_ident, f"left locked at {self.hit}"

    def end(self, bystander_waits: Callable[[], bool]) -> None:
        if self.subject_had_it and not self.frozen:
            self.give()

    def check(self) -> None:
        assert not self.condition._waiters
        assert not self.condition._lock.locked()
        assert not self.condition._lock._waiters


class NotifiedReentrant(Notified):
    """The same with a re-entrant lock, acquired twice."""

    make = sync.RLock

    def use(self) -> None:
        with self.condition:
            super().use()


class NotifiedForeign(Notified):
    """The same with a lock of the standard library's, which does not tell who has it."""

    make: Callable[[], Any] = staticmethod(threading.Lock)

    def make_up(self) -> None:
        pass  # who left the wait without the lock was told so by the end of its `with` block

    def check(self) -> None:
        assert not self.condition._waiters
        assert self.condition.acquire(False)
        self.condition.release()


class NotifiedForeignReentrant(NotifiedForeign):
    """The same with a re-entrant one."""

    make = staticmethod(threading.RLock)


class Getting(Scene):
    """Both wait for an item of a queue. One that the subject has taken when it is hit is lost."""

    def __init__(self, frozen: bool) -> None:
        super().__init__(frozen)
        self.items: sync.SimpleQueue[int] = sync.SimpleQueue()

    def use(self) -> None:
        self.items.get()

    def give(self) -> None:
        self.items.put(1)
        self.items.put(2)

    def end(self, bystander_waits: Callable[[], bool]) -> None:
        until(lambda: self.items.empty() or not bystander_waits())

    def check(self) -> None:
        assert self.items.qsize() <= 1
        assert not self.items._waiters


class Putting(Getting):
    """The subject puts an item for which the bystander waits."""

    def use(self) -> None:
        wait_for(self.given)
        self.items.put(1)

    def use_as_well(self) -> None:
        self.items.get()

    def give(self) -> None:
        self.given.set()

    def end(self, bystander_waits: Callable[[], bool]) -> None:
        super().end(bystander_waits)
        if self.hit is not None:  # perhaps before it had put anything
            self.items.put(2)


class Sleeping(Scene):
    """The subject sleeps."""

    def use(self) -> None:
        sync.sleep(0.0001)

    def use_as_well(self) -> None:
        pass
