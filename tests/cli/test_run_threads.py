"""``freezethreads run``: the program's threads are enrolled, and its processes find it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from helpers import ROOT
from running import run


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current directory, where the programs are."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_its_threads_are_enrolled_and_so_is_the_main_one(folder: Path) -> None:
    (folder / "script.py").write_text("""
import threading, time
import freezethreads
begun = threading.Event()
def work():
    begun.set()
    time.sleep(60)
thread = threading.Thread(target=work, name="worker", daemon=True)
thread.start()
def control():
    begun.wait()
    with freezethreads.freeze(timeout=10) as world:
        print(sorted(info.name for info in world.threads), world.unregistered)
threading.Thread(target=control).start()
while thread.is_alive():
    time.sleep(0.01)
    if threading.active_count() == 2:
        break
""")
    assert run("script.py") == "['MainThread', 'worker'] ()\n"


def test_a_main_thread_at_its_end_holds_nobody_up(folder: Path) -> None:
    """It waits for the others, and later on for what calls back at the very end."""
    (folder / "script.py").write_text("""
import atexit, threading, time
import freezethreads
def control():
    threading.main_thread().join()
    for _ in range(20):
        with freezethreads.freeze(timeout=10) as world:
            assert [info.name for info in world.threads] == ["worker"]
    over.set()
over = threading.Event()
threading.Thread(target=over.wait, name="worker").start()
threading.Thread(target=control).start()
atexit.register(lambda: print("end", freezethreads.threads(), __name__))
""")
    assert run("script.py") == "end () __main__\n"


def test_a_program_that_knows_of_freezing_runs_as_well(folder: Path) -> None:
    (folder / "script.py").write_text("""
import freezethreads
with freezethreads.register("by itself", group="mine"):
    print([(info.name, info.group) for info in freezethreads.threads()])
print([(info.name, info.group) for info in freezethreads.threads()])
try:
    freezethreads.install()
except freezethreads.FreezeError as error:
    print(error)
""")
    out = run("script.py").splitlines()
    assert out[:2] == ["[('by itself', 'mine')]", "[('MainThread', '')]"]
    assert "in force already" in out[2]


SPAWNING = """
import multiprocessing, sys, time
class Point:
    def __init__(self, x):
        self.x = x
def move(point, queue):
    queue.put((Point(point.x + 1), "freezethreads" in sys.modules, time.sleep.__module__))
if __name__ == "__main__":
    context = multiprocessing.get_context(sys.argv[1])
    queue = context.Queue()
    child = context.Process(target=move, args=(Point(1), queue))
    child.start()
    point, loaded, module = queue.get(timeout=20)
    child.join(20)
    print(type(point) is Point, point.x, loaded, module, child.exitcode)
"""


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
@pytest.mark.parametrize("form", [("script.py",), ("-m", "script"), ("-m", "package.script")])
def test_its_child_processes_find_its_module(
    folder: Path, method: str, form: Sequence[str]
) -> None:
    (folder / "package").mkdir()
    (folder / "package" / "__init__.py").write_text("")
    for name in ("script.py", "package/script.py"):
        (folder / name).write_text(SPAWNING)
    assert run("--no-children", *form, method) == "True 2 False time 0\n"
    assert run(*form, method) == "True 2 True time 0\n"


def test_a_whole_program_is_frozen_while_it_works(folder: Path) -> None:
    """The script is what controls it; the program knows nothing of that."""
    (folder / "script.py").write_text("""
import sys, threading
import freezethreads
from unmodified import Program
program = Program()
program.start()
def control():
    for _ in range(20):
        with freezethreads.freeze(timeout=10) as world:
            assert len(world.threads) > 14, world.threads
            assert program.problems() == []
    print("well")
thread = threading.Thread(target=control)
thread.start()
thread.join()
program.finish()
""")
    assert (
        run("script.py", PYTHONPATH=f"{ROOT}{os.pathsep}{ROOT / 'tests' / 'support'}") == "well\n"
    )
