"""The real primitives, saved before anybody could replace them.

The library must not wait through its own freezable waits, or through a debugger's or a test's
substitutes, so everything below stands on these names and on nothing of `threading` itself.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from _thread import TIMEOUT_MAX, LockType, allocate_lock, get_ident, get_native_id
from threading import Condition, RLock, Thread, Timer

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


class OwnThread(Thread):
    """A thread of this library's own. Nobody enrols it, and nothing stops it.

    Its name begins with "freezethreads-", for people; nothing depends on that.
    """


local = threading.local
monotonic = time.monotonic
getpid = os.getpid
sleep = time.sleep
current_thread = threading.current_thread
main_thread = threading.main_thread
enumerate_threads = threading.enumerate
current_frames = sys._current_frames
