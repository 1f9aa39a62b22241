"""Threads each of which waits for what the next one has: deadlocks drawn at random, and decoys."""

from __future__ import annotations

import itertools
import random
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from freezethreads import Deadlock, sync
from freezethreads._ground.frames import HAS_GIL

_numbers = itertools.count(1)
_ANYBODYS: tuple[Callable[[], Any], ...] = (sync.Lock,)
_OWNERS: tuple[Callable[[], Any], ...] = (sync.RLock,)
if HAS_GIL:  # else nobody sees them
    _ANYBODYS += (threading.Lock,)
    _OWNERS += (threading.RLock,)


class Ring:
    """Some threads, and each has a lock for which the one before it waits, or is joined by it.

    Some more wait behind them. If it `lasts`, nobody can take it apart: only what its owner alone
    releases is in it. Begins at once; its threads are in the ring soon after.
    """

    def __init__(self, choices: random.Random, may_last: bool) -> None:
        count = choices.randint(2, 5)
        self.lasts = may_last and choices.random() < 0.3
        kinds = [choices.choice((*_ANYBODYS, *_OWNERS)) for _ in range(count)]
        if self.lasts:
            kinds = [choices.choice(_OWNERS) for _ in range(count)]
        elif not set(kinds) & set(_ANYBODYS):
            kinds[0] = choices.choice(_ANYBODYS)
        self._kinds = kinds
        self._locks = [kind() for kind in kinds]
        self._crossing = threading.Barrier(count)
        self._joins = [
            HAS_GIL and kind in _OWNERS and choices.random() < 0.3 for kind in kinds
        ]  # whether it is the thread that has this lock which is waited for, and not the lock
        self._in_block = [
            kind is threading.Lock or choices.random() < 0.5 for kind in kinds
        ]  # else nobody sees where a lock was acquired
        self._timed = not self.lasts and choices.random() < 0.2
        number = next(_numbers)
        self.threads = [
            threading.Thread(target=self._have, args=(i,), name=f"ring-{number}-{i}", daemon=True)
            for i in range(count)
        ]
        behind = [
            threading.Thread(target=self._wait_for, args=(choices.randrange(count),), daemon=True)
            for _ in range(choices.randrange(3))
        ]
        for thread in self.threads:
            thread.start()
        for thread in behind:
            thread.start()

    def __repr__(self) -> str:
        kinds = [f"{kind.__module__}.{kind.__name__}" for kind in self._kinds]
        what = ["join" if joins else kind for kind, joins in zip(kinds, self._joins, strict=True)]
        return f"<Ring of {', '.join(what)}, threads {[t.name for t in self.threads]}>"

    def is_in(self, deadlock: Deadlock) -> bool:
        """Whether that one is this, with all its threads in their order."""
        names = [edge.name for edge in deadlock.edges]
        own = [thread.name for thread in self.threads]
        return any(own[i:] + own[:i] == names for i in range(len(own)))

    def take_apart(self) -> None:
        """Release a lock that another thread has, until all have ended."""
        for kind, lock in zip(self._kinds, self._locks, strict=True):
            if kind in _ANYBODYS:
                with suppress(RuntimeError):  # it was released by now
                    lock.release()
        for thread in self.threads:
            thread.join()

    def _have(self, i: int) -> None:
        lock = self._locks[i]
        with suppress(RuntimeError):  # somebody has taken it apart
            if self._in_block[i]:
                with lock:
                    self._cross(i)
            else:
                _acquire(lock)
                self._cross(i)
                _release(lock)

    def _cross(self, i: int) -> None:
        self._crossing.wait()
        self._wait_for((i + 1) % len(self._locks), timed=self._timed)

    def _wait_for(self, i: int, timed: bool = False) -> None:
        lock = self._locks[i]
        if self._joins[i]:
            self.threads[i].join()
            return
        with suppress(RuntimeError):  # at its release: somebody else has done that
            if timed:
                if lock.acquire(timeout=1000):
                    _release(lock)
            elif self._in_block[i - 1]:
                with lock:
                    pass
            else:
                lock.acquire()
                _release(lock)


class Decoy:
    """Threads that seem to wait for each other, and for themselves, as long as somebody sleeps."""

    def __init__(self) -> None:
        self._over = threading.Event()
        self._handed, self._kept, self._signal = (threading.Lock() for _ in range(3))
        self._released, self._taken, self._wanted = (threading.Event() for _ in range(3))
        plays = (self._give_back, self._take, self._want, self._listen)
        self._threads = [threading.Thread(target=play, daemon=True) for play in plays]
        for thread in self._threads:
            thread.start()
        self._wanted.wait()

    def end(self) -> None:
        """Let all go on, and wait for their end."""
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _give_back(self) -> None:
        """A condition written by hand: within a `with` block its lock is released for a while."""
        with self._handed:
            self._handed.release()
            self._released.set()
            self._wanted.wait()
            with self._kept:
                pass
            self._handed.acquire()

    def _take(self) -> None:
        """It has that lock, and no stack tells so."""
        self._released.wait()
        _acquire(self._handed)
        self._taken.set()
        self._over.wait()
        _release(self._handed)

    def _want(self) -> None:
        self._taken.wait()
        with self._kept:
            self._wanted.set()
            with self._handed:
                pass

    def _listen(self) -> None:
        """A lock as a signal: who waits for it has acquired it before, and another releases it."""
        self._signal.acquire()
        giver = threading.Thread(target=self._give, daemon=True)
        giver.start()
        _acquire(self._signal)
        self._signal.release()
        giver.join()

    def _give(self) -> None:
        self._over.wait()
        self._signal.release()


def _acquire(lock: Any) -> None:
    lock.acquire()


def _release(lock: Any) -> None:
    lock.release()
