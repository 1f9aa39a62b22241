"""``freezethreads run --unpatched``: nothing is replaced, and a freeze stops all the same."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from control_programs import Program
from control_programs import runtime as runtime
from freezethreads.control import connect
from helpers import WAIT, wait_until
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
def test_a_program_of_the_standard_library_is_shown_by_its_own_line(runtime: Path) -> None:
    server = ("-m", "http.server", "--bind", "127.0.0.1", "0")
    more = {"FREEZETHREADS_CONTROL": "1", "PYTHONUNBUFFERED": "1"}
    program = Program(*RUN, "--unpatched", *server, **more)
    try:
        assert program.line().startswith("Serving HTTP")
        with connect(program.pid) as client:

            def line() -> str:
                (thread,) = client.request("threads")["threads"]
                return str(thread["line"]["filename"])

            wait_until(lambda: line().endswith("selectors.py"))
            client.request("freeze", timeout=WAIT)
            (thread,) = client.request("threads")["threads"]
            client.request("thaw")
    finally:
        program.kill()
    assert thread["site"]["kind"] == "call"
    assert thread["site"]["filename"].endswith("selectors.py")


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


# What is marked from outside.

MOVES = """
def move():
    global left, right
    left -= 1
    for _ in range(200):
        pass
    right += 1

class Counter:
    def count(self):
        self.begun = True
        while not over:
            pass

left = right = 1000
over = []
"""

MOVED = """
import threading, time
import freezethreads
import moves

def control():
    for _ in range(30):
        before = moves.right
        while moves.right == before:
            time.sleep(0.001)
        with freezethreads.freeze(timeout=10):
            sums.add(moves.left + moves.right)
    over.append(None)

over, sums = [], set()
threading.Thread(target=control).start()
while not over:
    moves.move()
print(sums)
"""


@needs_monitoring
def test_atomic_code_is_never_half_done(folder: Path) -> None:
    (folder / "moves.py").write_text(MOVES)
    (folder / "script.py").write_text(MOVED)
    assert run("--unpatched", "--atomic", "moves:move", "script.py") == "{2000}\n"
    assert run("--unpatched", "--atomic", "json", "--atomic=moves", "-m", "script") == "{2000}\n"
    assert run("--unpatched", "script.py") != "{2000}\n"


@needs_monitoring
def test_freezable_code_is_stopped_at_its_loops(folder: Path) -> None:
    """In a program whose waits are replaced, in which nothing else would stop it."""
    (folder / "package").mkdir()
    (folder / "package" / "moves.py").write_text(MOVES)
    (folder / "script.py").write_text("""
import threading, time
import freezethreads
from package import moves
counter = moves.Counter()
thread = threading.Thread(target=counter.count)
thread.start()
while not hasattr(counter, "begun"):  # an event would be one more place to stop at
    time.sleep(0.001)
with freezethreads.freeze(timeout=10) as world:
    print(*[f"{info.site.kind} in {info.site.function}" for info in world.threads])
moves.over.append(None)
thread.join()
""")
    name = "package.moves:Counter.count"
    assert run("--freezable", name, "script.py") == "freezable in Counter.count\n"


@needs_monitoring
def test_marks_are_handed_on_to_children(folder: Path) -> None:
    (folder / "moves.py").write_text(MOVES)
    (folder / "script.py").write_text(MOVED)
    (folder / "outer.py").write_text("""
import subprocess, sys
subprocess.run([sys.executable, "script.py"], check=True)
""")
    assert run("--unpatched", "--atomic", "moves:move", "outer.py") == "{2000}\n"


STARTS = """
import multiprocessing, threading, time
import freezethreads

sums = [1000, 1000]

def move():
    sums[0] -= 1
    began = time.monotonic()
    while time.monotonic() < began + 0.02:
        pass
    sums[1] += 1

def work(over):
    while not over:
        move()

def look():
    over = []
    thread = threading.Thread(target=work, args=(over,))
    thread.start()
    seen = set()
    for _ in range(10):
        with freezethreads.freeze(timeout=10):
            seen.add(sum(sums))
        time.sleep(0.005)
    over.append(None)
    thread.join()
    print(__name__, seen, flush=True)

if __name__ == "__main__":
    look()
    process = multiprocessing.get_context("spawn").Process(target=look)
    process.start()
    process.join()
"""


@needs_monitoring
@pytest.mark.parametrize("name", ["__main__:move", "script:move"])
@pytest.mark.parametrize("program", [("script.py",), ("-m", "script")])
def test_marks_of_the_program_reach_its_processes(
    folder: Path, name: str, program: tuple[str, ...]
) -> None:
    (folder / "script.py").write_text(STARTS)
    out = run("--unpatched", "--atomic", name, *program)
    assert out == "__main__ {2000}\n__mp_main__ {2000}\n"


@needs_monitoring
@pytest.mark.parametrize("option", ["--atomic", "--freezable"])
@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("moves move", "must be named like 'package.module' or"),
        ("moves:", "must be named like 'package.module' or"),
        ("", "must be named like 'package.module' or"),
        ("moved:move", "there is no module 'moved', so that nothing is named 'moved:move'"),
        ("moves.move", "there is no module 'moves.move'; write 'moves:move'"),
        ("json.nothing:f", "there is no module 'json.nothing'"),
        ("json:dump_all", "there is no 'json:dump_all'"),
    ],
)
def test_a_bad_name_is_refused_before_the_program_begins(
    folder: Path, option: str, name: str, error: str
) -> None:
    (folder / "moves.py").write_text(MOVES)
    (folder / "script.py").write_text("print('it ran')")
    result = python(*RUN, option, "moves:move", option, name, "script.py")
    assert (result.returncode, result.stdout) == (2, "")
    assert error in result.stderr
    assert len(result.stderr.splitlines()) == 1


OPEN = """
import threading
import freezethreads
opened, go_on = threading.Event(), threading.Event()
def move():
    opened.set()
    go_on.wait()
thread = threading.Thread(target=move)
thread.start()
opened.wait()
with freezethreads.freeze(timeout=20) as world:
    print([pending.kind for pending in world.pending])
try:
    freezethreads.freeze(settled="tx", timeout=0.1)
except freezethreads.FreezeTimeout as error:
    print("in which 'tx.write' is pending" in str(error))
go_on.set()
thread.join()
"""


@needs_monitoring
def test_code_may_be_atomic_for_one_kind_alone(folder: Path) -> None:
    (folder / "script.py").write_text(OPEN)
    out = run("--unpatched", "--atomic", "script:move=tx.write", "script.py")
    assert out == "['tx.write']\nTrue\n"


@needs_monitoring
@pytest.mark.parametrize("kind", ["", "tx."])
def test_a_bad_kind_is_refused_before_the_program_begins(folder: Path, kind: str) -> None:
    (folder / "script.py").write_text("print('it ran')")
    result = python(*RUN, "--atomic", f"json:dumps={kind}", "script.py")
    assert (result.returncode, result.stdout) == (2, "")
    assert "kind must be" in result.stderr
    assert len(result.stderr.splitlines()) == 1


@needs_monitoring
def test_what_the_program_alone_finds_can_be_marked(folder: Path) -> None:
    """Beside a script, in a directory, in the main module; none of it is imported before."""
    for name in ("beside", "archive"):
        (folder / name).mkdir()
        (folder / name / "moves.py").write_text("print('moves')")
        (folder / name / "__main__.py").write_text("print('main')\nimport moves")
    for program in ("beside/__main__.py", "archive"):
        options = ("--atomic", "moves:move", "--freezable", "__main__:f")
        assert run(*options, program) == "main\nmoves\n"


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="there they can be had")
def test_before_cpython_3_12_marks_are_refused(folder: Path) -> None:
    (folder / "script.py").write_text("print('it ran')")
    result = python(*RUN, "--atomic", "json:dumps", "script.py")
    assert (result.returncode, result.stdout) == (2, "")
    assert "only a function can be marked on CPython 3.11" in result.stderr
