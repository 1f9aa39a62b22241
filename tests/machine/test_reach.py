"""Who could give the sign that a thread waits for, as references tell."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from freezethreads._machine import reach
from freezethreads._machine.reach import reachers
from freezing import before
from helpers import HAS_GIL, ROOT, start, wait_for

pytestmark = pytest.mark.skipif(
    not HAS_GIL, reason="nobody may read the frames of a thread that runs"
)

kept: list[Any] = []
"""What every thread of the program reaches."""


class Other:
    """Another thread, which has something in a variable of its own until the end of a test."""

    def __init__(self, something: Any) -> None:
        self._over, self._has_it = threading.Event(), threading.Event()
        self._given = [something]
        self._thread = start(self._keep)
        wait_for(self._has_it)
        self.ident = self._thread.ident or 0

    def _keep(self) -> None:
        mine = self._given.pop()
        self._has_it.set()
        wait_for(self._over)
        del mine

    def end(self) -> None:
        self._over.set()
        self._thread.finish()


@pytest.fixture
def others() -> Iterator[list[Other]]:
    others: list[Other] = []
    yield others
    for other in others:
        other.end()


def closure_over(thing: object) -> Callable[[], object]:
    return lambda: thing


def waiting_generator(thing: object) -> Iterator[object]:
    yield None
    yield thing


def begun(thing: object) -> Iterator[object]:
    generator = waiting_generator(thing)
    next(generator)
    return generator


HOLDERS: dict[str, Callable[[object], object]] = {
    "itself": lambda thing: thing,
    "list": lambda thing: [[thing]],
    "attribute": lambda thing: SimpleNamespace(sign=thing),
    "closure": closure_over,
    "method": lambda thing: thing.wait,  # type: ignore[attr-defined]
    "generator": begun,
}


@pytest.mark.parametrize("holder", HOLDERS)
def test_a_variable_of_another_thread_leads_there(others: list[Other], holder: str) -> None:
    thing = threading.Event()
    others += [Other(HOLDERS[holder](thing)), Other("something else")]
    idents = [other.ident for other in others]
    assert reachers(thing, 0, idents) == {idents[0]}
    assert reachers(thing, idents[0], idents) == set()


def test_all_who_have_it_reach_it(others: list[Other]) -> None:
    thing = threading.Event()
    others += [Other(thing), Other([thing])]
    idents = [other.ident for other in others]
    assert reachers(thing, 0, idents) == set(idents)


def test_what_the_collector_does_not_look_into_is_everybodys(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    thing = threading.Event()
    monkeypatch.setattr(gc, "get_freeze_count", lambda: 7000)
    assert reachers(thing, 0, []) is None


class Unspeakable:
    """What a thread may be begun with, and that nobody else has a part in."""

    def __bool__(self) -> bool:
        raise AssertionError("asked")

    def __eq__(self, other: object) -> bool:
        raise AssertionError("asked")

    __hash__ = object.__hash__

    def __call__(self) -> None:
        self.ready.set()
        wait_for(self.over)

    def __init__(self) -> None:
        self.ready, self.over = threading.Event(), threading.Event()


def test_nothing_of_the_program_is_called() -> None:
    target = Unspeakable()
    thread = threading.Thread(target=target)
    thread.start()
    wait_for(target.ready)
    found = reachers(threading.Event(), 0, [thread.ident or 0])
    target.over.set()
    thread.join()
    assert found == set()


def test_a_variable_of_a_module_is_everybodys(others: list[Other]) -> None:
    thing = threading.Event()
    others.append(Other("something else"))
    assert reachers(thing, 0, [others[0].ident]) == set()
    kept.append([thing])
    try:
        assert reachers(thing, 0, [others[0].ident]) is None
    finally:
        kept.clear()


@pytest.mark.parametrize(("limit", "value"), [("_MOST", 3), ("_LONGEST", 0.0), ("_LAYERS", 2)])
def test_where_it_takes_too_long_everybody_may(
    others: list[Other], monkeypatch: pytest.MonkeyPatch, limit: str, value: float
) -> None:
    thing = threading.Event()
    others.append(Other([[[[thing]]] * 2]))
    monkeypatch.setattr(reach, limit, value)
    assert reachers(thing, 0, [others[0].ident]) is None


def test_on_a_busy_machine_as_much_is_found(
    others: list[Other], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The time of others does not count."""
    thing = threading.Event()
    others.append(Other([[[[thing]]] * 2]))
    slept: list[float] = []

    def be_kept_waiting(*_: object) -> None:
        slept.append(0.3)
        time.sleep(slept[-1])

    monkeypatch.setattr(reach, "_LONGEST", 1.0)
    before(monkeypatch, reach, "_referrers", be_kept_waiting)
    assert reachers(thing, 0, [others[0].ident]) == {others[0].ident}
    assert sum(slept) > 1.0


def test_what_a_thread_was_begun_with_is_not_everybodys() -> None:
    thing, ready, over = threading.Event(), threading.Event(), threading.Event()

    def work(given: object) -> None:
        del given
        ready.set()
        wait_for(over)

    thread = threading.Thread(target=work, args=(thing,))
    thread.start()
    wait_for(ready)
    found = reachers(thing, 0, [thread.ident or 0])
    over.set()
    thread.join()
    assert found == set()


PROGRAM = """
import queue, threading, time
from concurrent.futures import ThreadPoolExecutor
import freezethreads
from freezethreads import sync

def event(): threading.Event().wait()
def get(items=None):
    items = queue.Queue()
    items.get()
def put():
    full = queue.Queue(1)
    full.put(1)
    full.put(2)
def join():
    unfinished = queue.Queue()
    unfinished.put(1)
    unfinished.join()
def semaphore():
    with threading.Semaphore(0): pass
def barrier(): threading.Barrier(2).wait()
def condition():
    own = threading.Condition()
    with own: own.wait_for(lambda: False)
def ours(): sync.SimpleQueue().get()
def our_event(): sync.Event().wait()
def timed_get(): queue.Queue().get(timeout=1000)
def timed_event(): threading.Event().wait(1000)
def timed_semaphore(): threading.Semaphore(0).acquire(timeout=1000)
def sleeps(): time.sleep(1000)
def in_a_global(): shared.wait()
def pool():
    jobs = queue.Queue()
    def take(): jobs.get()
    def give():
        time.sleep(1000)
        jobs.put(1)
    for work in take, take, give:
        threading.Thread(target=work, name=f"pool {work.__name__}", daemon=True).start()

shared = threading.Event()
CASES = [event, get, put, join, semaphore, barrier, condition, ours, our_event]
CASES += [timed_get, timed_event, timed_semaphore, sleeps, in_a_global, pool]
for case in CASES:
    threading.Thread(target=case, name=case.__name__, daemon=True).start()
ALONE
wanted = set("WANTED".split())
deadline = time.monotonic() + 20  # what a busy machine takes until all are in their places
time.sleep(0.3)
while True:
    found = [edge for one in freezethreads.deadlocks() for edge in one.edges]
    if wanted <= {edge.name for edge in found} or time.monotonic() > deadline:
        break
assert {edge.way_out for edge in found} <= {"what refers to it is not all seen"}
print(*sorted(edge.name for edge in found))
import os; print(end="", flush=True); os._exit(0)
"""
SIGNS = "barrier condition event get join our_event ours put semaphore"


def run(more: str, wanted: str) -> str:
    result = subprocess.run(
        [sys.executable, "-c", PROGRAM.replace("ALONE", more).replace("WANTED", wanted)],
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
        env={"PYTHONPATH": str(ROOT)},
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


def test_each_kind_of_sign() -> None:
    assert run("", SIGNS) == SIGNS


PARKED = """
import threading, time, freezethreads
def look():
    time.sleep(0.5)
    print(freezethreads.deadlocks())
    import os; print(end="", flush=True); os._exit(0)
threading.Thread(target=look).start()
threading.Event().wait()
"""


def test_a_main_thread_that_waits_for_ctrl_c_is_as_it_should_be() -> None:
    result = subprocess.run(
        [sys.executable, "-c", PARKED],
        capture_output=True,
        text=True,
        timeout=50,
        check=True,
        env={"PYTHONPATH": str(ROOT)},
    )
    assert result.stdout == "()\n"


def test_a_handler_of_signals_may_give_any_sign() -> None:
    assert run("import signal; signal.signal(signal.SIGUSR1, lambda *_: shared.set())", "") == ""


def test_a_thread_that_python_does_not_know_may_give_any_sign() -> None:
    foreign = "import _thread; _thread.start_new_thread(time.sleep, (1000,))"
    assert run(foreign, "") == ""
