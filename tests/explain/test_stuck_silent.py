"""A process in which a call of C keeps the interpreter, and so all threads, also those that answer.

On a free-threaded Python the others run, until one wants to see where the threads are: that waits
for all to let it in. And no py-spy reads it.
"""

from __future__ import annotations

import functools
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator

import pytest

from freezethreads.cli import main
from freezethreads.control import connect
from helpers import HAS_GIL, ROOT, WAIT

PROGRAM = """
import sys, threading
import freezethreads

def work():
    with freezethreads.register("culprit"):
        ready.wait()
        sum(range(10**13))  # here

ready = threading.Event()
threading.Thread(target=work, name="culprit", daemon=True).start()
with freezethreads.serve():
    print("ready", flush=True)
    ready.set()
    sys.stdin.read()
"""
LINE = next(number for number, line in enumerate(PROGRAM.splitlines(), 1) if "# here" in line)


@pytest.fixture
def pid(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    folder = tempfile.mkdtemp(prefix="ft-")  # short, as the path of a socket has to be
    monkeypatch.setenv("XDG_RUNTIME_DIR", folder)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setattr("freezethreads.control.connect", functools.partial(connect, patience=0.7))
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield str(process.pid)
        process.kill()
        process.communicate(timeout=WAIT)
    shutil.rmtree(folder)


def test_the_thread_that_has_the_interpreter_is_named(
    pid: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["stuck", pid, "--json", "--timeout", "0.3"]) == 1
    diagnosis = json.loads(capsys.readouterr().out)
    (finding,) = diagnosis["findings"]
    named = ("culprit", LINE) if HAS_GIL else (None, None)
    assert (finding["thread"], finding["lineno"]) == named
    assert finding["cause"] == "silent"
    assert not diagnosis["healthy"]


def test_nobody_is_blamed_in_a_process_that_a_signal_has_stopped(
    pid: str, capsys: pytest.CaptureFixture[str]
) -> None:
    os.kill(int(pid), signal.SIGSTOP)
    assert main(["stuck", pid, "--timeout", "0.3"]) == 1
    text = capsys.readouterr().out
    assert f"a signal or a debugger has stopped it, and `kill -CONT {pid}` may help" in text
    assert "culprit" not in text


def test_the_text_says_it_and_without_pyspy_why_it_says_no_more(
    pid: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("freezethreads.cli._pyspy._path", lambda: "")
    assert main(["stuck", pid, "--timeout", "0.3"]) == 1
    text = capsys.readouterr().out
    assert f"Process {pid}: no answer.\n\nsilent\n" in text
    assert f"process {pid} did not answer within " in text
    assert "; no py-spy: pip install py-spy.\n" in text


def test_a_dump_says_who_looks_from_outside(pid: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dump", pid, "--timeout", "0.3"]) == 1
    first, last = capsys.readouterr().err.splitlines()
    assert f"process {pid} did not answer within " in first
    assert last == f"`freezethreads stuck {pid}` tells why, and what would help"
