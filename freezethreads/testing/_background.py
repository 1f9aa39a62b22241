"""The thread that freezes a program again and again while its tests run, and what came of it.

It is not enrolled, and waits on a raw lock alone: what the tests do to `threading` or `time` does
not reach it. It keeps hold of no freezer.

A fork is not to find it: it is ended before, unless it waits for somebody just then, and another
one is begun in the parent afterwards. So who forks with no thread of their own is not warned of
this one. (CPython 3.13 warns all the same up to 3.13.9, and 3.14.0: it counts what the last hook
has started.) One lock orders that with the beginning and the end, and is held from before each fork
until after it. It can be acquired again by its owner, for a signal handler that forks.
"""

from __future__ import annotations

import os
import random
import weakref
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from freezethreads import Freezer, FreezeTimeout, Straggler
from freezethreads._controller.standing import standing
from freezethreads._ground.original import (
    LockType,
    OwnThread,
    RLock,
    Thread,
    allocate_lock,
    monotonic,
)

REASON = "--freeze-a-lot"
END = "the end of the test"  # the reason of the freeze that the fixture `freezer` makes
NAME = "freezethreads-a-lot"  # as all threads of this library, for who looks for threads left over
PATIENCE = 0.1
"""Seconds in which all have to stop, or the freeze gives up."""
_AT_FORK = 0.01  # seconds that a fork waits for its end, since the forking thread may be in its way

_lock = RLock()
_in_force: list[Background] = []  # guarded by the lock


@dataclass
class Counts:
    """What came of the freezes so far."""

    stood: Counter[int] = field(default_factory=Counter)
    """How many freezes stood with so many threads."""
    timeouts: int = 0
    places: Counter[str] = field(default_factory=Counter)
    """Where threads were that did not stop, or what else there was to wait for."""

    def as_dict(self) -> dict[str, Any]:
        """In plain types, for another process."""
        places = dict(self.places)
        return {"stood": dict(self.stood), "timeouts": self.timeouts, "places": places}

    def add(self, stood: dict[int, int], timeouts: int, places: dict[str, int]) -> None:
        """Take in what another process has counted."""
        self.stood.update(stood)
        self.timeouts += timeouts
        self.places.update(places)


class Background:
    """Freezes each of its freezers about every `every` seconds; a context manager.

    `describe` tells where a thread was that did not stop. What the thread raises, which it should
    not, is raised at the end.
    """

    def __init__(self, every: float, seed: str, describe: Callable[[Straggler], str]) -> None:
        self.counts = Counts()
        self._every = every
        self._random = random.Random(seed)
        self._describe = describe
        self._error: BaseException | None = None
        self._over = allocate_lock()
        self._thread: Thread | None = None
        # A dict, since listing one is atomic.
        self._freezers: dict[weakref.ref[Freezer], None] = {}

    def add(self, freezer: Freezer) -> None:
        """From now on freeze this one too, for as long as it lives. May be repeated."""
        self._freezers[weakref.ref(freezer, lambda ref: self._freezers.pop(ref, None))] = None

    def __enter__(self) -> None:
        with _lock:
            _in_force.append(self)
            self.begin()

    def __exit__(self, *exc_info: object) -> None:
        with _lock:
            if self in _in_force:  # not so in the child of a fork
                _in_force.remove(self)
                self.end()
        if self._error is not None:
            raise self._error

    def begin(self) -> None:
        """Start a thread, which begins when the one before has ended. Called with the lock held."""
        self._over = over = allocate_lock()  # that it can be acquired tells the thread to end
        over.acquire()
        thread = OwnThread(target=self._run, args=(over, self._thread), name=NAME, daemon=True)
        thread.start()
        self._thread = thread

    def end(self, timeout: float | None = None) -> None:
        """End the thread, and wait so long for that. Called with the lock held, after `begin`."""
        self._over.release()
        if self._thread is not None:
            self._thread.join(timeout)

    def _run(self, over: LockType, previous: Thread | None) -> None:
        if previous is not None:
            previous.join()
        try:
            took = 0.0
            # The pause is at least as long as what was before: the program runs half the time.
            while not _wait(over, max(took, self._random.uniform(0, 2 * self._every) - took)):
                began = monotonic()
                for reference in list(self._freezers):
                    self._freeze(reference(), over)
                took = monotonic() - began
        except BaseException as error:  # noqa: BLE001 - whatever it is, the end raises it
            self._error = error

    def _freeze(self, freezer: Freezer | None, over: LockType) -> None:
        if freezer is None:
            return
        try:
            with freezer.freeze(timeout=PATIENCE, reason=REASON, hooks=False) as world:
                self.counts.stood[len(world.threads)] += 1
                _wait(over, self._random.uniform(0, self._every / 2))
        except FreezeTimeout as error:
            if not error.stragglers and any(each.asked.reason == END for each in standing(freezer)):
                return  # whom that one waits for, it tells itself
            self.counts.timeouts += 1
            places = [self._describe(straggler) for straggler in error.stragglers]
            self.counts.places.update(places or ["another controller had the freezer"])


def _wait(over: LockType, seconds: float) -> bool:
    """Wait; return whether the thread is to end."""
    if not over.acquire(timeout=seconds):
        return False
    over.release()
    return True


def _before_fork() -> None:
    _lock.acquire()
    for background in _in_force:
        background.end(_AT_FORK)


def _after_fork_in_parent() -> None:
    for background in _in_force:
        background.begin()
    _lock.release()


def _after_fork_in_child() -> None:
    _in_force.clear()
    _lock.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork,
        after_in_parent=_after_fork_in_parent,
        after_in_child=_after_fork_in_child,
    )
