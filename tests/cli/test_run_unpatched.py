"""``freezethreads run --unpatched``: nothing is replaced, and a freeze stops all the same."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from machine import needs_monitoring
from running import RUN, python, run


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current directory, where the programs are."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


COMPUTES = """
import threading, time
import freezethreads

def control():
    for _ in range(20):
        with freezethreads.freeze(timeout=10) as world:
            before = count
            names = {info.name for info in world.threads}
            assert count == before
            assert world.where == "unlocked"
    print(sorted(names), time.sleep, [info.name for info in freezethreads.threads()])
    over.append(None)

over = []
count = 0
threading.Thread(target=control, name="control").start()
while not over:  # it waits for nothing
    count += 1
"""


@needs_monitoring
def test_a_main_thread_that_computes_stops(folder: Path) -> None:
    (folder / "script.py").write_text(COMPUTES)
    out = "['MainThread'] <built-in function sleep> ['MainThread', 'control']\n"
    assert run("--unpatched", "script.py") == out
    assert run("--no-children", "--unpatched", "-m", "script") == out


@needs_monitoring
def test_a_main_thread_at_its_end_holds_nobody_up(folder: Path) -> None:
    (folder / "script.py").write_text("""
import threading
import freezethreads

def control():
    threading.main_thread().join()
    for _ in range(20):
        with freezethreads.freeze(timeout=10) as world:
            assert "worker" in {info.name for info in world.threads}
    over.append(None)

def work():
    while not over:
        pass

over = []
threading.Thread(target=work, name="worker").start()
threading.Thread(target=control).start()
""")
    assert run("--unpatched", "script.py") == ""


@needs_monitoring
def test_a_child_begins_as_its_parent_did(folder: Path) -> None:
    (folder / "tell.py").write_text("""
import json, time
import freezethreads
def tell():
    with freezethreads.freeze() as world:
        names = [info.name for info in freezethreads.threads()]
        print(json.dumps([str(time.sleep), world.where, names]), flush=True)
""")
    (folder / "script.py").write_text("""
import multiprocessing, tell
if __name__ == "__main__":
    child = multiprocessing.get_context("spawn").Process(target=tell.tell)
    child.start()
    child.join()
    tell.tell()
""")
    wanted = ["<built-in function sleep>", "unlocked", ["MainThread"]]
    assert [*map(json.loads, run("--unpatched", "script.py").splitlines())] == [wanted, wanted]


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="there it can be had")
def test_before_cpython_3_12_the_program_does_not_begin(folder: Path) -> None:
    (folder / "script.py").write_text("print('it ran')")
    result = python(*RUN, "--unpatched", "script.py")
    assert (result.returncode, result.stdout) == (2, "")
    assert "needs CPython 3.12 or newer, and this is 3.11: use install()" in result.stderr
