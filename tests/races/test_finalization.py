"""What is left alone when the interpreter has begun to go."""

from __future__ import annotations

import sys

import pytest

from helpers import run_python

# Daemon threads do not run any more then. On a free-threaded build one of them may be the owner of
# the very lock that is waited for: it was handed over to it while it waited.
PROGRAM = """
import os, sys
import freezethreads
from freezethreads._controller.controller import Controller
from freezethreads._registry.registry import Registry

def told(*_, is_over=sys.is_finalizing, write=os.write):
    write(1, b"called at the end of all" if is_over() else b"")

freezer = freezethreads.Freezer()
Registry.note_exit = Controller.thaw = told
freezer.register()
{how}
"""


@pytest.mark.parametrize(
    "how",
    [
        "",
        "freezer.unregister(); world = freezer.freeze()",
        "freezer.unregister(); leave = freezer.freeze().__exit__",
    ],
    ids=["registered", "with a world", "with a world's exit"],
)
def test_nobody_is_told_of_the_main_threads_end_when_nobody_runs(how: str) -> None:
    assert run_python(PROGRAM.format(how=how)).stdout == ""


# Up to CPython 3.14 such a wait never ends, and neither does one of the standard library's.
WAITS = {
    "lock": "lock.acquire",
    "lock, enrolled": "enrolled",
    "event": "sync.Event().wait",
    "queue": "sync.SimpleQueue().get",
    "freeze": "functools.partial(freezer.freeze, timeout=None)",
}
TOO_LATE = """
import functools, os, sys, types
from freezethreads import Freezer, sync
helper = types.ModuleType("helper")  # what the daemon refers to is not taken from the program
exec('''
import threading, time
from freezethreads import Freezer, sync
def run(freezer, lock, ready, sleep):
    with freezer.register("daemon"):
        lock.acquire()
        ready.set()
        while True:
            sleep(0.01)
freezer, lock, ready = Freezer("late"), sync.Lock(), threading.Event()
threading.Thread(target=run, args=(freezer, lock, ready, time.sleep), daemon=True).start()
ready.wait()
''', vars(helper))
freezer, lock = helper.freezer, helper.lock
def enrolled(freezer=freezer, lock=lock):
    with freezer.register():
        lock.acquire()
class Last:
    def __init__(self, act):
        self.act, self.over = act, sys.is_finalizing
        self.write, self.error = os.write, BaseException
    def __del__(self):
        try:
            self.act()
        except self.error as error:
            self.write(1, f"{self.over()} {error.__class__.__name__}".encode())
last = Last({wait})
"""


@pytest.mark.skipif(sys.version_info < (3, 15), reason="before, it waits for ever")
@pytest.mark.parametrize("name", WAITS)
def test_a_wait_at_the_end_of_all_ends_in_an_error(name: str) -> None:
    program = TOO_LATE.replace("{wait}", WAITS[name])
    assert run_python(program, timeout=20).stdout == "True PythonFinalizationError"
