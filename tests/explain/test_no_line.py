"""Advice for threads that have no line of the program in their stack: none that could be edited."""

from __future__ import annotations

import asyncio
import concurrent.futures
import pickle
import queue
import re
import socketserver
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import freezethreads
from freezethreads import Freezer, FreezeTimeout, Straggler
from freezethreads.testing import _places
from helpers import WAIT, wait_until

Target = Callable[[], object]
STANDARD = Path(threading.__file__).parent


@contextmanager
def running(freezer: Freezer, target: Target, end: Callable[[], object]) -> Iterator[None]:
    """A registered thread that was started with that target, until `end()` ends it."""
    thread = freezethreads.Thread(target=target, freezer=freezer, daemon=True)
    thread.start()
    try:
        wait_until(lambda: bool(freezer.threads()))
        yield
    finally:
        end()
        thread.join(WAIT)
    assert not thread.is_alive()


def time_out(freezer: Freezer) -> FreezeTimeout:
    """Of a freeze for which one thread does not stop, when that has come to its wait.

    Before it, the thread stops in `register()`, or moves.
    """
    deadline = time.monotonic() + WAIT
    while time.monotonic() < deadline:
        try:
            freezer.freeze(timeout=0.05).thaw()
        except FreezeTimeout as error:
            (straggler,) = error.stragglers
            if not straggler.moving and "passes no safepoint" not in str(error):
                return error
    raise AssertionError(f"within {WAIT} s no freeze was too late for a thread in its wait")


def advice_of(error: FreezeTimeout) -> str:
    advice = str(error).partition("What would help:\n")[2]
    assert advice
    return advice


def check_no_line_is_named(advice: str) -> None:
    assert str(STANDARD) not in advice
    assert ".py:" not in re.sub(r"\(in `.*` at .*\)", "", advice), "other than where it is"


def queue_of_c() -> tuple[Target, Target]:
    waiting = queue.SimpleQueue[int]()
    return waiting.get, lambda: waiting.put(1)


def queue_of_python() -> tuple[Target, Target]:
    waiting = queue.Queue[int]()
    return waiting.get, lambda: waiting.put(1)


def lock() -> tuple[Target, Target]:
    held = threading.Lock()
    held.acquire()
    return held.acquire, held.release


def event() -> tuple[Target, Target]:
    awaited = threading.Event()
    return awaited.wait, awaited.set


TAKEN = {
    "SimpleQueue.get": queue_of_c,
    "Queue.get": queue_of_python,
    "lock.acquire": lock,
    "Event.wait": event,
}


@pytest.mark.parametrize("name", TAKEN)
def test_what_takes_something_is_to_be_that_of_sync(name: str) -> None:
    freezer = Freezer()
    target, end = TAKEN[name]()
    with running(freezer, target, end):
        error = time_out(freezer)
    advice = advice_of(error)
    check_no_line_is_named(advice)
    assert f"waits in `{name}`" in advice
    assert "Have it call that of a lock, event or queue of freezethreads.sync" in advice
    assert "blocking()" not in advice
    assert advice_of(pickle.loads(pickle.dumps(error))) == advice


def test_a_call_of_c_is_to_be_made_by_a_function_of_the_program() -> None:
    freezer = Freezer()
    nap = 0.5  # it cannot be ended
    thread = freezethreads.Thread(target=time.sleep, args=(nap,), freezer=freezer)
    thread.start()
    wait_until(lambda: bool(freezer.threads()))
    advice = advice_of(time_out(freezer))
    thread.join(WAIT)
    check_no_line_is_named(advice)
    assert "waits in `time.sleep`" in advice
    assert "Start it with a function of the program that makes this call in `with" in advice


def test_what_calls_the_program_back_is_to_pass_safepoints() -> None:
    freezer = Freezer()
    with (
        socketserver.TCPServer(("127.0.0.1", 0), socketserver.BaseRequestHandler) as server,
        running(freezer, server.serve_forever, server.shutdown),
    ):
        advice = advice_of(time_out(freezer))
    check_no_line_is_named(advice)
    assert "waits in `BaseServer.serve_forever` (in " in advice
    assert "blocking()" not in advice
    assert "Have what it runs call freezer.safepoint() now and then" in advice


def test_a_worker_of_a_pool_is_to_be_one_of_ours() -> None:
    freezer = Freezer()
    with concurrent.futures.ThreadPoolExecutor(1, initializer=freezer.register) as pool:
        pool.submit(int).result(WAIT)
        advice = advice_of(time_out(freezer))
        check_no_line_is_named(advice)
        assert "Use freezethreads.ThreadPoolExecutor in the place of this pool" in advice


def test_an_event_loop_is_to_be_enrolled() -> None:
    freezer, loop = Freezer(), asyncio.new_event_loop()
    with running(freezer, loop.run_forever, lambda: loop.call_soon_threadsafe(loop.stop)):
        advice = advice_of(time_out(freezer))
    loop.close()
    check_no_line_is_named(advice)
    assert "Have that event loop stop, by freezethreads.integrations.asyncio_loop" in advice


@pytest.mark.skipif(
    not getattr(sys, "_is_gil_enabled", lambda: True)(), reason="there no stack tells of locks"
)
def test_one_that_has_a_lock_is_not_to_wait_in_a_region() -> None:
    """No part of the standard library waits so for long: this is one by its path."""
    freezer, held = Freezer(), threading.Lock()
    path = STANDARD / "no_such_file.py"
    code = compile("def hold():\n    with held:\n        wait()\n", str(path), "exec")
    waits = queue.SimpleQueue[int]()
    names: dict[str, Any] = {"held": held, "wait": waits.get}
    exec(code, names)
    with running(freezer, names["hold"], lambda: waits.put(1)):
        wait_until(held.locked)
        advice = advice_of(time_out(freezer))
    assert "a blocking region is no help" in advice
    assert "with freezer.blocking()" not in advice
    assert "before this call" not in advice


def test_where_it_got_there_from_is_not_told_twice() -> None:
    freezer = Freezer()
    target, end = queue_of_python()
    with running(freezer, target, end):
        (straggler,) = time_out(freezer).stragglers
    assert isinstance(straggler, Straggler)
    assert _places.is_innermost(straggler, Path(__file__).parent)
