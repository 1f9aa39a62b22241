"""A child that fails: the parent learns how, the last checkpoint stays, and nothing is left."""

from __future__ import annotations

import errno
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from io import FileIO
from pathlib import Path

import pytest

from checkpoints import Counters, last_of
from freezethreads import Freezer
from freezethreads.checkpoint import Checkpointer, CheckpointError, FileStore, _child
from freezing import after
from helpers import WAIT, raise_once, run_python, start


@pytest.fixture
def store(tmp_path: Path) -> Iterator[FileStore]:
    with closing(FileStore(tmp_path / "state")) as made:
        yield made


def open_descriptors() -> list[str]:
    return sorted(os.listdir("/dev/fd"))


def no_child_left() -> bool:
    try:
        os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return True
    return False


def die(number: int) -> Callable[[], object]:
    return lambda: os.kill(os.getpid(), number)


def fail() -> object:
    raise ValueError("x" * 1_000_000)  # more than a pipe holds


def hang() -> object:
    return threading.Event().wait()


Take = Callable[[], object]
FAILURES: dict[str, tuple[Take, str, int | None]] = {
    "error": (lambda: os.stat("/missing"), r"could not save.*Traceback.*FileNotFoundError: .*$", 1),
    "none": (lambda: None, r"could not save.*ValueError: the payload is None[^\n]*$", 1),
    "unpicklable": (lambda: fail.__code__, r"could not save.*TypeError: cannot pickle.*$", 1),
    "long": (fail, r"could not save.*ValueError: x{1000000}$", 1),
    "exit": (lambda: exit(3), r"could not save.*SystemExit: 3$", 1),
    "exit 3": (lambda: os._exit(3), r"ended with exit status 3 before it had saved", 3),
    "exit 0": (lambda: os._exit(0), r"ended with exit status 0 before it had saved", 0),
    "SIGKILL": (die(signal.SIGKILL), r"was killed by signal 9 \(Killed\) before", -9),
    "SIGTERM": (die(signal.SIGTERM), r"was killed by signal 15 \(Terminated\) before", -15),
    "SIGRTMAX": (die(signal.SIGRTMAX), r"was killed by signal", -signal.SIGRTMAX),
    "time-out": (hang, r"was killed, since it had not saved after 0.3 s", None),
}


@pytest.mark.parametrize("failure", FAILURES)
def test_a_failure(store: FileStore, failure: str) -> None:
    take, message, status = FAILURES[failure]
    counters = Counters(2)
    freezer = counters.freezer
    kept = Checkpointer(freezer, store, lambda: "good", mode="fork").checkpoint()
    assert kept.sequence == 1
    before = open_descriptors()
    checkpointer = Checkpointer(
        freezer, store, take, mode="fork", save_timeout=0.3 if take is hang else WAIT
    )
    try:
        with pytest.raises(CheckpointError, match=f"(?s){message}") as caught:
            checkpointer.checkpoint()
        assert caught.value.status == status
        assert ("Traceback" in caught.value.traceback) == ("could not save" in str(caught.value))
        assert last_of(checkpointer) is None
        assert checkpointer.load() == "good"
        counters.assert_running()
    finally:
        counters.finish()
    assert open_descriptors() == before
    assert no_child_left()


def test_a_child_never_comes_back_into_the_parent_s_code(
    store: FileStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even if an exception strikes where none can come from: an asynchronous one."""

    def strike(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(_child, "_live", strike)
    with pytest.raises(CheckpointError, match="exit status 1 before it had saved"):
        Checkpointer(Freezer(), store, lambda: 1, mode="fork", save_timeout=WAIT).checkpoint()


def test_success_leaves_nothing_either(store: FileStore) -> None:
    before = open_descriptors()
    Checkpointer(Freezer(), store, lambda: 1, mode="fork").checkpoint()
    assert open_descriptors() == before
    assert no_child_left()


@pytest.mark.parametrize("name", ["fork", "pipe"])
def test_a_system_that_refuses(
    store: FileStore, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    def refuse() -> None:
        raise OSError(errno.EAGAIN, "Resource temporarily unavailable")

    counters = Counters(2)
    before, mask = open_descriptors(), signal.pthread_sigmask(signal.SIG_BLOCK, [])
    monkeypatch.setattr(os, name, refuse)
    try:
        with pytest.raises(CheckpointError, match="temporarily unavailable; nothing was saved"):
            Checkpointer(counters.freezer, store, lambda: 1, mode="fork").checkpoint()
        counters.assert_running()
    finally:
        counters.finish()
    assert open_descriptors() == before
    assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == mask


@pytest.fixture
def interruptible() -> Iterator[None]:
    """SIGINT as it is in a program that a terminal has started; a shell's `&` has it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_an_interrupt_as_the_child_is_forked(
    store: FileStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is heard when the signals are let in again; by then somebody knows the child."""
    parent = os.getpid()

    def interrupt() -> None:
        if os.getpid() == parent:
            os.kill(parent, signal.SIGINT)

    after(monkeypatch, os, "fork", interrupt)
    freezer = Freezer()
    checkpointer = Checkpointer(freezer, store, hang, mode="fork", timeout=WAIT)
    with pytest.raises(KeyboardInterrupt) as caught:  # which keeps the frames, and all in them
        checkpointer.checkpoint()
    assert no_child_left(), caught
    freezer.freeze(timeout=0).thaw()


@pytest.mark.usefixtures("interruptible")
def test_an_interrupt_while_the_child_saves(store: FileStore) -> None:
    """The child is ended, and the turn is given back."""
    told, tell = os.pipe()

    def take() -> object:
        os.write(tell, b".")
        return hang()

    def interrupt() -> None:
        assert os.read(told, 1) == b"."
        os.kill(os.getpid(), signal.SIGINT)

    takes: list[Take] = [lambda: "next", take]
    checkpointer = Checkpointer(Freezer(), store, lambda: takes[-1](), mode="fork", timeout=WAIT)
    interrupting = start(interrupt)
    with pytest.raises(KeyboardInterrupt):
        checkpointer.checkpoint()
    interrupting.finish()
    os.close(told)
    os.close(tell)
    assert no_child_left()
    takes.pop()
    checkpointer.checkpoint()
    assert checkpointer.load() == "next"


def test_an_exception_just_after_the_fork(
    store: FileStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another thread takes the signal, whatever this one has blocked; the child is ended."""
    parent, interrupt = os.getpid(), raise_once(KeyboardInterrupt)

    class Closing(FileIO):
        def close(self) -> None:
            super().close()
            if os.getpid() == parent:
                interrupt()

    monkeypatch.setattr(_child, "FileIO", Closing)
    with pytest.raises(KeyboardInterrupt):
        Checkpointer(Freezer(), store, hang, mode="fork", timeout=WAIT).checkpoint()
    assert no_child_left()


def test_a_process_that_the_child_has_started_is_not_waited_for(store: FileStore) -> None:
    """It has the child's end of the pipe, which therefore does not close."""
    held, release = os.pipe()

    def take() -> str:
        if os.fork() == 0:
            os.close(release)
            os.read(held, 1)
            os._exit(0)
        return "saved"

    Checkpointer(Freezer(), store, take, mode="fork", save_timeout=WAIT).checkpoint()
    os.close(release)  # only now does it end
    os.close(held)
    assert store.load() == "saved"


IGNORED = """
import os, signal, sys, threading
from freezethreads import Freezer
from freezethreads.checkpoint import Checkpointer, CheckpointError, FileStore

signal.signal(signal.SIGCHLD, signal.SIG_IGN)
store = FileStore(sys.argv[1])
Checkpointer(Freezer(), store, lambda: "saved", mode="fork").checkpoint()
print(store.load())
for take, seconds in ((lambda: 1 / 0, 9), (lambda: os._exit(3), 9), (threading.Event().wait, 0.2)):
    try:
        Checkpointer(Freezer(), store, take, mode="fork", save_timeout=seconds).checkpoint()
    except CheckpointError as error:
        print(error.status, str(error).splitlines()[0])
store.close()
"""


def test_a_program_that_ignores_its_children(tmp_path: Path) -> None:
    """Nobody can wait for a child then: what it said through the pipe has to do."""
    lines = run_python(IGNORED, str(tmp_path / "s")).stdout.splitlines()
    assert lines[0] == "saved"
    assert lines[1] == "None the child could not save; the checkpoint before stays"
    assert lines[2].startswith("None the child ended in a way that somebody else was told")
    assert lines[3].startswith("None the child was killed, since it had not saved after 0.2 s")


def test_other_children_are_left_to_those_who_wait_for_them(store: FileStore) -> None:
    other = os.fork()
    if other == 0:
        os._exit(7)
    Checkpointer(Freezer(), store, lambda: 1, mode="fork").checkpoint()
    assert os.waitstatus_to_exitcode(os.waitpid(other, 0)[1]) == 7


def test_a_platform_without_fork(store: FileStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "fork")
    with pytest.raises(ValueError, match=r"needs os\.fork"):
        Checkpointer(Freezer(), store, lambda: 1, mode="fork")
    Checkpointer(Freezer(), store, lambda: 1).checkpoint()
