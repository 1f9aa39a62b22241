"""The queues: the standard ones on our Condition, and a `SimpleQueue` of our own.

The pure-Python SimpleQueue of the standard library would deadlock if a `put` in `__del__` or in a
signal handler interrupted another; so ours stands on a deque, whose single operations are atomic.
"""

from __future__ import annotations

import queue
from collections import deque
from typing import TYPE_CHECKING, Generic, TypeVar

from freezethreads._ground.deadline import Deadline
from freezethreads._refrigerator.waits import plumbing, stop_if_asked
from freezethreads._registry.registry import armed
from freezethreads.sync._condition import Condition
from freezethreads.sync._locks import Lock, timeout_of
from freezethreads.sync._waitable import ORDERED, Waitable

if TYPE_CHECKING:
    from _typeshed import SupportsRichComparison

plumbing.add(__file__)

T = TypeVar("T")
Comparable = TypeVar("Comparable", bound="SupportsRichComparison")


_put = queue.Queue.put  # `super()` makes an object each time before Python 3.12
_get = queue.Queue.get


class _Freezable(queue.Queue[T]):
    """What the three have in common. To be named before the standard class.

    A `put` or `get` that does not have to wait stops at its beginning if it is asked to, with
    nothing taken and nothing put: a thread that always finds something to do has to stop somewhere.
    """

    def __init__(self, maxsize: int = 0) -> None:
        super().__init__(maxsize)
        self.mutex = mutex = Lock()  # type: ignore[assignment]
        self.not_empty: Condition = Condition(mutex)
        self.not_full: Condition = Condition(mutex)
        self.all_tasks_done: Condition = Condition(mutex)

    def put(self, item: T, block: bool = True, timeout: float | None = None) -> None:
        """As the standard queue's."""
        if armed.registries:
            stop_if_asked("Queue.put")
        _put(self, item, block, timeout)

    def get(self, block: bool = True, timeout: float | None = None) -> T:
        """As the standard queue's."""
        if armed.registries:
            stop_if_asked("Queue.get")
        return _get(self, block, timeout)


class Queue(_Freezable[T]):
    """`queue.Queue`, waiting freezably. From any thread."""


class LifoQueue(_Freezable[T], queue.LifoQueue[T]):
    """`queue.LifoQueue`, waiting freezably. From any thread."""


class PriorityQueue(_Freezable[Comparable], queue.PriorityQueue[Comparable]):
    """`queue.PriorityQueue`, waiting freezably. From any thread."""


class SimpleQueue(Waitable, Generic[T]):
    """`queue.SimpleQueue`, waiting freezably. From any thread, also in `__del__` and handlers."""

    __slots__ = ("_items",)

    def __init__(self) -> None:
        super().__init__()
        self._items: deque[T] = deque()

    def put(self, item: T, block: bool = True, timeout: float | None = None) -> None:
        """Put an item. Never waits; the other arguments are there for likeness to `Queue.put`."""
        try:
            self._items.append(item)
            if not ORDERED:
                self._waiters.pop(None, None)
            if self._waiters:
                self._wake()
        except BaseException:
            self._wake_next()  # it may be there all the same
            raise

    def put_nowait(self, item: T) -> None:
        """`put(item)`."""
        self.put(item)

    def get(self, block: bool = True, timeout: float | None = None) -> T:
        """Take the oldest item. Waits for one if `block`, for `timeout` seconds (None: for ever).

        Raises `queue.Empty` if there is none in time, ValueError if `timeout` is negative.
        """
        if timeout is not None and block:
            _check_timeout(timeout)
        if armed.registries:
            stop_if_asked("SimpleQueue.get")
        try:
            return self._items.popleft()
        except IndexError:
            pass
        if not block:
            raise queue.Empty
        return self._get_slow(timeout)

    def get_nowait(self) -> T:
        """`get(block=False)`."""
        return self.get(False)

    def empty(self) -> bool:
        """Whether it was empty a moment ago."""
        return not self._items

    def qsize(self) -> int:
        """How many items there were a moment ago."""
        return len(self._items)

    def _is_available(self) -> bool:
        return bool(self._items)

    def _get_slow(self, timeout: float | None) -> T:
        taken: list[T] = []

        def take() -> bool:
            try:
                taken.append(self._items.popleft())
            except IndexError:
                return False
            return True

        if not self._wait(take, Deadline(timeout), "SimpleQueue.get"):
            raise queue.Empty
        return taken[0]


def _check_timeout(timeout: float) -> None:
    if timeout < 0:
        raise ValueError("'timeout' must be a non-negative number")
    timeout_of(True, timeout)
