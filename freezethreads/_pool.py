"""`ThreadPoolExecutor`: the standard one, whose workers are enrolled, and stopped while they idle.

It stays the standard one in all but three things, each of which is a hook of it, or an attribute
that has been the same since Python 3.11 (3.14 has changed nearly everything else):

* The workers enrol themselves in the *initializer*, the first thing that they call, and are struck
  off as they end.
* They wait for work in a freezable queue, which hands nothing to a frozen thread. Each look into it
  is a safepoint, so a worker that always finds work stops between two items.
* A future gets a freezable condition as it is put there, when no other thread has seen it yet.

What is done with the pool's locks held is done with plain waits: no thread stands frozen with them.
"""

from __future__ import annotations

import concurrent.futures.thread  # itself: an import that 3.15 makes lazily, others break
from collections.abc import Callable, Collection, Iterable
from concurrent.futures import Future
from typing import Any, ParamSpec, TypeVar

from freezethreads._freezer import Freezer, check_freezer
from freezethreads._ground.arguments import check_callable, check_group
from freezethreads._ground.original import Thread
from freezethreads._refrigerator.waits import Plain, Waiting, plumbing
from freezethreads._threads import enrol, expect, join_unless_for_ever
from freezethreads.sync import Condition, SimpleQueue
from freezethreads.sync._own_world import wait_unless_for_ever

plumbing.update((__file__, concurrent.futures._base.__file__))

P = ParamSpec("P")
T = TypeVar("T")


class ThreadPoolExecutor(concurrent.futures.thread.ThreadPoolExecutor):
    """`concurrent.futures.ThreadPoolExecutor`, whose workers are enrolled with a freezer.

    An idle worker counts as stopped, and a busy one stops at the safepoints of what it calls, or
    when that has returned. While the workers are frozen nothing is dispatched; what is submitted
    meanwhile, by a thread that runs, waits in the queue. ``result()`` and ``exception()`` of its
    futures, `map()`, and `shutdown()` are freezable waits for the thread that calls them; and a
    `FreezeError`, where that would wait for ever, since all workers stand in a world of its own
    (for `shutdown()`, one of them). `map()` has cancelled its jobs then, as at any error.
    (`concurrent.futures.wait()` and `concurrent.futures.as_completed()` are not, unless `install()`
    is in force.)
    """

    def __init__(
        self,
        max_workers: int | None = None,
        thread_name_prefix: str = "",
        initializer: Callable[..., object] | None = None,
        initargs: tuple[Any, ...] = (),
        *,
        freezer: Freezer | None = None,
        group: str = "",
        **more: Any,
    ) -> None:
        """As the standard pool's, whose other arguments on this interpreter are passed on.

        `freezer` is whom the workers are enrolled with (None: the default freezer), and `group` the
        dotted name of their group. Raises TypeError or ValueError if one of them is nothing of the
        kind.
        """
        check_freezer(freezer)
        check_group(group)
        if initializer is not None:
            check_callable("initializer", initializer)
        super().__init__(
            max_workers,
            thread_name_prefix,
            _initialize,
            (freezer, group, initializer, initargs),
            **more,
        )
        self._work_queue = _WorkQueue(self._threads)  # type: ignore[assignment]
        self._enrolment = (freezer, group)

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """As the standard pool's. It does not wait for a thaw, not even for a new worker."""
        expect(*self._enrolment)
        with Plain():
            return super().submit(fn, *args, **kwargs)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """As the standard pool's. The caller counts as stopped while it waits for the workers.

        Raises `FreezeError` instead of a wait that would never end, since a worker stands in a
        world of the caller's own. The pool is shut down then all the same.
        """
        with Plain():
            super().shutdown(wait=False, cancel_futures=cancel_futures)
        if wait:
            with Waiting("ThreadPoolExecutor.shutdown", fork_safe=True):
                for thread in self._threads:
                    if not join_unless_for_ever(thread, thread.join):
                        thread.join()

    def _initializer_failed(self) -> None:
        with Plain():
            super()._initializer_failed()


class _WorkQueue(SimpleQueue[Any]):
    """Of work items, and of None, which means that the pool or the interpreter shuts down."""

    __slots__ = ("_workers",)

    def __init__(self, workers: Collection[Thread]) -> None:
        super().__init__()
        self._workers = workers

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        if item is not None:
            item.future._condition = _Condition(self._workers)
        super().put(item)


class _Condition(Condition):
    """That of a future, for which any of these workers may make the call."""

    def __init__(self, workers: Collection[Thread]) -> None:
        super().__init__()
        self._workers = workers  # and not the pool, which ends when nobody refers to it

    def wait(self, timeout: float | None = None) -> bool:
        """Raises `FreezeError` for one that would never end: see `wait_unless_for_ever`."""
        if timeout is None and wait_unless_for_ever(
            lambda: list(self._workers), super().wait, "a result of their pool"
        ):
            return True
        return super().wait(timeout)


def _initialize(
    freezer: Freezer | None,
    group: str,
    initializer: Callable[..., object] | None,
    initargs: Iterable[Any],
) -> None:
    """What a worker begins with. Its end is noticed without its saying so."""
    enrol(freezer, group)
    if initializer is not None:
        initializer(*initargs)
