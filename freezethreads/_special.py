"""Special methods that run no Python of ours.

An asynchronous exception can hit a function in Python before its first instruction, and each such
function costs a call. What C code can do by itself is spared both.
"""

from __future__ import annotations


class Unbound(property):
    """A property whose value is called. On the class it can be called like a function."""

    def __call__(self, instance: object, *args: object) -> object:
        assert self.fget is not None
        return self.fget(instance)(*args)
