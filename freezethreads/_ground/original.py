"""The real primitives, saved before anybody could replace them.

The library must not wait through its own freezable waits, or through a debugger's or a test's
substitutes, so everything below stands on these names and on nothing of `threading` itself.
"""

from __future__ import annotations

import _thread
import os
import sys
import threading
import time

__all__ = [
    "TIMEOUT_MAX",
    "Condition",
    "LockType",
    "OwnThread",
    "RLock",
    "Thread",
    "Timer",
    "allocate_lock",
    "calling_idents",
    "current_frames",
    "current_thread",
    "enumerate_threads",
    "get_ident",
    "get_native_id",
    "getpid",
    "local",
    "main",
    "main_thread",
    "monotonic",
    "note_call",
    "own_idents",
    "sleep",
    "start_new_thread",
    "thread_time",
]

# Not imported by name: where imports are lazy, that would save what is there when it is first used.
TIMEOUT_MAX = _thread.TIMEOUT_MAX
LockType = _thread.LockType
allocate_lock = _thread.allocate_lock
start_new_thread = _thread.start_new_thread
get_ident = _thread.get_ident
get_native_id = _thread.get_native_id
Condition = threading.Condition
RLock = threading.RLock
Thread = threading.Thread
Timer = threading.Timer
local = threading.local
monotonic = time.monotonic
getpid = os.getpid
sleep = time.sleep
thread_time = getattr(time, "thread_time", time.monotonic)  # not on every system
current_thread = threading.current_thread
main_thread = threading.main_thread
enumerate_threads = threading.enumerate
current_frames = sys._current_frames


class _Main:
    """The ident of the main thread, for who asks more often than a call of `main_thread` is cheap.

    In the child of a fork that is the thread which has forked.
    """

    def __init__(self) -> None:
        self.note()
        os.register_at_fork(after_in_child=self.note)

    def note(self) -> None:
        self.ident = main_thread().ident


main = _Main()


class OwnThread(Thread):
    """A thread of this library's own. Nobody enrols it, and nothing stops it.

    Its name begins with "freezethreads-", for people; nothing depends on that.
    """

    def _bootstrap_inner(self) -> None:
        # As soon as it has an ident, and for as long: nothing is to stop it.
        ident = get_ident()
        own_idents[ident] = get_native_id()
        try:
            super()._bootstrap_inner()  # type: ignore[misc]
        finally:
            # The set's finalizer would run in the thread when it is nobody's any more.
            threading._dangling.discard(self)  # type: ignore[attr-defined]
            own_idents.pop(ident, None)
            calling_idents.pop(ident, None)


# The idents of this library's threads that have begun and not ended, with the system's numbers.
own_idents: dict[int, int] = {}
# Those of them that have called the program's code, and may have its locks.
calling_idents: dict[int, None] = {}


def note_call() -> None:
    """The calling thread is about to call the program's code."""
    ident = get_ident()
    if ident in own_idents:
        calling_idents[ident] = None


def _forget_the_others() -> None:
    """In the child of a fork: an ident of a thread that is not there may be any thread's next."""
    ident = get_ident()
    for other in list(own_idents):
        if other != ident:
            del own_idents[other]
            calling_idents.pop(other, None)
        else:
            own_idents[ident] = get_native_id()


os.register_at_fork(after_in_child=_forget_the_others)
