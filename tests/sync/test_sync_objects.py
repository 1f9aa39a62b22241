"""The objects of `freezethreads.sync` as such: what they refuse, and what the standard ones are."""

from __future__ import annotations

import copy
import inspect
import pickle
import queue
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any

import pytest

from freezethreads import sync

OBJECTS: dict[str, Callable[[Any], Any]] = {
    "Lock": lambda where: where.Lock(),
    "RLock": lambda where: where.RLock(),
    "Condition": lambda where: where.Condition(),
    "Event": lambda where: where.Event(),
    "Semaphore": lambda where: where.Semaphore(),
    "BoundedSemaphore": lambda where: where.BoundedSemaphore(),
    "Barrier": lambda where: where.Barrier(2),
    "Queue": lambda where: where.Queue(),
    "LifoQueue": lambda where: where.LifoQueue(),
    "PriorityQueue": lambda where: where.PriorityQueue(),
    "SimpleQueue": lambda where: where.SimpleQueue(),
}
every_object = pytest.mark.parametrize("name", OBJECTS)


class Standard:
    """Where the standard ones are."""

    Lock, RLock, Condition = threading.Lock, threading.RLock, threading.Condition
    Event, Semaphore = threading.Event, threading.Semaphore
    BoundedSemaphore, Barrier = threading.BoundedSemaphore, threading.Barrier
    Queue, LifoQueue, PriorityQueue = queue.Queue, queue.LifoQueue, queue.PriorityQueue
    SimpleQueue = queue.SimpleQueue
    sleep = time.sleep


def failure(call: Callable[[], object]) -> type[BaseException] | None:
    """The class of what the call raises."""
    try:
        call()
    except BaseException as error:  # noqa: BLE001 - it is what is asked for
        return type(error)
    return None


@pytest.mark.parametrize("how", [pickle.dumps, copy.copy, copy.deepcopy])
@every_object
def test_none_can_be_copied_that_the_standard_library_does_not_copy(
    name: str, how: Callable[[object], object]
) -> None:
    theirs = failure(lambda: how(OBJECTS[name](Standard)))
    assert failure(lambda: how(OBJECTS[name](sync))) is theirs


@pytest.mark.parametrize("name", ["Lock", "RLock", "SimpleQueue"])
def test_the_error_of_pickle_names_the_class(name: str) -> None:
    with pytest.raises(TypeError, match=f"cannot pickle '{name}' object"):
        pickle.dumps(OBJECTS[name](sync))


@pytest.mark.parametrize("name", sync.__all__)
def test_the_names_are_found_where_they_say(name: str) -> None:
    found = getattr(sync, name)
    assert (found.__module__, found.__name__) == ("freezethreads.sync", name)
    assert pickle.loads(pickle.dumps(found)) is found


@every_object
def test_a_weak_reference_is_all_that_is_left(name: str) -> None:
    thing = OBJECTS[name](sync)
    reference = weakref.ref(thing)
    del thing
    assert reference() is None, "it is part of a cycle"


# What a program can get wrong. Each is done to ours and to the standard one.
MISTAKES: dict[str, Callable[[Any], object]] = {
    "release a free lock": lambda where: where.Lock().release(),
    "release a free re-entrant lock": lambda where: where.RLock().release(),
    "leave a lock not entered": lambda where: where.Lock().__exit__(None, None, None),
    "leave a re-entrant lock not entered": lambda where: where.RLock().__exit__(None, None, None),
    "leave a condition not entered": lambda where: where.Condition().__exit__(None, None, None),
    "a time-out that is too long": lambda where: where.Lock().acquire(timeout=1e100),
    "a time-out in the past": lambda where: where.Lock().acquire(timeout=-2),
    "a time-out that is no number": lambda where: where.Lock().acquire(timeout="1"),
    "a time-out of None": lambda where: where.Lock().acquire(timeout=None),
    "a time-out of NaN": lambda where: where.Lock().acquire(timeout=float("nan")),
    "a time-out without waiting": lambda where: where.Lock().acquire(False, 1),
    "the same of a re-entrant lock": lambda where: where.RLock().acquire(False, 1),
    "too many arguments": lambda where: where.Lock().acquire(True, 1, 2),
    "an unknown argument": lambda where: where.Lock().acquire(wait=True),
    "arguments for a lock": lambda where: where.Lock(1),
    "wait without the lock": lambda where: where.Condition().wait(),
    "notify without the lock": lambda where: where.Condition().notify(),
    "an event too far": lambda where: where.Event().wait(1e100),
    "an event at no number": lambda where: where.Event().wait("1"),
    "a semaphore below zero": lambda where: where.Semaphore(-1),
    "a bounded semaphore below zero": lambda where: where.BoundedSemaphore(-1),
    "a permit too many": lambda where: where.BoundedSemaphore().release(),
    "a semaphore's time-out without waiting": lambda where: where.Semaphore().acquire(False, 1),
    "no permits": lambda where: where.Semaphore().release(0),
    "a barrier for nobody": lambda where: where.Barrier(0),
    "a get in the past": lambda where: where.Queue().get(timeout=-1),
    "a get in the past, with an item": lambda where: filled(where.SimpleQueue()).get(timeout=-1),
    "a simple get in the past": lambda where: where.SimpleQueue().get(timeout=-1),
    "a simple get too far": lambda where: filled(where.SimpleQueue()).get(timeout=1e100),
    "a simple get at no number": lambda where: filled(where.SimpleQueue()).get(timeout="1"),
    "the same without waiting": lambda where: filled(where.SimpleQueue()).get(False, -1),
    "a get from nothing": lambda where: where.SimpleQueue().get_nowait(),
    "a put into a full queue": lambda where: filled(where.Queue(1)).put_nowait(1),
    "a task too many": lambda where: where.Queue().task_done(),
    "sleep in the past": lambda where: where.sleep(-1),
    "sleep for ever": lambda where: where.sleep(float("inf")),
    "sleep for no time that is one": lambda where: where.sleep(float("nan")),
    "sleep for a string": lambda where: where.sleep("1"),
    "sleep by name": lambda where: where.sleep(seconds=1),
}


def filled(items: Any) -> Any:
    """That queue, with an item in it."""
    items.put("item")
    return items


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_gets_the_error_of_the_standard_library(name: str) -> None:
    assert failure(lambda: MISTAKES[name](sync)) is failure(lambda: MISTAKES[name](Standard))


@every_object
def test_the_methods_are_those_of_the_standard_library(name: str) -> None:
    """With the same parameters, where the standard library's say what theirs are."""
    ours, theirs = OBJECTS[name](sync), OBJECTS[name](Standard)
    for method in (method for method in dir(theirs) if not method.startswith("_")):
        assert hasattr(ours, method)
        try:
            expected = inspect.signature(getattr(theirs, method)).parameters
        except (TypeError, ValueError):
            continue  # no function, or one in C that does not say
        if "args" not in expected:
            assert list(inspect.signature(getattr(ours, method)).parameters) == list(expected)
