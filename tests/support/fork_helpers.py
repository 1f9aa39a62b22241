"""What the tests of fork share: forking with a bound, looking at a child, and other threads."""

from __future__ import annotations

import faulthandler
import os
import select
import signal
import threading
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from freezethreads import Freezer, State
from helpers import WAIT, Worker, start, wait_for

Fork = Callable[[], int]
PARENT = os.getpid()


def in_child() -> bool:
    """Whether this process is a child made by `forked`."""
    return os.getpid() != PARENT


def forked(body: Callable[[Fork], object], check: Callable[[], object]) -> None:
    """Call `body(fork)`, which forks once; call `check()` in the child when `body` has returned.

    Whatever is raised in the child fails the test, and so does a child that takes longer than
    `WAIT`, whose stack is shown. The child does not return.
    """
    out, into = os.pipe()
    pids: list[int] = []

    def fork() -> int:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            pids.append(os.fork())
        if in_child():
            _die_in_time(into)
        return pids[-1]

    try:
        body(fork)
        if in_child():
            check()
            os.write(into, b"well")
    except BaseException:
        if not in_child():
            raise
        os.write(into, traceback.format_exc().encode())
    finally:
        if in_child():
            os._exit(0)
        os.close(into)
    said = _read_all(out, pids[0])
    assert said == "well", f"the child said:\n{said}"


def _die_in_time(into: int) -> None:
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    faulthandler.register(signal.SIGALRM, into, all_threads=True, chain=True)
    signal.alarm(round(WAIT))


def _read_all(out: int, pid: int) -> str:
    """What comes out of a pipe until its end, which is that of the child."""
    chunks = []
    try:
        while select.select([out], [], [], 2 * WAIT)[0] and (chunk := os.read(out, 65536)):
            chunks.append(chunk)
    finally:
        os.close(out)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    return b"".join(chunks).decode()


def check_alone(freezer: Freezer, registered: bool) -> None:
    """What the promise says of a child, and that everything works there."""
    me = (threading.get_ident(), threading.get_native_id(), State.RUNNING, 0)
    found = [(i.ident, i.native_id, i.state, i.todo_pending) for i in freezer.threads()]
    assert found == ([me] if registered else [])
    assert not freezer.armed
    check_works(freezer, registered)
    assert not freezer.armed


def check_works(freezer: Freezer, registered: bool) -> None:
    """Freeze, hold and ask another thread; be frozen by it, if registered. At safepoints."""
    with looping(freezer, "new") as worker:
        with freezer.freeze(timeout=WAIT, where="safepoint") as world:
            assert state_of(freezer, worker) is State.FROZEN
            assert world.call(worker, threading.get_ident) == worker.ident
        with freezer.hold(timeout=WAIT, where="safepoint"):
            assert state_of(freezer, worker) is State.FROZEN
        assert freezer.todo(worker, threading.get_ident).result(WAIT) == worker.ident
    if registered:
        _be_frozen(freezer)


def _be_frozen(freezer: Freezer) -> None:
    me = threading.current_thread()

    def look() -> State:
        with freezer.freeze(timeout=WAIT, where="safepoint"):
            return state_of(freezer, me)

    looking = start(look)
    while looking.is_alive():
        freezer.safepoint()
    assert looking.finish() is State.FROZEN


def state_of(freezer: Freezer, thread: threading.Thread) -> State:
    """The state that the freezer shows for a registered thread."""
    (state,) = [info.state for info in freezer.threads() if info.ident == thread.ident]
    return state


def _end(ended: threading.Event, *workers: Worker[None]) -> None:
    """Let other threads end, and wait for that; in a child there are none."""
    if not in_child():
        ended.set()
        for worker in workers:
            worker.finish()


@contextmanager
def looping(freezer: Freezer, name: str, *, group: str = "") -> Iterator[Worker[None]]:
    """A registered thread that does nothing but visit safepoints."""
    up, ended = threading.Event(), threading.Event()
    owner = os.getpid()  # a child has such threads of its own

    def work() -> None:
        with freezer.register(name, group=group):
            up.set()
            while not ended.wait(0.001):
                freezer.safepoint()

    worker = start(work, name=name)
    wait_for(up)
    try:
        yield worker
    finally:
        if os.getpid() == owner:
            ended.set()
            worker.finish()


@contextmanager
def waiting(freezer: Freezer, todos: int = 0) -> Iterator[Worker[None]]:
    """A registered thread in a blocking region, with so many todos pending."""
    up, ended = threading.Event(), threading.Event()

    def work() -> None:
        with freezer.register("waiting"), freezer.blocking():
            up.set()
            wait_for(ended)

    worker = start(work, name="waiting")
    wait_for(up)
    for _ in range(todos):
        freezer.todo(worker, int)
    try:
        yield worker
    finally:
        _end(ended, worker)


@contextmanager
def had_by_another(enter: Callable[[], AbstractContextManager[Any]]) -> Iterator[None]:
    """A world, a hold or a lock that another thread has meanwhile."""
    up, ended = threading.Event(), threading.Event()

    def control() -> None:
        with enter():
            up.set()
            wait_for(ended)

    controller = start(control, name="controller")
    wait_for(up)
    try:
        yield
    finally:
        _end(ended, controller)


@contextmanager
def freeze_that_waits(freezer: Freezer) -> Iterator[None]:
    """A freeze by another thread that waits for one, and perhaps for the calling one as well."""
    up, asked, ended = threading.Event(), threading.Event(), threading.Event()

    def work() -> None:
        with freezer.register("straggler", waker=asked.set):
            up.set()
            wait_for(ended)

    straggler = start(work, name="straggler")
    wait_for(up)
    controller = start(lambda: freezer.freeze(timeout=WAIT).thaw(), name="controller")
    wait_for(asked)
    try:
        yield
    finally:
        if not in_child():
            ended.set()
            while controller.is_alive():
                freezer.safepoint()
            _end(ended, controller, straggler)
