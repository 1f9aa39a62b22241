"""`kill -9` at any moment: the store has a whole state, never older than the last acknowledged."""

from __future__ import annotations

import os
import random
import select
import signal
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from freezethreads.checkpoint import FileStore, SQLiteStore
from helpers import ROOT, WAIT

KINDS = {"file": FileStore, "sqlite": SQLiteStore}

# Saves one state after the other, and acknowledges each with a line once it is durable.
SAVE = """
import os, sys
from freezethreads.checkpoint import FileStore, SQLiteStore

kind, path = sys.argv[1:]
store = {"file": FileStore, "sqlite": SQLiteStore}[kind](path)
number, _ = store.load() or (0, b"")
while True:
    number += 1
    store.save((number, number.to_bytes(4, "big") * 50_000))
    os.write(1, b"%d\\n" % number)
"""

# The same with a thread that changes the state all the time, and a child that saves it.
FORK = """
import os, sys, threading
from freezethreads import Freezer
from freezethreads.checkpoint import Checkpointer, FileStore, SQLiteStore

kind, path = sys.argv[1:]
store = {"file": FileStore, "sqlite": SQLiteStore}[kind](path)
number, _ = store.load() or (0, b"")
data = number.to_bytes(4, "big") * 50_000
freezer = Freezer()

def work():
    global number, data
    with freezer.register():
        while True:
            freezer.safepoint()
            number += 1
            data = number.to_bytes(4, "big") * 50_000

threading.Thread(target=work, daemon=True).start()
checkpointer = Checkpointer(freezer, store, lambda: (number, data), mode="fork")
while True:
    least = number
    checkpointer.checkpoint()
    os.write(1, b"%d\\n" % least)
"""


def run_and_kill(code: str, kind: str, path: Path, acknowledged: int, later: float) -> int:
    """Kill a saving process some time after so many lines; return the last one that it wrote."""
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-c", code, kind, str(path)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    with process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(acknowledged)]
        time.sleep(later)  # it is the moment that is under test, and any will do
        process.kill()
        lines += process.stdout.readlines()
    assert process.returncode == -signal.SIGKILL
    return int(next(line for line in reversed(lines) if line.endswith(b"\n")))


@pytest.mark.parametrize("code", [SAVE, FORK], ids=["inline", "fork"])
@pytest.mark.parametrize("kind", KINDS)
def test_nothing_acknowledged_is_lost(code: str, kind: str, tmp_path: Path) -> None:
    chance = random.Random(kind)
    for _ in range(6):
        last = run_and_kill(
            code, kind, tmp_path / "state", chance.randint(1, 3), chance.uniform(0, 0.02)
        )
        with closing(KINDS[kind](tmp_path / "state")) as store:
            number, data = store.load()
        assert number >= last
        assert data == number.to_bytes(4, "big") * 50_000


# Kills itself at one given call of those by which a FileStore touches the disk.
STEPS = """
import os, signal, sys
from freezethreads.checkpoint import FileStore

path, fatal = sys.argv[1], int(sys.argv[2])
store = FileStore(path, keep=1)
store.save("old")
calls = 0

def count(event, _):
    global calls
    if event in {"open", "os.rename", "os.remove", "os.fsync"}:
        calls += 1
        if calls == fatal:
            os.kill(os.getpid(), signal.SIGKILL)

real_fsync = os.fsync
def fsync(descriptor):
    count("os.fsync", None)
    real_fsync(descriptor)

os.fsync = fsync
sys.addaudithook(count)
store.save("new")
print(calls)
"""


def run_steps(path: Path, fatal: int) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", STEPS, str(path), str(fatal)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        timeout=WAIT,
        check=False,
    )


def load_after(path: Path) -> object:
    with closing(FileStore(path, keep=1)) as store:
        return store.load()


def test_a_kill_between_any_two_steps_of_a_save(tmp_path: Path) -> None:
    steps = int(run_steps(tmp_path / "whole", 0).stdout)
    assert steps >= 6  # open, fsync, rename, open the directory, fsync, look at the old one, remove
    found = []
    for fatal in range(1, steps + 1):
        path = tmp_path / f"step{fatal}"
        assert run_steps(path, fatal).returncode == -signal.SIGKILL
        found.append(load_after(path))
    renamed = found.index("new")
    assert found == ["old"] * renamed + ["new"] * (steps - renamed)
    assert 0 < renamed < steps - 1


ORPHAN = """
import os, sys, time
from freezethreads import Freezer
from freezethreads.checkpoint import Checkpointer, SQLiteStore

says = os.dup(1)
class Slow(SQLiteStore):
    def write(self, connection, payload):
        super().write(connection, payload)
        os.write(says, b"writing\\n")
        time.sleep(60)

Checkpointer(Freezer(), Slow(sys.argv[1]), lambda: 1, mode="fork").checkpoint()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere an orphan saves to its end")
def test_an_orphan_does_not_commit(tmp_path: Path) -> None:
    """The child of a killed process could commit what its successor has begun to do again."""
    process = subprocess.Popen(
        [sys.executable, "-c", ORPHAN, str(tmp_path / "state")],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"writing\n"
        process.kill()
        ended = (
            select.poll()
        )  # which the pipe is when both have closed it, hence when both are gone
        ended.register(process.stdout, 0)
        assert ended.poll(1000 * WAIT), "the child outlives its parent"
    with closing(SQLiteStore(tmp_path / "state")) as store:
        assert store.load() is None
