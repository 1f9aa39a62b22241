"""Calls at each depth of the stack, from the recursion limit upwards."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

LIMIT = 300
MOST_LEFT = 90  # more than any call of a test needs


@contextmanager
def low_limit() -> Iterator[None]:
    """A limit that is reached soon. It holds for all threads.

    Nothing is collected meanwhile: what other tests have left would be finalized at the limit.
    """
    gc.disable()
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(LIMIT)
    try:
        yield
    finally:
        sys.setrecursionlimit(before)
        gc.enable()


def depths(
    act: Callable[[], object],
    check: Callable[[], object],
    begin: Callable[[], object] = lambda: None,
) -> set[bool]:
    """Call `act()` with each number of calls left, `begin()` before, and `check()` after each.

    Returns whether it returned: True, False, or both. A RecursionError is how it may end.
    """

    def down(calls: int) -> None:
        if calls:
            down(calls - 1)
        else:
            act()

    frame, depth = sys._getframe(), 0
    while frame.f_back is not None:
        frame, depth = frame.f_back, depth + 1
    ends = set()
    for left in range(MOST_LEFT):
        begin()
        try:
            down(LIMIT - depth - left)
            ends.add(True)
        except RecursionError:
            ends.add(False)
        check()
    return ends
