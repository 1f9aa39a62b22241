"""Stacks of other threads: read frame by frame where that is safe, else written by faulthandler.

Without a GIL nobody may touch the frames of threads that run. What is done there is done here on
every Python: `no_gil` says that there is none.
"""

from __future__ import annotations

import os
import queue
import sys
import tempfile
import threading
from _thread import get_ident
from collections.abc import Callable, Iterator
from pathlib import Path
from types import CodeType
from typing import Any, NoReturn

import pytest

from freezethreads import Freezer, FreezeTimeout
from freezethreads._explain import diagnose
from freezethreads._explain._causes import Cause
from freezethreads._explain._describe import look
from freezethreads._report import stacks
from freezethreads._report.stacks import JOIN, Call, read_stacks, stack_of
from freezing import looping
from helpers import WAIT, Worker, start, wait_for, wait_until

# Names and files that are not ASCII, and a name that says where it is defined.
WHERE = "schläfer_\N{SNOWMAN}_\U0001f600.py"
SLEEPER = """\
class Bär:
    def größe(self, begun, over):
        begun.set()
        over.wait()
"""


class Sleeper:
    """A thread that waits in a method of a file of its own."""

    def __init__(self) -> None:
        names: dict[str, Any] = {}
        exec(compile(SLEEPER, WHERE, "exec"), names)
        self.method = names["Bär"]().größe
        self.begun, self.over = threading.Event(), threading.Event()
        self.worker: Worker[None] = start(self.method, self.begun, self.over)
        wait_for(self.begun)

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
    monkeypatch.setattr(stacks, "_HAS_GIL", True)
    call = sleeper.call()
    assert (call.function, call.name) == ("Bär.größe", "größe")
    assert call.code is sleeper.code
    assert call.is_of(sleeper.code)
    assert not call.is_of(JOIN)


@pytest.mark.usefixtures("no_gil")
def test_written_by_faulthandler(sleeper: Sleeper) -> None:
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
    """What is known all the same is reported: who waits, who computes, and nobody is outside."""

    def fail(*_: object, **__: object) -> NoReturn:
        raise OSError(24, "Too many open files")

    if before == "3.13.1":
        monkeypatch.setattr(stacks, "_FAULTHANDLER_STOPS", False)
    else:
        monkeypatch.setattr(os, "memfd_create", fail, raising=False)
        monkeypatch.setattr(tempfile, "TemporaryFile", fail)
    assert read_stacks() == {}
    freezer, over = Freezer(), threading.Event()
    threads = [start_calling(freezer, over, each) for each in (over.wait, over.is_set)]
    try:
        with pytest.raises(FreezeTimeout, match="nobody can tell where") as caught:
            freezer.freeze(timeout=0.1)
        findings = diagnose(freezer, 0.1).findings
    finally:
        over.set()
        for thread in threads:
            thread.finish()
    assert [late.stack for late in caught.value.stragglers] == [[], []]
    assert [(each.lineno, each.stacks) for each in findings] == 2 * [(None, ((), ()))]
    if sys.platform.startswith("linux"):
        causes = {each.thread: each.cause for each in findings}
        assert causes == {"wait": Cause.WAITING.value, "is_set": Cause.COMPUTING.value}


def start_calling(
    freezer: Freezer, over: threading.Event, call: Callable[[], object]
) -> Worker[None]:
    """Start a thread that has registered, and is out of it again: in there it could stop."""

    def register_and_call() -> None:
        with freezer.register(call.__name__):
            registered.put(None)
            while not over.is_set():
                call()

    registered: queue.SimpleQueue[None] = queue.SimpleQueue()
    thread = start(register_and_call)
    registered.get(timeout=WAIT)
    return thread


WRITTEN = r"""
Thread 0x00007fe2123fc6c0 [a name] (most recent call first):
  File "/a \"quoted\" file.py", line 452 in f
  File ???, line ??? in ???
  File "C:\users\Udeadbeef\x64\x.py", line 7 in gr\xf6\u2603\U0001f600
  File "/a/b\x0ac.py", line 8 in tmpl 'a.html'

Thread 0x1f (most recent call first):
  <no Python frame>

Thread 0x2f (most recent call first):

Thread 0x0 (most recent call first):
  File "/of/a/thread/that/begins.py", line 1 in f

Thread 0x3f [a
Thread 0x1f] (most recent call first):
  File "/b.py", line 1 in f

Current thread 0x00007fe2133fe6c0 (most recent call first):
  File "/b.py", line 3 in <lambda>
  ...
"""
FOUND = {
    0x7FE2123FC6C0: (
        Call(r"/a \"quoted\" file.py", "f", 452),
        Call("?", "???", 0),
        Call(r"C:\users\Udeadbeef\x64\x.py", "grö\N{SNOWMAN}\U0001f600", 7),
        Call("/a/b\nc.py", "tmpl 'a.html'", 8),
    ),
    0x7FE2133FE6C0: (Call("/b.py", "<lambda>", 3),),
}


def test_what_faulthandler_writes() -> None:
    assert stacks._parse(WRITTEN, None) == FOUND
    assert stacks._parse(WRITTEN, {0x1F, 0x2F, 0x3F}) == {0x1F: ()}
    assert stacks._parse(WRITTEN[:-3], None) == {0x7FE2123FC6C0: FOUND[0x7FE2123FC6C0]}
    assert stacks._parse("", None) == {}


@pytest.mark.usefixtures("no_gil")
def test_of_how_many_threads_faulthandler_tells() -> None:
    """Of a hundred, unless it can be told how many; the others are left out."""
    over = threading.Event()
    workers = [start(over.wait) for _ in range(120)]
    try:
        idents = {worker.ident or 0 for worker in workers}
        known = len(idents & set(read_stacks()))
        assert known == 120 if sys.version_info >= (3, 15) else 90 <= known <= 100
    finally:
        over.set()
        for worker in workers:
            worker.finish()


@pytest.mark.usefixtures("no_gil")
@pytest.mark.parametrize("name", ["a\\x86b.py", "\xf6\n.py", "\N{SNOWMAN}\n" * 200, "\udc80"])
def test_a_file_by_any_name(tmp_path: Path, name: str) -> None:
    """What looks like an escape may be the name itself; what is long is cut."""
    path = tmp_path / name.replace("/", "")
    text = "import sys\ndef f(read): return read()\n"
    if len(name) < 100:
        path.write_text(text)
    names: dict[str, Any] = {}
    exec(compile(text, str(path), "exec"), names)
    stack = names["f"](lambda: read_stacks([get_ident()]))[get_ident()]
    (call,) = (call for call in stack if call.is_of(names["f"].__code__))
    if len(name) < 100:
        assert call.filename == str(path)
    assert call.name == "f"


@pytest.mark.usefixtures("no_gil")
@pytest.mark.parametrize("missing", [AttributeError, OSError])
def test_where_there_is_no_file_in_memory(
    monkeypatch: pytest.MonkeyPatch, missing: type[Exception]
) -> None:
    def fail(_: str) -> NoReturn:
        raise missing

    monkeypatch.setattr(os, "memfd_create", fail, raising=False)
    assert get_ident() in read_stacks()


@pytest.mark.usefixtures("no_gil")
def test_a_description_without_a_frame() -> None:
    freezer = Freezer()
    with looping(freezer, 1):
        (looper,) = (one for one in look(freezer, WAIT).threads if one.name == "loop-0")
    (at_site,) = (frame for frame in looper.stack if frame.site)
    assert looper.site is not None
    assert at_site.function == "Loops._loop"
    assert at_site.lineno == looper.site.lineno


@pytest.mark.usefixtures("no_gil")
def test_a_straggler_has_its_stack() -> None:
    freezer, over = Freezer(), threading.Event()
    idle = start_calling(freezer, over, over.wait)
    try:
        with pytest.raises(FreezeTimeout) as caught:
            freezer.freeze(timeout=0.1)
    finally:
        over.set()
        idle.finish()
    (straggler,) = caught.value.stragglers
    assert "call()" in [entry.line for entry in straggler.stack]
    assert not straggler.moving
