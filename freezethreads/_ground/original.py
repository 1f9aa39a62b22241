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
    "current_frames",
    "current_thread",
    "enumerate_threads",
    "get_ident",
    "get_native_id",
    "getpid",
    "local",
    "main_thread",
    "monotonic",
    "sleep",
]

# Not imported by name: where imports are lazy, that would save what is there when it is first used.
TIMEOUT_MAX = _thread.TIMEOUT_MAX
LockType = _thread.LockType
allocate_lock = _thread.allocate_lock
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
current_thread = threading.current_thread
main_thread = threading.main_thread
enumerate_threads = threading.enumerate
current_frames = sys._current_frames


class OwnThread(Thread):
    """A thread of this library's own. Nobody enrols it, and nothing stops it.

    Its name begins with "freezethreads-", for people; nothing depends on that.
    """
