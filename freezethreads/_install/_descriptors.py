"""Waits for descriptors that are no sockets: `os.read()`, the connections of `multiprocessing`, and
the objects that `select.poll()` and `select.epoll()` make.
"""

from __future__ import annotations

import os
import select
from collections.abc import Callable
from stat import S_ISREG
from typing import Any, Self, TypeAlias

from freezethreads._install._patches import Function, Switch
from freezethreads._install._wrappers import Wait, wait_readable
from freezethreads._refrigerator.waits import Waiting, plumbing, waits_count
from freezethreads._registry.registry import armed

plumbing.add(__file__)

Finder: TypeAlias = Callable[..., int | None]
"""Gets what a call gets. Returns the descriptor that it waits for; None if it does not wait."""


class Read(Wait):
    """A call that takes something from a descriptor: what comes during a freeze is left there.

    So the thread waits until there is something, and takes it when it runs again. If another one
    was quicker, or this was not all, it waits in the call itself.
    """

    def __init__(self, find_descriptor: Finder) -> None:
        super().__init__()
        self._find_descriptor = find_descriptor

    def __call__(self, original: Function, switch: Switch, label: str) -> Function:
        read = super().__call__(original, switch, label)
        find_descriptor = self._find_descriptor

        def wait_and_read(*args: Any, **kwargs: Any) -> Any:
            if not switch.on or not waits_count():
                return original(*args, **kwargs)
            descriptor = find_descriptor(*args, **kwargs)
            if descriptor is None:
                return original(*args, **kwargs)
            with Waiting(label, fork_safe=True):
                wait_readable(descriptor, None)
            return read(*args, **kwargs)

        return wait_and_read


def find_pipe(descriptor: object = None, length: object = None, *more: object) -> int | None:
    """For `os.read`: a pipe, a terminal or the like. A file never has to be waited for."""
    if more or not isinstance(descriptor, int) or not isinstance(length, int) or length <= 0:
        return None
    try:
        is_file = S_ISREG(os.fstat(descriptor).st_mode)
        return None if is_file or not os.get_blocking(descriptor) else descriptor
    except (OSError, OverflowError):
        return None  # as the call itself will say


def find_connection(connection: Any, *args: object, **kwargs: object) -> int | None:
    """For a method of a connection, which has been found open."""
    descriptor: int = connection.fileno()
    return descriptor


class Poll:
    """What `select.poll()` has made, with a freezable `poll()`."""

    __slots__ = ("__weakref__", "_theirs")

    def __init__(self, theirs: Any) -> None:
        self._theirs = theirs

    def __getattr__(self, name: str) -> Any:
        return getattr(self._theirs, name)

    def poll(self, *args: Any, **kwargs: Any) -> Any:
        """As the original's, whose class cannot be changed."""
        if not waits_count() or (args == (0,) and not kwargs and not armed.registries):
            return self._theirs.poll(*args, **kwargs)  # in another wait, or without one
        with Waiting(f"{type(self._theirs).__name__}.poll", fork_safe=True):
            return self._theirs.poll(*args, **kwargs)


class Epoll(Poll):
    """The same for `select.epoll()`."""

    __slots__ = ()

    def __enter__(self) -> Self:
        self._theirs.__enter__()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._theirs.__exit__(*exc_info)

    @classmethod
    def fromfd(cls, descriptor: int) -> Self:
        """As the original's."""
        made = object.__new__(cls)
        Epoll.__init__(made, _from_descriptor(descriptor))
        return made


_from_descriptor: Any = getattr(getattr(select, "epoll", None), "fromfd", None)
