"""What an installation replaces keeps its identity, where programs rely on it."""

from __future__ import annotations

import inspect
import pickle
import queue
import socket
import threading
import time
import warnings
from collections.abc import Iterator
from typing import Any

import pytest

import freezethreads
from freezethreads import Freezer
from freezethreads._install._patches import Patch, Row, Switch
from freezethreads._install._table import TABLE
from freezethreads._install._wrappers import StandIn, wait_plainly
from helpers import WAIT, run_python

ROWS = [row for row in TABLE if row.find_owner() is not None]
CLASSES = [row for row in ROWS if isinstance(row.make, StandIn)]
every_row = pytest.mark.parametrize("row", ROWS, ids=[row.label for row in ROWS])
every_class = pytest.mark.parametrize("row", CLASSES, ids=[row.label for row in CLASSES])


@pytest.fixture(autouse=True)
def originals() -> Iterator[dict[Row, Any]]:
    """An installation, and what was there before."""
    before = {row: getattr(row.find_owner(), row.name) for row in ROWS}
    with freezethreads.install(Freezer("under test")):
        yield before


def signature(function: Any) -> str:
    try:
        return str(inspect.signature(function))
    except ValueError:
        return "unknown"


@every_row
def test_it_looks_like_the_original(row: Row, originals: dict[Row, Any]) -> None:
    now, before = getattr(row.find_owner(), row.name), originals[row]
    assert now is not before
    assert now.__doc__ == before.__doc__
    assert (now.__module__, now.__qualname__) == (row.module, row.path)
    assert now.__name__ == row.name
    if row not in CLASSES:
        assert signature(now) == signature(before)


@every_row
def test_it_can_be_pickled_by_name(row: Row) -> None:
    now = getattr(row.find_owner(), row.name)
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        assert pickle.loads(pickle.dumps(now, protocol)) is now


def test_a_process_without_an_installation_finds_the_originals() -> None:
    things = (time.sleep, threading.Lock, queue.SimpleQueue, threading.Thread.join)
    code = """
import pickle, queue, sys, threading, time
things = pickle.loads(bytes.fromhex(sys.argv[1]))
assert things == (time.sleep, threading.Lock, queue.SimpleQueue, threading.Thread.join)
assert "freezethreads" not in sys.modules
"""
    run_python(code, pickle.dumps(things).hex())


def test_it_has_the_name_of_its_place_and_not_of_the_original() -> None:
    patch = Patch(Row("threading", "", "_allocate_lock", wait_plainly), threading)
    assert threading._allocate_lock.__qualname__ == "allocate_lock"  # type: ignore[attr-defined]
    patch.apply(Switch())
    try:
        made = threading._allocate_lock  # type: ignore[attr-defined]
        assert (made.__module__, made.__qualname__) == ("threading", "_allocate_lock")
    finally:
        assert patch.undo()


@every_class
def test_what_the_original_made_is_an_instance_still(row: Row, originals: dict[Row, Any]) -> None:
    now, before = getattr(row.find_owner(), row.name), originals[row]
    assert isinstance(before(), now)
    assert isinstance(now(), now)
    assert not isinstance(object(), now)
    assert type(now()) is now


def test_an_instance_of_a_subclass_is_what_was_made_of_it(originals: dict[Row, Any]) -> None:
    class Own(queue.SimpleQueue[int]):
        def __init__(self, item: int) -> None:
            super().__init__()
            self.put(item)

    own = Own(3)
    assert own.get(timeout=WAIT) == 3
    assert isinstance(own, Own)
    assert isinstance(own, queue.SimpleQueue)
    assert not isinstance(queue.SimpleQueue(), Own)
    assert str(inspect.signature(Own.__init__)) == "(self, item: 'int') -> 'None'"


def outcome(function: Any, *args: Any, **kwargs: Any) -> tuple[object, ...]:
    """What it raises, or else its warnings."""
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        try:
            function(*args, **kwargs)
        except TypeError as error:
            return TypeError, str(error)
    return tuple(str(each.message) for each in seen)


@every_class
def test_arguments_that_it_does_not_take(row: Row, originals: dict[Row, Any]) -> None:
    now, before = getattr(row.find_owner(), row.name), originals[row]
    for args, kwargs in ((1,), {}), ((), {"a": 1}), ((1, 2), {"a": 1}):
        assert outcome(now, *args, **kwargs) == outcome(before, *args, **kwargs)


@every_class
def test_it_is_a_base_where_the_original_is(row: Row, originals: dict[Row, Any]) -> None:
    """Or the type of what the original makes, where that is a function."""
    now, before = getattr(row.find_owner(), row.name), originals[row]
    base = before if isinstance(before, type) else type(before())
    assert outcome(type, "Own", (now,), {})[:1] == outcome(type, "Own", (base,), {})[:1]


def test_the_type_of_a_reentrant_lock_can_be_subclassed() -> None:
    base: Any = type(threading.RLock())
    own = type("Own", (base,), {})()
    with own as entered:
        assert entered is True
        assert own._is_owned()


def test_a_subclass_of_a_socket_calls_what_is_there() -> None:
    class Own(socket.socket):
        def recv(self, *args: Any) -> bytes:
            return super().recv(*args).upper()

    here, there = socket.socketpair()
    with Own(fileno=here.detach()) as own, there:
        there.send(b"xy")
        assert own.recv(3) == b"XY"


def test_a_queue_can_be_subscripted_as_before() -> None:
    assert str(queue.SimpleQueue[int]).endswith("queue.SimpleQueue[int]")


KEPT = {
    "threading": "Thread Thread.__init__ Thread.run Thread.is_alive Timer Event Condition "
    "Semaphore BoundedSemaphore Barrier excepthook ExceptHookArgs current_thread enumerate local "
    "Condition.__init__ Condition.notify_all Condition.wait_for Event.set _allocate_lock",
    "queue": "Queue LifoQueue PriorityQueue Empty Full Queue.__init__ Queue.join Queue.put_nowait",
    "socket": "socket socket.accept socket.close socketpair create_connection SocketIO",
    "subprocess": "Popen Popen.__init__ Popen.poll run",
    "selectors": "DefaultSelector EpollSelector BaseSelector.select",
    "concurrent.futures": "ThreadPoolExecutor Future Future.result wait",
}


def test_what_is_not_in_the_table_is_as_ever() -> None:
    """Told by the code itself, in an interpreter of its own that has installed nothing."""
    code = f"""
import importlib, operator
for module, names in {KEPT!r}.items():
    for name in names.split():
        print(module, name, id(operator.attrgetter(name)(importlib.import_module(module))))
"""
    code = f"code = {code!r}\nexec(code)\nimport freezethreads\nfreezethreads.install()\nexec(code)"
    lines = run_python(code).stdout.splitlines()
    assert len(lines) == 2 * sum(len(names.split()) for names in KEPT.values())
    assert lines[: len(lines) // 2] == lines[len(lines) // 2 :]
