"""What the tests of the control socket share: a directory for it, and programs that serve."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from freezethreads import Freezer
from freezethreads.control import Serving, connect
from helpers import ROOT, WAIT, wait_until

PREAMBLE = """
import os, signal, sys, threading, time
import freezethreads

def loop(name):
    with freezethreads.register(name):
        while True:
            counts[name] += 1
            time.sleep(0.001)
            freezethreads.safepoint("between two counts")

counts = {"one": 0, "two": 0}
for name in counts:
    threading.Thread(target=loop, args=(name,), daemon=True).start()
    while not counts[name]:  # they register in this order
        time.sleep(0.001)
"""

SERVE = "freezethreads.serve(); print('ready', flush=True)\n"
STAY = PREAMBLE + SERVE + "sys.stdin.read()\n"
"""Two threads that loop, a control socket, and a main thread that ends with its input."""


@pytest.fixture
def runtime(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """A directory for sockets alone, for this process and its children.

    A path of pytest's (which has its own by now) would be too long for a socket.
    """
    with runtime_folder(monkeypatch) as folder:
        yield folder


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    """A program for all tests of a file, as its start takes most of the time of each; see `served`.

    Its directory is that of the file's tests that do not use `runtime`.
    """
    tmp_path_factory.getbasetemp()  # which has to be made before
    with pytest.MonkeyPatch.context() as patch, runtime_folder(patch), program() as shared:
        yield shared


@pytest.fixture
def served(shared: Program) -> Iterator[Program]:
    """The file's program, for a test that does not end it and counts nothing from its start.

    Nothing is frozen in it when another test begins.
    """
    yield shared
    with connect(shared.pid) as client:
        client.request("thaw")


@contextmanager
def runtime_folder(patch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The same for as long as a block lasts."""
    folder = Path(tempfile.mkdtemp(prefix="ft-"))
    patch.setenv("XDG_RUNTIME_DIR", str(folder))
    patch.setattr(tempfile, "tempdir", str(folder))  # where others are looked for as well
    patch.setenv("TMPDIR", str(folder))
    try:
        yield folder / "freezethreads"
    finally:
        shutil.rmtree(folder)


class Program:
    """A process of its own. Its output is read line by line."""

    def __init__(self, *arguments: str, **env: str) -> None:
        environment = {**os.environ, "PYTHONPATH": str(ROOT), **env}
        self.process = subprocess.Popen(
            [sys.executable, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )
        self.pid = self.process.pid
        self.socket = f"{environment['XDG_RUNTIME_DIR']}/freezethreads/{self.pid}.sock"

    def line(self) -> str:
        """The next line that it prints; fail with its errors if it has ended."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, self.process.communicate()[1]
        return line.strip()

    def say(self, line: str) -> None:
        """Let it read a line."""
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def close_input(self) -> None:
        """Let it read to the end."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.stdin = None

    def end(self) -> tuple[int, str]:
        """Close its input, and return its status and what it printed as errors."""
        _, errors = self.process.communicate(timeout=WAIT)
        return self.process.returncode, errors

    def kill(self) -> None:
        """End it at once. May be repeated."""
        self.process.kill()
        self.process.communicate()


@contextmanager
def program(code: str = STAY, *arguments: str, **env: str) -> Iterator[Program]:
    """Run `code` until the block is left; it has printed "ready" by now."""
    with _ready(Program("-c", code, *arguments, **env)) as running:
        yield running


@contextmanager
def script(path: Path, code: str = STAY) -> Iterator[Program]:
    """The same from a file, which is written first, so that its lines are somewhere."""
    path.write_text(code)
    with _ready(Program(str(path))) as running:
        yield running


@contextmanager
def _ready(running: Program) -> Iterator[Program]:
    try:
        assert running.line() == "ready"
        yield running
    finally:
        running.kill()


# In this very process.


@pytest.fixture
def serving(runtime: Path) -> Iterator[Serving]:
    """A freezer of its own, served."""
    with Freezer("served").serve() as serving:
        yield serving
    wait_until(lambda: not own_threads())


def own_threads() -> list[str]:
    """The threads of the server, and of its clients."""
    names = [thread.name for thread in threading.enumerate()]
    return sorted(name for name in names if name.startswith("freezethreads-control"))
