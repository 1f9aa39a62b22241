"""The standard library's locks, queues and `sleep`, waiting freezably.

Signatures, exceptions and semantics are those of the interpreter at hand; most classes here *are*
the standard ones, on another Condition. What is added: a thread that waits in one of them counts
as stopped, for every freezer with which it is enrolled; it can be asked for a todo meanwhile; and
while it stands frozen it is given nothing: no lock is owned and no item taken by a frozen thread.
A wait whose time runs out during a freeze ends right after the thaw.

From any thread, enrolled or not; for a thread that is not enrolled they wait as usual.
"""

from freezethreads._ground.exports import export as _export
from freezethreads.sync._condition import Condition
from freezethreads.sync._locks import Lock
from freezethreads.sync._queues import LifoQueue, PriorityQueue, Queue, SimpleQueue
from freezethreads.sync._reentrant import RLock
from freezethreads.sync._signals import Barrier, BoundedSemaphore, Event, Semaphore
from freezethreads.sync._sleep import sleep

__all__ = [
    "Barrier",
    "BoundedSemaphore",
    "Condition",
    "Event",
    "LifoQueue",
    "Lock",
    "PriorityQueue",
    "Queue",
    "RLock",
    "Semaphore",
    "SimpleQueue",
    "sleep",
]

_export(__name__)
