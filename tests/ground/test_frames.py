"""Looking at the frames of all threads: no hang, and the collector as it was."""

from __future__ import annotations

import gc
import weakref
from _thread import get_ident
from collections.abc import Callable, Iterator
from types import FrameType

import pytest

from fork_helpers import forked
from freezethreads._ground import frames as frames_module
from freezethreads._ground import original
from freezethreads._ground.frames import _look_uncollected, current_frames
from freezethreads._ground.uninterruptible import call_with
from freezethreads._report.stacks import stack_of
from freezing import Pause, before
from helpers import run_python, start
from injection import Boom

COLLECTED_IN_THE_MIDDLE = """
import faulthandler, gc, threading
from freezethreads._ground.frames import current_frames

faulthandler.dump_traceback_later(20, exit=True)

def idle():
    begun.release()
    over.wait()

for extra in range(1, 5):
    over, threads = threading.Event(), []
    for _ in range(8):
        begun = threading.Semaphore(0)
        threads.append(threading.Thread(target=idle))
        threads[-1].start()
        begun.acquire()
    gc.collect()
    gc.disable()
    local = threading.local()
    local.self = [local]
    del local
    gc.set_threshold(gc.get_count()[0] + extra)  # reached while the frames are made
    gc.enable()
    assert threads[0].ident in current_frames()
    gc.set_threshold(700)
    over.set()
    for thread in threads:
        thread.join()
"""


def test_a_collection_that_it_sets_off_does_not_hang() -> None:
    run_python(COLLECTED_IN_THE_MIDDLE)


COLLECTED_ON_THE_WAY = """
import faulthandler, gc, threading
from freezethreads._report.stacks import read_stacks

faulthandler.enable()

def dive(depth):
    if depth:
        dive(depth - 1)
    else:
        begun.set()
        over.wait()

def let_it_end(phase, info):  # as a finalizer might
    over.set()
    thread.join()

for extra in range(1, 100, 3):
    begun, over = threading.Event(), threading.Event()
    thread = threading.Thread(target=dive, args=(30,))
    thread.start()
    begun.wait()
    gc.collect()
    gc.disable()
    gc.callbacks.append(let_it_end)
    gc.set_threshold(gc.get_count()[0] + extra)  # reached on the way
    gc.enable()
    read_stacks([thread.ident])
    gc.callbacks.clear()
    gc.set_threshold(700)
    over.set()
    thread.join()
"""


def test_a_collection_does_not_let_the_others_run_in_the_middle_of_a_look() -> None:
    """A crash of CPython 3.11, on the way from a frame of another thread to its caller's."""
    run_python(COLLECTED_ON_THE_WAY)


@pytest.fixture
def collector() -> Iterator[None]:
    yield
    gc.enable()


@pytest.mark.usefixtures("collector")
@pytest.mark.parametrize("collects", [True, False])
def test_the_collector_is_off_meanwhile_and_then_as_it_was(
    monkeypatch: pytest.MonkeyPatch, collects: bool
) -> None:
    seen = []

    def look() -> None:
        seen.append(gc.isenabled())
        if len(seen) == 2:
            raise Boom

    if not collects:
        gc.disable()
    _look_uncollected(look)
    assert gc.isenabled() is collects
    with pytest.raises(Boom):
        _look_uncollected(look)
    assert gc.isenabled() is collects
    assert seen == [False, False]


FORK_THAT_WAITS = """
import faulthandler, os, sys, threading
begun, go = threading.Event(), threading.Event()

def wait():
    begun.set()
    assert go.wait(20)

os.register_at_fork(before=wait)  # before any of ours, so that it is called after them
from freezethreads._ground import frames as frames_module

faulthandler.dump_traceback_later(20, exit=True)

def fork():
    if not os.fork():
        os._exit(0)
    os.wait()

forking = threading.Thread(target=fork)
forking.start()
begun.wait()
assert frames_module.call_with(
    frames_module._lock, lambda: frames_module._look_uncollected(sys._current_frames)
)
go.set()
forking.join()
"""


def test_a_fork_that_waits_for_somebody_keeps_nobody_from_looking() -> None:
    run_python(f"import warnings; warnings.simplefilter('ignore')\n{FORK_THAT_WAITS}")


@pytest.mark.usefixtures("collector")
@pytest.mark.parametrize("collects", [True, False])
def test_the_child_of_a_fork_while_another_thread_looks(
    monkeypatch: pytest.MonkeyPatch, collects: bool
) -> None:
    """1. A thread has switched the collector off to look. 2. Another forks. 3. The child looks."""
    pause = Pause()
    before(monkeypatch, original, "current_frames", pause)

    def look() -> dict[int, FrameType]:
        return _look_uncollected(original.current_frames)

    if not collects:
        gc.disable()
    looking = start(call_with, frames_module._lock, look)
    pause.wait()

    def check() -> None:
        assert gc.isenabled() is collects
        assert call_with(frames_module._lock, look)
        assert gc.isenabled() is collects

    try:
        forked(lambda fork: fork(), check)
    finally:
        pause.go()
        looking.finish()
    assert gc.isenabled() is collects


@pytest.mark.usefixtures("collector")
@pytest.mark.parametrize("look", [current_frames, lambda: stack_of(get_ident())])
def test_looking_keeps_nothing_alive(look: Callable[[], object]) -> None:
    """Not even until the collector comes: what is seen has the looking thread's frames in it."""

    class Token:
        pass

    def look_with_a_token() -> weakref.ref[Token]:
        token = Token()
        assert look()
        return weakref.ref(token)

    gc.disable()
    assert look_with_a_token()() is None
