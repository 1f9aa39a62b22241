"""Where all threads are: `sys._current_frames()`, on every Python.

CPython 3.11 makes the frames that it returns with a lock of its interpreter held. If that sets off
the garbage collector, and the collector frees a `threading.local`, it waits for this same lock for
ever, with the GIL. And it makes the frame that `f_back` of another thread returns when it is asked
for it; if that sets off the collector, and a finalizer lets the other thread run, that call may be
over by then, and the interpreter crashes. (Later ones do not collect there.) So the collector is
kept away meanwhile.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable
from types import FrameType
from typing import Final, TypeVar

from freezethreads._ground import original
from freezethreads._ground.original import RLock
from freezethreads._ground.uninterruptible import call_with

T = TypeVar("T")

HAS_GIL: Final = "free-threading" not in sys.version or getattr(sys.flags, "gil", None) == 1
"""Whether there is a GIL, and stays. (A free-threaded build has one for a moment whenever an
extension is imported, and for good after some of them.)"""

# Guards whether the collector is on: of two threads that each switch it off and put back what they
# found, the second would leave it off. Nests in nothing, and nothing in it. No fork waits for it:
# it would have it while it waits for the locks of others, which a frozen thread may own.
_lock = RLock()
_suspended = False  # the collector was on, and is kept away; guarded by the lock


def uncollected(look: Callable[[], T]) -> T:
    """Return `look()`, which goes through frames of other threads, with a GIL. From any thread.

    May be nested.
    """
    if sys.version_info >= (3, 12):
        return look()
    return call_with(_lock, lambda: _look_uncollected(look))


def _look_uncollected(look: Callable[[], T]) -> T:
    """Called with _lock held. An asynchronous exception does not leave the collector off."""
    collects = gc.isenabled()
    try:
        _suspend(collects)
        # Not in a variable: its own frame is in there, and would keep all of them alive.
        return _collecting_again(collects, look())
    except BaseException:
        _collect_again(collects)
        raise


def _suspend(collects: bool) -> None:
    global _suspended
    _suspended = _suspended or collects
    gc.disable()


def _collect_again(collects: bool) -> None:
    global _suspended
    if collects:
        gc.enable()
        _suspended = False


def _collecting_again(collects: bool, found: T) -> T:
    _collect_again(collects)
    return found


def current_frames() -> dict[int, FrameType]:
    """The innermost frame of each thread that has one, by ident. From any thread.

    Whose they are, anybody may ask; what is in them, only with a GIL: see `_report.stacks`.
    """
    return uncollected(original.current_frames)


def _after_fork_in_child() -> None:
    """If another thread was looking, it did not come along."""
    global _lock
    if _lock.acquire(blocking=False):
        _lock.release()
    else:
        _lock = RLock()
        _collect_again(_suspended)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
