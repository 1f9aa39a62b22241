"""Stacks of other threads: read frame by frame where that is safe, else written by faulthandler.

Without a GIL nobody may touch the frames of threads that run. What is done there is done here on
every Python: `no_gil` says that there is none.
"""

from __future__ import annotations

import os
import sys
import tempfile
import threading
from _thread import get_ident
from collections.abc import Iterator
from pathlib import Path
from types import CodeType
from typing import Any, NoReturn

import pytest

from freezethreads import Freezer, FreezeTimeout, _stacks
from freezethreads._explain import diagnose
from freezethreads._explain._causes import Cause
from freezethreads._explain._describe import look
from freezethreads._stacks import JOIN, Call, read_stacks, stack_of
from freezing import looping
from helpers import WAIT, Worker, start, wait_until

# Names and files that are not ASCII, and a name that says where it is defined.
WHERE = "schläfer_\N{SNOWMAN}_\U0001f600.py"
SLEEPER = """\
class Bär:
    def größe(self, begun, over):
        begun.set()
        over.wait()
"""


@pytest.fixture
def no_gil(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Python without a GIL, where no frame may be read."""

    def touch() -> NoReturn:
        raise AssertionError("read the frames of threads that run")

    monkeypatch.setattr(sys, "_is_gil_enabled", lambda: False, raising=False)
    monkeypatch.setattr(_stacks, "_FAULTHANDLER_STOPS", True)
    monkeypatch.setattr(_stacks, "current_frames", touch)


class Sleeper:
    """A thread that waits in a method of a file of its own."""

    def __init__(self) -> None:
        names: dict[str, Any] = {}
        exec(compile(SLEEPER, WHERE, "exec"), names)
        self.method = names["Bär"]().größe
        self.begun, self.over = threading.Event(), threading.Event()
        self.worker: Worker[None] = start(self.method, self.begun, self.over)
        assert self.begun.wait(WAIT)

    @property
    def code(self) -> CodeType:
        code: CodeType = self.method.__func__.__code__
        return code

    def call(self) -> Call:
        """Its call of the method, once it waits."""
        ident, found = self.worker.ident or 0, list[Call]()

        def waits() -> bool:
            found[:] = [call for call in read_stacks([ident])[ident] if call.filename == WHERE]
            return any(call.lineno == 4 for call in found)

        wait_until(waits)
        (call,) = found
        return call


@pytest.fixture
def sleeper() -> Iterator[Sleeper]:
    sleeper = Sleeper()
    try:
        yield sleeper
    finally:
        sleeper.over.set()
        sleeper.worker.finish()


def test_frame_by_frame(monkeypatch: pytest.MonkeyPatch, sleeper: Sleeper) -> None:
    # (Of this one thread that is safe on every Python, since it does not move.)
    monkeypatch.setattr(sys, "_is_gil_enabled", lambda: True, raising=False)
    call = sleeper.call()
    assert (call.function, call.name) == ("Bär.größe", "größe")
    assert call.code is sleeper.code
    assert call.is_of(sleeper.code)
    assert not call.is_of(JOIN)


@pytest.mark.usefixtures("no_gil")
@pytest.mark.parametrize("in_memory", [True, False])
def test_written_by_faulthandler(
    monkeypatch: pytest.MonkeyPatch, sleeper: Sleeper, in_memory: bool
) -> None:
    if not in_memory:
        monkeypatch.delattr(os, "memfd_create", raising=False)
    assert sleeper.call() == Call(WHERE, "größe", 4)
    assert sleeper.call().is_of(sleeper.code)
    assert not sleeper.call().is_of(JOIN)


@pytest.mark.usefixtures("no_gil")
def test_who_looks_is_in_there_too() -> None:
    function = test_who_looks_is_in_there_too.__code__
    assert any(call.is_of(function) for call in read_stacks()[get_ident()])
    summary = stack_of(get_ident())
    (own,) = (entry for entry in summary if entry.name == function.co_name)
    assert (own.filename, own.line) == (__file__, "summary = stack_of(get_ident())")


@pytest.mark.usefixtures("no_gil")
def test_a_thread_that_is_not_there_is_left_out() -> None:
    assert read_stacks([12345]) == {}
    assert list(stack_of(12345)) == []


@pytest.mark.usefixtures("no_gil")
@pytest.mark.parametrize("before", ["a file cannot be made", "3.13.1"])
def test_where_nobody_can_tell(monkeypatch: pytest.MonkeyPatch, before: str) -> None:
    """What is known all the same is reported: that it waits, and not that it is outside Python."""

    def fail(*_: object, **__: object) -> NoReturn:
        raise OSError(24, "Too many open files")

    if before == "3.13.1":
        monkeypatch.setattr(_stacks, "_FAULTHANDLER_STOPS", False)
    else:
        monkeypatch.setattr(os, "memfd_create", fail, raising=False)
        monkeypatch.setattr(tempfile, "TemporaryFile", fail)
    assert read_stacks() == {}
    freezer, over = Freezer(), threading.Event()
    idle = start(register_and_wait, freezer, over)
    try:
        wait_until(lambda: bool(freezer.threads()))
        (finding,) = diagnose(freezer, 0.1)["findings"]
    finally:
        over.set()
        idle.finish()
    if sys.platform.startswith("linux"):
        assert finding["cause"] == Cause.WAITING.value
    assert finding["lineno"] is None
    assert finding["stacks"] == [[], []]


def register_and_wait(freezer: Freezer, over: threading.Event) -> None:
    with freezer.register("idle"):
        over.wait()


def test_what_faulthandler_writes() -> None:
    text = r"""
Thread 0x00007fe2123fc6c0 [a name] (most recent call first):
  File "/a \"quoted\" file.py", line 452 in f
  File ???, line ??? in ???
  File "C:\users\x.py", line 7 in gr\xf6\u2603\U0001f600

Thread 0x1f (most recent call first):
  <no Python frame>

Current thread 0x00007fe2133fe6c0 (most recent call first):
  File "/b.py", line 3 in <lambda>
  ...
"""
    assert _stacks._parse(text) == {
        0x7FE2123FC6C0: (
            Call(r"/a \"quoted\" file.py", "f", 452),
            Call("?", "???", 0),
            Call(r"C:\users\x.py", "grö\N{SNOWMAN}\U0001f600", 7),
        ),
        0x1F: (),
        0x7FE2133FE6C0: (Call("/b.py", "<lambda>", 3),),
    }


@pytest.mark.usefixtures("no_gil")
def test_a_description_without_a_frame() -> None:
    freezer = Freezer()
    with looping(freezer, 1):
        (looper,) = (one for one in look(freezer, WAIT)["threads"] if one["name"] == "loop-0")
    (at_site,) = (frame for frame in looper["stack"] if frame["site"])
    assert at_site["function"] == "Loops._loop"
    assert at_site["lineno"] == looper["site"]["lineno"]


STRAGGLER = """
import hashlib, threading

def loop(freezer, over):
    with freezer.register("it"):
        while not over.calls:
            over.calls

def call(freezer, over):
    with freezer.register("it"):
        hashlib.pbkdf2_hmac("sha256", b"", b"", 4_000_000)

def wait(freezer, over):
    with freezer.register("it"):
        over.event.wait()

def join(freezer, over):
    with freezer.register("it"):
        over.thread.join()
"""


class Over:
    """What the threads below are ended by."""

    def __init__(self) -> None:
        self.calls = False
        self.event = threading.Event()
        self.thread = start(self.event.wait, WAIT)

    def set(self) -> None:
        self.calls = True
        self.event.set()
        self.thread.finish()


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
    path = tmp_path / "straggler.py"
    path.write_text(STRAGGLER)
    names: dict[str, Any] = {}
    exec(compile(STRAGGLER, str(path), "exec"), names)
    freezer, over = Freezer(), Over()
    late = start(names[name], freezer, over)
    try:
        wait_until(lambda: bool(freezer.threads()))
        (finding,) = diagnose(freezer, 0.1)["findings"]
    finally:
        over.set()
        late.finish()
    assert (finding["cause"], finding["line"]) == (cause.value, line)
    assert ("the end of a thread, in `over.thread.join`" in finding["why"]) == (name == "join")


@pytest.mark.usefixtures("no_gil")
def test_a_straggler_has_its_stack() -> None:
    freezer, over = Freezer(), threading.Event()
    idle = start(register_and_wait, freezer, over)
    try:
        wait_until(lambda: bool(freezer.threads()))
        with pytest.raises(FreezeTimeout) as caught:
            freezer.freeze(timeout=0.1)
    finally:
        over.set()
        idle.finish()
    (straggler,) = caught.value.stragglers
    assert "over.wait()" in [entry.line for entry in straggler.stack]
    assert not straggler.moving
