"""What an asynchronous exception cannot break: special methods that run no Python of ours, and a
lock that is never left held.

Such an exception can hit a function in Python before its first instruction, and each such function
costs a call. What C code can do by itself is spared both.
"""

from __future__ import annotations

from _thread import RLock
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class Unbound(property):
    """A property whose value is called. On the class it can be called like a function."""

    def __call__(self, instance: object, *args: object) -> object:
        assert self.fget is not None
        return self.fget(instance)(*args)


def call_with(lock: RLock, call: Callable[[], T]) -> T:
    """Return `call()`, made with the lock held, and never leave it held.

    `with` alone does not do that: an exception that arrives after the block and before its
    `__exit__` would. Only the owner can release a re-entrant lock, hence the second try.
    """
    try:
        with lock:
            return call()
    except BaseException:
        try:
            lock.release()
        except RuntimeError:
            pass  # not held: as it should be
        raise
