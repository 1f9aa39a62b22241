"""The report when a signal comes: who may ask for it, where it goes, and also while frozen."""

from __future__ import annotations

import gc
import io
import os
import re
import select
import signal
import subprocess
import sys
import threading
import warnings
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import pytest

from freezethreads import Freezer, register_signal, unregister_signal
from freezing import looping
from helpers import ROOT, WAIT, start, wait_for

SIGNAL = signal.SIGUSR2


@pytest.fixture(autouse=True)
def handler_of_before() -> Iterator[None]:
    before = signal.getsignal(SIGNAL)
    yield
    unregister_signal(SIGNAL)
    assert signal.getsignal(SIGNAL) == before


@contextmanager
def file_of(tmp_path: Path) -> Iterator[IO[str]]:
    with open(tmp_path / "report", "w+") as file:
        yield file


def test_a_signal_writes_the_report_past_the_buffer(tmp_path: Path) -> None:
    freezer = Freezer("signalled")
    with looping(freezer, 1), file_of(tmp_path) as file:
        register_signal(SIGNAL, freezer=freezer, file=file)
        signal.raise_signal(SIGNAL)
        text = (tmp_path / "report").read_text()
    assert "freezer 'signalled': 1 registered thread, " in text
    assert "loop-0 (ident" in text
    assert "FROZEN for" in text


def test_in_the_middle_of_a_hold_of_the_same_thread(tmp_path: Path) -> None:
    """It would wait for that hold, which waits for it, and all others stand meanwhile."""
    freezer = Freezer()
    registered, over = threading.Event(), threading.Event()

    def stand_by() -> None:
        with (
            freezer.register("stand-by", waker=lambda: signal.raise_signal(SIGNAL)),
            freezer.blocking(),
        ):
            registered.set()
            wait_for(over)

    with file_of(tmp_path) as file, freezer.register("main"):
        register_signal(SIGNAL, freezer=freezer, file=file)
        thread = start(stand_by)
        wait_for(registered)
        freezer.hold(timeout=WAIT, reason="lunch").thaw()  # which calls the waker, in this thread
        over.set()
        with freezer.blocking():
            thread.finish()
        text = (tmp_path / "report").read_text()
    assert re.search(r"2 registered threads(, \d+ others?)?; not frozen\. ", text)
    assert "  <hold by MainThread for 'lunch'> is under way in this very thread, " in text
    assert "stand-by (ident" in text


def test_unregistering_gives_the_old_handler_back() -> None:
    before = signal.getsignal(SIGNAL)
    register_signal(SIGNAL)
    register_signal(SIGNAL)
    assert signal.getsignal(SIGNAL) != before
    assert unregister_signal(SIGNAL)
    assert signal.getsignal(SIGNAL) == before
    assert not unregister_signal(SIGNAL)


def test_a_handler_that_somebody_put_there_since_stays() -> None:
    def other(*_: object) -> None: ...

    before = signal.getsignal(SIGNAL)
    register_signal(SIGNAL)
    signal.signal(SIGNAL, other)
    assert unregister_signal(SIGNAL)
    assert signal.getsignal(SIGNAL) is other
    signal.signal(SIGNAL, before)


@pytest.mark.parametrize("call", [register_signal, unregister_signal])
def test_from_another_thread_it_is_refused(call: Callable[..., object]) -> None:
    before = signal.getsignal(SIGNAL)
    worker = start(lambda: call(SIGNAL))
    with pytest.raises(RuntimeError, match="in the main thread"):
        worker.finish()
    assert signal.getsignal(SIGNAL) == before


def test_a_file_without_a_descriptor_is_refused() -> None:
    before = signal.getsignal(SIGNAL)
    with pytest.raises(io.UnsupportedOperation):
        register_signal(SIGNAL, file=io.StringIO())
    assert signal.getsignal(SIGNAL) == before


@pytest.mark.parametrize("what", [{"file": 7}, {"freezer": "io"}], ids=str)
def test_what_is_no_file_and_no_freezer_is_refused(what: dict[str, Any]) -> None:
    before = signal.getsignal(SIGNAL)
    (name,) = what
    with pytest.raises(TypeError, match=f"^{name} must be a"):
        register_signal(SIGNAL, **what)
    assert signal.getsignal(SIGNAL) == before


def test_a_signal_that_cannot_be_handled_is_refused() -> None:
    with pytest.raises(OSError, match="Invalid argument"):
        register_signal(signal.SIGKILL)
    assert not unregister_signal(signal.SIGKILL)


def test_nobody_who_reads_is_no_reason_to_end() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as file:
        register_signal(SIGNAL, freezer=Freezer(), file=file)
        signal.raise_signal(SIGNAL)


def test_a_file_is_kept_and_once_closed_its_number_is_not_written_to(tmp_path: Path) -> None:
    """The number of a file that was dropped, or closed, is soon that of another one."""
    opened: list[IO[str]] = [open(tmp_path / "report", "w")]  # noqa: SIM115 - to be dropped
    register_signal(SIGNAL, freezer=Freezer("signalled"), file=opened[0])
    kept = weakref.ref(opened.pop())
    gc.collect()
    signal.raise_signal(SIGNAL)
    assert "freezer 'signalled'" in (tmp_path / "report").read_text()
    file = kept()
    assert file is not None
    number = file.fileno()
    file.close()
    with open(tmp_path / "other", "w") as other:
        assert other.fileno() == number
        signal.raise_signal(SIGNAL)
    assert not (tmp_path / "other").read_text()


def test_a_child_that_was_forked_during_a_report_makes_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By another thread: the main thread's report is not gone on with there."""
    statuses: list[int] = []

    def report(*_: object) -> None:
        if statuses:
            os._exit(7)  # in the child
        statuses.append(0)
        start(fork).finish()

    def fork() -> None:
        child = os.fork()
        if child == 0:
            signal.getsignal(SIGNAL)(SIGNAL, None)  # type: ignore[operator, misc]
            os._exit(1)
        statuses.append(os.waitpid(child, 0)[1])

    monkeypatch.setattr("freezethreads._explain._dump.dump_to_descriptor", report)
    register_signal(SIGNAL, file=sys.__stderr__)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        signal.raise_signal(SIGNAL)
    assert [os.waitstatus_to_exitcode(status) for status in statuses] == [0, 7]


def test_a_signal_that_comes_during_the_report_is_not_reported_by_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It would wait for the hold of its own thread, which waits for it."""
    reports: list[int] = []

    def report(*_: object) -> None:
        reports.append(SIGNAL)
        if len(reports) < 3:
            signal.raise_signal(SIGNAL)

    monkeypatch.setattr("freezethreads._explain._dump.dump_to_descriptor", report)
    register_signal(SIGNAL, file=sys.__stderr__)
    signal.raise_signal(SIGNAL)
    assert len(reports) == 1
    signal.raise_signal(SIGNAL)
    assert len(reports) == 2


# The main thread stands frozen, for a thread that has a world; the signal comes from outside.
FROZEN = """
import threading, time
import freezethreads

def freeze():
    with freezethreads.freeze(reason="backup"):
        print("frozen", flush=True)
        input()
    print("thawed", flush=True)

freezethreads.register_signal()
thread = threading.Thread(target=freeze)
with freezethreads.register("main"):
    thread.start()
    while thread.is_alive():
        time.sleep(0.001)
        freezethreads.safepoint("main loop")
"""


def test_while_the_main_thread_stands_frozen() -> None:
    with subprocess.Popen(
        [sys.executable, "-W", "error", "-c", FROZEN],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == "frozen\n"
        process.send_signal(signal.SIGQUIT)
        # One that comes just before CPython begins to wait for a lock is heard with the next one.
        while not select.select([process.stderr], [], [], 1)[0]:
            process.send_signal(signal.SIGQUIT)
        lines = [process.stderr.readline()]
        while "<module>" not in lines[-1]:
            lines.append(process.stderr.readline())
        out, _ = process.communicate("\n", timeout=WAIT)
    text = "".join(lines)
    assert (process.returncode, out) == (0, "thawed\n")
    assert "frozen within " in text
    assert "a world by Thread-1 (freeze) for 'backup' stands" in text
    assert re.search(r"^main .* FROZEN for .* at safepoint 'main loop'", text, re.MULTILINE)
    assert lines[-1] == "--> <module> (<string>:17)\n"
