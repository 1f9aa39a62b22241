"""Who cannot be attached to: each has its sentence, the status is 2, and it goes on unharmed."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from attach_program import CAN, Program, no_file_left
from freezethreads._attach import target, tracer
from freezethreads._attach.layout import LAYOUTS, Offsets
from freezethreads._attach.outside import attach
from freezethreads._attach.target import tasks_of
from freezethreads.cli import main
from freezing import actor
from helpers import wait_until

__all__ = ["no_file_left"]

attachable = pytest.mark.skipif(not CAN, reason="nobody can attach to this Python")


def refused(pid: int, capsys: pytest.CaptureFixture[str], *options: str) -> str:
    """What the command says, in one line."""
    with pytest.raises(SystemExit) as caught:
        main(["attach", str(pid), *options])
    assert caught.value.code == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    return error


@contextmanager
def running(*command: str) -> Iterator[int]:
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        yield process.pid
        process.communicate()
        assert process.returncode == 0


@pytest.mark.skipif(CAN, reason="there it can be done")
def test_this_python(capsys: pytest.CaptureFixture[str]) -> None:
    with Program("work") as program:
        error = refused(program.pid, capsys)
        assert (
            f"process {program.pid} runs CPython {sys.version_info[0]}.{sys.version_info[1]}"
            in error
        )
        assert "attaching needs CPython 3.14 or newer" in error
        assert "`freezethreads dump` shows what py-spy sees" in error


def test_no_python(capsys: pytest.CaptureFixture[str]) -> None:
    with running("cat") as pid:
        assert f"process {pid} (cat) is no Python" in refused(pid, capsys)


def test_no_process(capsys: pytest.CaptureFixture[str]) -> None:
    with running("true") as pid:
        pass
    assert f"there is no process {pid}" in refused(pid, capsys)


def test_a_thread(capsys: pytest.CaptureFixture[str]) -> None:
    with actor() as other:
        number = other.worker.native_id or 0
        said = f"{number} is the number of a thread of process {os.getpid()}: say {os.getpid()}"
        assert said in refused(number, capsys)


def test_nothing_to_detach(capsys: pytest.CaptureFixture[str]) -> None:
    with Program("work") as program, pytest.raises(SystemExit, match="2"):
        main(["detach", str(program.pid)])
    said = f"process {program.pid} is not attached to: there is nothing to detach"
    assert capsys.readouterr().err == f"freezethreads detach: {said}\n"


def test_names_that_are_none(capsys: pytest.CaptureFixture[str]) -> None:
    """Before anything is asked of the process."""
    assert "no such" not in refused(1, capsys, "--atomic", "not a name")
    assert "kind" in refused(1, capsys, "--atomic", "json=a..b")
    assert refused(1, capsys, "--freezable", "1:x")


@attachable
def test_switched_off(capsys: pytest.CaptureFixture[str]) -> None:
    with Program("work", env={"PYTHON_DISABLE_REMOTE_DEBUG": "1"}) as program:
        assert "was started with PYTHON_DISABLE_REMOTE_DEBUG" in refused(program.pid, capsys)
        assert program.ask("state()")["modules"] == []


@attachable
def test_stopped_by_a_signal(capsys: pytest.CaptureFixture[str]) -> None:
    with Program("work") as program:
        os.kill(program.pid, signal.SIGSTOP)
        wait_until(lambda: target.status_of(program.pid)["State"].startswith("T"))
        assert f"`kill -CONT {program.pid}` first" in refused(program.pid, capsys)
        assert target.status_of(program.pid)["State"].startswith("T")
        os.kill(program.pid, signal.SIGCONT)


@attachable
def test_under_a_debugger(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracer, "_PATIENCE", 0.1)
    stands, go_on = threading.Event(), threading.Event()

    def debug(pid: int) -> None:
        with tracer.stopped(pid):
            stands.set()
            go_on.wait()

    with Program("work") as program:
        debugger = threading.Thread(target=debug, args=(program.pid,))
        debugger.start()
        stands.wait()
        error = refused(program.pid, capsys)
        go_on.set()
        debugger.join()
        assert "is being traced by process " in error


@attachable
def test_no_right_to_trace(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where the system restricts that to a parent, or a container has not the capability."""

    def refuse(path: str, *arguments: int) -> int:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    with Program("work") as program:
        with monkeypatch.context() as patch:
            patch.setattr(os, "open", refuse)
            error = refused(program.pid, capsys)
        assert "sysctl kernel.yama.ptrace_scope=0" in error
        assert "CAP_SYS_PTRACE" in error
        assert program.ask("state()")["modules"] == []


@attachable
def test_ids_of_tools_that_are_taken(capsys: pytest.CaptureFixture[str]) -> None:
    """It begins, and finds that it cannot: what it has brought is taken away again."""
    with Program("work") as program:
        program.ask("[sys.monitoring.use_tool_id(number, 'other') for number in range(5)]")
        assert "needs two of the six ids of sys.monitoring" in refused(program.pid, capsys)
        assert program.ask("state()")["modules"] == []
        program.ask("[sys.monitoring.free_tool_id(number) for number in range(5)]")


@attachable
def test_threads_that_are_none(capsys: pytest.CaptureFixture[str]) -> None:
    with Program("work") as program:
        program.ask("setattr(__import__('_thread'), 'allocate_lock', lambda: None)")
        assert "the program has replaced _thread.allocate_lock" in refused(program.pid, capsys)
        assert program.ask("state()")["modules"] == []


@attachable
def test_one_that_ends_in_the_middle(monkeypatch: pytest.MonkeyPatch) -> None:
    with Program("work") as program:
        tasks = tasks_of(program.pid)
        assert len(tasks) == 4
        real = target.Target.threads

        def end(self: target.Target) -> Iterator[tuple[int, int]]:
            yield from real(self)
            os.kill(program.pid, signal.SIGKILL)

        with monkeypatch.context() as patch:
            patch.setattr(target.Target, "threads", end)
            with pytest.raises(Exception, match="has ended meanwhile") as caught:
                attach(program.pid)
        assert caught.type.__name__ in ("AttachError", "NoSuchProcess")
        program.process.communicate()
        program.process = subprocess.Popen(
            ["true"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )


@pytest.mark.parametrize("version", LAYOUTS)
def test_a_table_that_is_not_the_versions(version: tuple[int, int]) -> None:
    """A build that is changed is left alone."""
    layout = LAYOUTS[version]
    with pytest.raises(ValueError, match="a path of 0 bytes"):
        Offsets(bytes(layout.size), layout)
    with pytest.raises(ValueError, match="offset"):
        Offsets(b"\xff" * layout.size, layout)
