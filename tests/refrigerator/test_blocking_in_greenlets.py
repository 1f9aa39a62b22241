"""A blocking region of a greenlet says nothing of its thread, in which other greenlets run.

Each program has a process of its own: a build without a GIL gets one as greenlet is imported.
"""

from __future__ import annotations

import pytest

from helpers import run_python

BEGINNING = """
import sys
import types
import warnings
from threading import Event, Thread

from freezethreads import Freezer, FreezeTimeout, State

with warnings.catch_warnings():
    warnings.simplefilter("ignore", RuntimeWarning)  # that there is a GIL from now on
    from greenlet import getcurrent, greenlet

freezer = Freezer()
there, go_on = Event(), Event()


def wait():
    there.set()
    go_on.wait()
    go_on.clear()


def is_stopped():
    there.wait()
    there.clear()
    try:
        freezer.freeze(timeout=0).thaw()
    except FreezeTimeout:
        return False
    finally:
        go_on.set()
    return True


def check(run, *expected):
    thread = Thread(target=run)
    thread.start()
    for is_expected in expected:
        assert is_stopped() is is_expected
    thread.join()
    print("checked")
"""

TWO_THAT_OVERLAP = """
def run():
    def work():
        with freezer.blocking():
            root.switch()
        wait()

    with freezer.register() as registration:
        root = getcurrent()
        one, two = greenlet(work), greenlet(work)
        one.switch()
        two.switch()
        wait()  # both are in their regions, and neither is where the thread is
        one.switch()
        two.switch()
        assert freezer.threads()[0].state is State.RUNNING
        with freezer.blocking():
            wait()

check(run, False, False, False, True)
"""

THE_END_IS_A_DOOR = """
def run():
    def work():
        with freezer.blocking():
            todo = freezer.todo(thread.ident, int)
        ended_made.append(todo.done())

    with freezer.register():
        greenlet(work).switch()

ended_made = []
thread = Thread(target=run)
thread.start()
thread.join()
assert ended_made == [True]
print("checked")
"""

HUBS = """
def run():
    with freezer.register(), freezer.blocking():
        wait()

check(run, True)
hubs = types.SimpleNamespace(hub=None)
sys.modules["gevent._hub_local"] = types.SimpleNamespace(get_hub_if_exists=lambda: hubs.hub)
sys.modules["eventlet.hubs"] = types.SimpleNamespace(_threadlocal=types.SimpleNamespace())
check(run, True)
hubs.hub = greenlet()
check(run, False)
hubs.hub = None
check(run, True)
sys.modules["eventlet.hubs"]._threadlocal.hub = greenlet()
check(run, False)
"""


@pytest.mark.parametrize(
    ("program", "checks"),
    [(TWO_THAT_OVERLAP, 1), (THE_END_IS_A_DOOR, 1), (HUBS, 5)],
    ids=["two that overlap", "the end is a door", "hubs"],
)
def test_a_region_of_a_greenlet(program: str, checks: int) -> None:
    assert run_python(BEGINNING + program).stdout.split() == ["checked"] * checks
