"""What a child finds of the objects that its parent used when it forked.

A child has one thread. A lock that another thread owned at the fork is owned for ever there, so
each object that has locks gets new ones.

There are two kinds of children. One is *expected*: a checkpoint forks it, and it saves in its
parent's place. All others are forked by the program, and live beside their parent.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from freezethreads._ground.living import Living
from freezethreads._ground.original import get_ident

__all__ = ["Forkable", "expecting_child", "watch"]


class Forkable(Protocol):
    """Something that has locks."""

    def _forked(self, expected: bool) -> None:
        """Called in each child, by its only thread, which may be in any method of this object."""


_watched: Living[Forkable] = Living()
# The threads that fork for a checkpoint now. A child's thread has its parent's ident.
_expecting: dict[int, None] = {}


def watch(forkable: Forkable) -> None:
    """Tell it in each child, as long as it lives."""
    _watched.add(forkable)


@contextmanager
def expecting_child() -> Iterator[None]:
    """What the calling thread forks in this block is a checkpoint's child."""
    _expecting[get_ident()] = None
    try:
        yield
    finally:
        _expecting.pop(get_ident(), None)


def _after_fork_in_child() -> None:
    expected = get_ident() in _expecting
    _expecting.clear()
    for forkable in _watched:
        forkable._forked(expected)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
