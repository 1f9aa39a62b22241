"""The command `freezethreads` in this process, or as one: with a place to print, or a terminal."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from control_programs import Program
from freezethreads.cli import main
from helpers import ROOT, WAIT

Captured = pytest.CaptureFixture[str]


def say(capsys: Captured, *arguments: object) -> str:
    """Give a command that does what it is asked, and return what it prints."""
    assert main([str(argument) for argument in arguments]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    return out


def fail(capsys: Captured, *arguments: object) -> tuple[int, str]:
    """Give one that does not, and return its status and what it prints as errors."""
    try:
        status = main([str(argument) for argument in arguments])
    except SystemExit as ended:
        status = int(ended.code or 0)
    return status, capsys.readouterr().err


def print_to(stdout: int, *arguments: object, **env: str) -> tuple[int, str]:
    """The status of a command, and what it says on standard error."""
    result = subprocess.run(
        [sys.executable, "-m", "freezethreads", *map(str, arguments)],
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), **env},
        check=False,
    )
    return result.returncode, result.stderr


class Terminal:
    """A terminal that a command runs on, and whoever looks at it and presses keys."""

    def __init__(self, *arguments: str, width: int = 120) -> None:
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("4H", 30, width, 0, 0))
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm"}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "freezethreads", *arguments],
            stdin=theirs,
            stdout=theirs,
            stderr=subprocess.PIPE,
            env=environment,
            text=True,
        )
        self.settings = termios.tcgetattr(theirs)
        self._theirs = theirs

    def see(self, text: str) -> None:
        """Wait until it shows that, in what comes from now on."""
        deadline = time.monotonic() + WAIT
        shown = ""
        while text not in shown:
            left = deadline - time.monotonic()
            ready, _, _ = select.select([self._ours], [], [], max(0.0, left))
            assert ready, f"{text!r} was not shown in {shown!r}"
            shown += os.read(self._ours, 65536).decode()

    def press(self, key: str) -> None:
        os.write(self._ours, key.encode())

    def end(self) -> tuple[int, str]:
        """Wait for its end; its status, and its errors. The terminal is as it was."""
        assert self.process.stderr is not None
        errors = self.process.stderr.read()
        status = self.process.wait(WAIT)
        assert termios.tcgetattr(self._theirs) == self.settings
        return status, errors

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()
        os.close(self._ours)
        os.close(self._theirs)


@contextmanager
def watching(served: Program, width: int = 120) -> Iterator[Terminal]:
    terminal = Terminal("threads", str(served.pid), "--watch", width=width)
    try:
        yield terminal
    finally:
        terminal.close()
