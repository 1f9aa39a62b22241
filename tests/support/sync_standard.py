"""The standard library's tests of locks and queues, run on ours. For a process of its own.

Its test classes are subclassed with ours as the class to be tested. How the threads of the tests
live meanwhile is this program's argument:

* `plain`: as they do in the standard library's own run.
* `enrolled`: all of them are enrolled with a freezer, the main thread too.
* `frozen`: enrolled, and a controller freezes them all about once a millisecond.

With the latter two the tests' own sleeps, joins, locks, events and barriers are freezable too, so
that they do not keep every freeze waiting. What is tested stays the same.
"""

from __future__ import annotations

import faulthandler
import importlib
import importlib.util
import json
import queue
import sys
import threading
import time
import unittest
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, Final

from freezethreads import Freezer, FreezeTimeout, sync
from freezethreads._ground.original import sleep as real_sleep

lock_tests: Any = importlib.import_module("test.lock_tests")
test_queue: Any = importlib.import_module("test.test_queue")
support: Any = importlib.import_module("test.support")

MODES: Final = ("plain", "enrolled", "frozen")

PATIENCE: Final = 90.0
"""Seconds until a run that hangs is ended, with all stacks shown."""


# Their tests of `repr` expect a module whose name is one word.
class Event(sync.Event): ...


class Semaphore(sync.Semaphore): ...


class BoundedSemaphore(sync.BoundedSemaphore): ...


class Barrier(sync.Barrier): ...


# The module that the tests of queues see: the standard exceptions, and our classes.
OUR_QUEUE = SimpleNamespace(
    **{
        **vars(queue),
        "Queue": sync.Queue,
        "LifoQueue": sync.LifoQueue,
        "PriorityQueue": sync.PriorityQueue,
        "SimpleQueue": sync.SimpleQueue,
    }
)


def derive(name: str, base: Any, **attributes: Any) -> type[unittest.TestCase]:
    """A test case of that name: `base` with other attributes."""
    bases = (base,) if issubclass(base, unittest.TestCase) else (base, unittest.TestCase)
    return type(name, bases, {"__module__": __name__, **attributes})


CASES: Final = {
    case.__name__: case
    for case in (
        derive("LockTests", lock_tests.LockTests, locktype=staticmethod(sync.Lock)),
        derive("RLockTests", lock_tests.RLockTests, locktype=staticmethod(sync.RLock)),
        derive(
            "ConditionAsRLockTests", lock_tests.RLockTests, locktype=staticmethod(sync.Condition)
        ),
        derive("EventTests", lock_tests.EventTests, eventtype=staticmethod(Event)),
        derive("ConditionTests", lock_tests.ConditionTests, condtype=staticmethod(sync.Condition)),
        derive("SemaphoreTests", lock_tests.SemaphoreTests, semtype=staticmethod(Semaphore)),
        derive(
            "BoundedSemaphoreTests",
            lock_tests.BoundedSemaphoreTests,
            semtype=staticmethod(BoundedSemaphore),
        ),
        derive("BarrierTests", lock_tests.BarrierTests, barriertype=staticmethod(Barrier)),
        derive("QueueTest", test_queue.QueueTest, queue=OUR_QUEUE),
        derive("LifoQueueTest", test_queue.LifoQueueTest, queue=OUR_QUEUE),
        derive("PriorityQueueTest", test_queue.PriorityQueueTest, queue=OUR_QUEUE),
        derive("FailingQueueTest", test_queue.FailingQueueTest, queue=OUR_QUEUE),
        derive("SimpleQueueTest", test_queue.CSimpleQueueTest, queue=OUR_QUEUE),
    )
}

# Everything that is left out, and why. (A test that is None is none.)
EXCLUDED: Final = {
    ("ConditionAsRLockTests", "test_recursion_count"): (
        "the standard Condition has no _recursion_count either, and skips this"
    ),
    ("SimpleQueueTest", "test_is_default"): (
        "asks whether the class written in C is queue.SimpleQueue"
    ),
}
if sys.version_info >= (3, 15):
    EXCLUDED.update(
        {
            ("ConditionAsRLockTests", "test_constructor_noargs"): (
                "the standard Condition takes an argument as well, and skips this"
            ),
            ("SimpleQueueTest", "test_simplequeue_sizeof"): "knows how large C's is",
        }
    )
for _case, _test in EXCLUDED:
    setattr(CASES[_case], _test, None)


class Storm:
    """The controller: freezes all that are enrolled, again and again, about once a millisecond.

    `freezes` counts those that stood, `gave_up` those for which somebody did not stop in time (a
    test's thread that spins), and `stood` the threads that stood in each, by kind of site.
    """

    def __init__(self, freezer: Freezer) -> None:
        self.freezes = 0
        self.gave_up = 0
        self.stood: Counter[str] = Counter()
        self._freezer = freezer
        self._over = False
        self._thread = threading.Thread(target=self._freeze_on, daemon=True)

    def __enter__(self) -> Storm:
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._over = True
        self._thread.join()

    def _freeze_on(self) -> None:
        while not self._over:
            try:
                with self._freezer.freeze(timeout=0.02) as world:
                    self.stood.update(info.site.kind for info in world.threads if info.site)
                    self.freezes += 1
            except FreezeTimeout:
                self.gave_up += 1
            real_sleep(0.001)


@contextmanager
def enrolling(freezer: Freezer) -> Iterator[None]:
    """Enrol the calling thread, and those that the tests start."""

    def enrolled(run: Callable[..., object]) -> Callable[..., None]:
        def run_enrolled(*args: Any) -> None:
            with freezer.register():
                run(*args)

        return run_enrolled

    class Thread(threading.Thread):
        def start(self) -> None:
            self.run = enrolled(self.run)  # type: ignore[method-assign]
            super().start()

        def join(self, timeout: float | None = None) -> None:
            with freezer.blocking("join"):
                super().join(timeout)

    def start_new_thread(function: Callable[..., object], args: tuple[Any, ...]) -> None:
        real_start(enrolled(function), args)

    real_start = lock_tests.start_new_thread
    lock_tests.start_new_thread = start_new_thread
    names = {name: vars(sync)[name] for name in ("Lock", "Event", "Barrier")}
    test_queue.threading = SimpleNamespace(**{**vars(threading), **names, "Thread": Thread})
    test_queue._TriggerThread = _on(test_queue._TriggerThread, Thread)
    time.sleep = sync.sleep  # type: ignore[assignment]
    with freezer.register("main"):
        yield


def _on(trigger: Any, thread: type[threading.Thread]) -> type[threading.Thread]:
    """Their thread that unclogs a queue, on another base."""
    return type(trigger.__name__, (thread,), dict(vars(trigger)))


def run_all() -> dict[str, Any]:
    """Run the tests; return what came of them."""
    load = unittest.defaultTestLoader.loadTestsFromTestCase
    result = unittest.TestResult()
    unittest.TestSuite(load(case) for case in CASES.values()).run(result)
    return {
        "ran": result.testsRun,
        "failed": [[str(test), text] for test, text in (*result.failures, *result.errors)],
        "skipped": [[str(test), why] for test, why in result.skipped],
    }


def main(mode: str) -> None:
    """Run them in one of `MODES`, and print what came of it as JSON."""
    faulthandler.dump_traceback_later(PATIENCE, exit=True)
    warnings.simplefilter("default")  # theirs to judge, as when they are run alone
    support.verbose = 0
    # What some of them say that they need on a free-threaded build is address space.
    support.max_memuse = support.real_max_memuse = 8 * 2**30
    # From 3.14 on these would run in a process of their own, and with the standard classes.
    if importlib.util.find_spec("test.support.isolation"):
        isolation: Any = importlib.import_module("test.support.isolation")
        isolation.runningInSubprocess = True
    freezer = Freezer("standard")
    storm = Storm(freezer)
    if mode == "plain":
        outcome = run_all()
    elif mode == "enrolled":
        with enrolling(freezer):
            outcome = run_all()
    else:
        with enrolling(freezer), storm:
            outcome = run_all()
    counts = {"freezes": storm.freezes, "gave_up": storm.gave_up, "stood": storm.stood}
    print(json.dumps({**outcome, **counts}))


if __name__ == "__main__":
    main(sys.argv[1])
