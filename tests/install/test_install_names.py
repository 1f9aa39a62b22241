"""What an installation replaces keeps its identity, where programs rely on it."""

from __future__ import annotations

import inspect
import io
import pickle
import queue
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from freezethreads._install._patches import Patch, Row, Switch
from freezethreads._install._wrappers import wait_plainly
from helpers import run_python
from install_rows import CALLED, ROWS, installed

HERE = [row for row in CALLED if row in ROWS]
every_row = pytest.mark.parametrize("row", HERE, ids=[row.label for row in HERE])


@pytest.fixture(autouse=True)
def originals() -> Iterator[dict[Row, Any]]:
    with installed() as before:
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
    if isinstance(before, type):  # the rest is in test_install_stand_ins.py
        assert (now.__module__, now.__qualname__) == (before.__module__, before.__qualname__)
        return
    assert (now.__module__, now.__qualname__) == (row.module, row.path)
    assert now.__name__ == row.name
    assert signature(now) == signature(before)


@every_row
def test_it_can_be_pickled_by_name(row: Row) -> None:
    now = getattr(row.find_owner(), row.name)
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        assert pickle.loads(pickle.dumps(now, protocol)) is now


def test_a_module_that_is_replaced_has_all_names_of_the_original() -> None:
    ours: Any = vars(subprocess)["io"]
    assert ours is not io
    assert (ours.__name__, ours.__doc__) == (io.__name__, io.__doc__)
    for name in io.__all__:
        assert name == "open" or getattr(ours, name) is getattr(io, name)


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


def test_a_subclass_of_a_socket_calls_what_is_there() -> None:
    class Own(socket.socket):
        def recv(self, *args: Any) -> bytes:
            return super().recv(*args).upper()

    here, there = socket.socketpair()
    with Own(fileno=here.detach()) as own, there:
        there.send(b"xy")
        assert own.recv(3) == b"XY"


KEPT = {
    "threading": "Thread Thread.__init__ Thread.run Thread.is_alive Timer Event Condition "
    "Semaphore BoundedSemaphore Barrier ExceptHookArgs current_thread enumerate local "
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
