"""Why a thread does not stop, told by lines alone, as where there is no GIL."""

from __future__ import annotations

import queue
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from freezethreads import Freezer, FreezeTimeout
from freezethreads._explain import diagnose
from freezethreads._explain._causes import Cause
from freezethreads._report import stacks
from freezethreads._report.reports import Finding
from helpers import WAIT, start

STRAGGLER = """
import hashlib, queue, threading, time

def loop(freezer, over):
    with over.registered(freezer):
        while not over.calls:
            over.calls

def call(freezer, over):
    with over.registered(freezer):
        hashlib.pbkdf2_hmac("sha256", b"", b"", 4_000_000)

def wait(freezer, over):
    with over.registered(freezer):
        over.event.wait()

def take(freezer, over):
    with over.registered(freezer):
        print(over.lock.acquire(timeout=1))

def join(freezer, over):
    with over.registered(freezer):
        over.thread.join()

def poll(one, other, pause, over):
    while not over.calls:
        pause(one)
        pause(other)

def pauses(freezer, over):
    with over.registered(freezer):
        poll(0.0105, 0.0105, lambda s: time.sleep(s), over)

def joins(freezer, over):
    with over.registered(freezer):
        while not over.calls:
            for thread in over.threads:
                thread.join(0.008)
"""


class Over:
    """What the threads below are ended by."""

    def __init__(self) -> None:
        self.calls = False
        self.event = threading.Event()
        self.threads = [start(self.event.wait, WAIT) for _ in range(2)]
        self.thread = self.threads[0]
        self.lock = threading.Lock()
        self.lock.acquire()
        self.there: queue.SimpleQueue[None] = queue.SimpleQueue()

    @contextmanager
    def registered(self, freezer: Freezer) -> Iterator[None]:
        """What each thread does; who is listed and still in register() would stop in there."""
        with freezer.register("it"):
            self.there.put(None)
            yield

    def set(self) -> None:
        self.calls = True
        self.event.set()
        self.lock.release()
        for thread in self.threads:
            thread.finish()


@contextmanager
def straggling(folder: Path, name: str) -> Iterator[Freezer]:
    """A registered thread runs a function of the program."""
    path = folder / "straggler.py"
    path.write_text(STRAGGLER)
    names: dict[str, Any] = {}
    exec(compile(STRAGGLER, str(path), "exec"), names)
    freezer, over = Freezer(), Over()
    late = start(names[name], freezer, over)
    try:
        over.there.get(timeout=WAIT)
        yield freezer
    finally:
        over.set()
        late.finish(3 * WAIT)  # a call has to come to its end


def diagnosed(folder: Path, name: str) -> Finding:
    """What is said of a thread that runs a function of the program."""
    with straggling(folder, name) as freezer:
        (finding,) = diagnose(freezer, 0.1).findings
    return finding


@pytest.mark.usefixtures("no_gil")
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="tells who computes on Linux only")
@pytest.mark.parametrize(
    ("name", "cause", "line"),
    [
        ("loop", Cause.COMPUTING, "while not over.calls:"),
        ("call", Cause.C_CALL, 'hashlib.pbkdf2_hmac("sha256", b"", b"", 4_000_000)'),
        ("wait", Cause.WAITING, "over.event.wait()"),
        ("join", Cause.JOIN, "over.thread.join()"),
    ],
)
def test_the_cause_without_an_instruction(
    tmp_path: Path, name: str, cause: Cause, line: str
) -> None:
    finding = diagnosed(tmp_path, name)
    assert (finding.cause, finding.line) == (cause.value, line)
    assert ("the end of a thread, in `over.thread.join`" in finding.why) == (name == "join")


@pytest.mark.usefixtures("no_gil")
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="tells who computes on Linux only")
def test_who_does_not_move_and_computes_is_said_to(tmp_path: Path) -> None:
    with straggling(tmp_path, "loop") as freezer, pytest.raises(FreezeTimeout) as caught:
        freezer.freeze(timeout=0.1)
    assert "RUNNING, not moving, and computing (a long call, or a short loop)" in str(caught.value)


@pytest.mark.usefixtures("no_gil")
def test_a_lock_within_another_call_is_not_to_be_put_into_a_region(tmp_path: Path) -> None:
    finding = diagnosed(tmp_path, "take")
    assert "waits in lock.acquire, by `over.lock.acquire`" in finding.why
    assert "blocking()" not in finding.advice


@pytest.mark.parametrize("gil", [True, False])
@pytest.mark.parametrize(("name", "cause"), [("pauses", Cause.WAITING), ("joins", Cause.JOIN)])
def test_who_waits_again_and_again_waits(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, gil: bool, name: str, cause: Cause
) -> None:
    """For another caller at each look, or for the end of another thread."""
    if stacks._HAS_GIL:
        monkeypatch.setattr(stacks, "_HAS_GIL", gil)
        monkeypatch.setattr(stacks, "_FAULTHANDLER_STOPS", True)
    assert {diagnosed(tmp_path, name).cause for _ in range(5)} == {cause.value}
