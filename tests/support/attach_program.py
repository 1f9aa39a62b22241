"""A program that knows nothing of this library, and tells its own state: for attaching to it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from freezethreads._attach.outside import Attached, attach
from helpers import ROOT, wait_until

# Each line that it reads is evaluated, and what that gives is printed as JSON. The thread that does
# so waits in C, as the main thread does in `join()`; only those that work run Python by themselves.
PROGRAM = """
import json, os, signal, sys, threading, time

counts, told, end = [0, 0], [0], threading.Event()

def work(i):
    while not end.is_set():
        counts[i] += 1
        time.sleep(0.001)

def state():
    monitoring = sys.monitoring
    return {
        "modules": sorted(name for name in sys.modules if name.startswith("freezethreads")),
        "path": sys.path, "meta_path": [str(finder) for finder in sys.meta_path],
        "handlers": [str(signal.getsignal(number)) for number in range(1, 32)],
        "threads": sorted(thread.name for thread in threading.enumerate()),
        "frames": len(sys._current_frames()),
        "tools": [monitoring.get_tool(number) for number in range(6)],
        "hooks": [str(sys.excepthook), str(threading.excepthook), str(sys.gettrace())],
        "out": [str(sys.stdout), str(sys.stderr)],
        "environment": dict(os.environ),
    }

def note(number, frame):
    told[0] += 1

signal.signal(signal.SIGUSR1, note)
if "pipe" in sys.argv:  # as command-line programs do
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
namespace = dict(globals())
namespace["namespace"] = namespace

def answer():
    print(json.dumps("ready"), flush=True)
    for line in sys.stdin:
        print(json.dumps(eval(line, namespace)), flush=True)
    end.set()
    os._exit(0)

if "load" in sys.argv:
    import freezethreads
if "work" in sys.argv:
    for i in range(2):
        threading.Thread(target=work, args=(i,), name=f"worker {i}", daemon=True).start()
thread = threading.Thread(target=answer, name="answering", daemon=True)
thread.start()
if "main" in sys.argv:
    while True:
        time.sleep(0.0001)
thread.join()
"""


CAN = sys.version_info >= (3, 14) and getattr(sys, "_is_gil_enabled", lambda: True)()
"""Whether this Python can be attached to."""
_PIDS: set[int] = set()


@pytest.fixture(autouse=True)
def no_file_left() -> Iterator[None]:
    """Nothing of ours is left among the temporary files."""
    before = left()
    yield
    wait_until(lambda: left() == before)


def left() -> list[str]:
    """The folders that attaching to programs of these tests has made, and not removed."""
    names = (re.match(r"freezethreads-attach-(\d+)-", name) for name in os.listdir("/tmp"))
    return sorted(match.string for match in names if match and int(match[1]) in _PIDS)


class Program:
    """The program, in a process of its own. A context manager, which ends it.

    At its end it has printed nothing but its answers.
    """

    def __init__(self, *arguments: str, flags: Sequence[str] = (), **options: Any) -> None:
        environment = {**os.environ, **options.pop("env", {})}
        environment.pop("PYTHONPATH", None)
        if "load" in arguments:
            environment["PYTHONPATH"] = str(ROOT)
        self.process = subprocess.Popen(
            [sys.executable, *flags, "-W", "ignore", "-c", PROGRAM, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
            start_new_session=True,
            cwd="/",  # where it does not find this library
            **options,
        )
        self.pid = self.process.pid
        _PIDS.add(self.pid)
        assert self._read() == "ready"

    def _read(self) -> Any:
        assert self.process.stdout is not None
        return json.loads(self.process.stdout.readline())

    def ask(self, question: str) -> Any:
        """What it says to an expression."""
        assert self.process.stdin is not None
        self.process.stdin.write(question + "\n")
        self.process.stdin.flush()
        return self._read()

    def attach(self, **options: Any) -> Attached:
        """Attach to it from this process."""
        return attach(self.pid, **options)

    def files(self) -> list[str]:
        """What is open in it."""
        folder = Path(f"/proc/{self.pid}/fd")
        return sorted(str(path.readlink()) for path in folder.iterdir())

    def __enter__(self) -> Program:
        return self

    def __exit__(self, *exc_info: object) -> None:
        try:
            out, err = self.process.communicate(timeout=5)
        except BaseException:
            os.killpg(self.pid, signal.SIGKILL)  # and what it has forked, which has its pipes
            self.process.communicate()
            raise
        if exc_info[0] is None:
            ended = (out, err, self.process.returncode)
            assert ended == ("", "", 0), ended
