"""How serving ends, what a fork makes of it, and programs that do not know of it."""

from __future__ import annotations

import os
import signal
import socket
from pathlib import Path

import pytest

from control_programs import PREAMBLE, SERVE, STAY, Program, program
from control_programs import runtime as runtime
from freezethreads.control import (
    ControlError,
    NotServing,
    ProcessEnded,
    ProcessKilled,
    connect,
    find_processes,
)
from helpers import WAIT, wait_until

pytestmark = pytest.mark.usefixtures("runtime")

SMALL = """
threading.stack_size({size})
"""


@pytest.mark.parametrize(("size", "levels"), [(1 << 20, 9500), (128 << 10, 990)])
@pytest.mark.parametrize("opening", [b"[", b'{"x":'])
def test_no_request_ends_the_program_whatever_stack_its_threads_have(
    size: int, levels: int, opening: bytes
) -> None:
    """A decoder that calls itself for each level overruns a small one."""
    with program(PREAMBLE + SMALL.format(size=size) + SERVE + "sys.stdin.read()") as served:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(WAIT)
            client.connect(served.socket)
            client.sendall(opening * levels + b"\n")
            answer = client.makefile("rb").readline()
        assert b"nested too deeply" in answer, served.process.poll()
        with connect(served.pid) as again:
            assert again.hello["pid"] == served.pid
        assert served.end() == (0, "")


FORK = """
def child():
    print("child", os.getpid(), flush=True)
    sys.stdin.readline()
    {then}
    os._exit(0)

if os.fork() == 0: child()
os.wait()
"""


@pytest.mark.parametrize("then", ["pass", "freezethreads.serve()"])
def test_a_fork_leaves_the_parent_its_socket(then: str) -> None:
    """The child has the descriptors too: it must not answer, and not end what is the parent's."""
    quiet = "import warnings; warnings.simplefilter('ignore')\n"
    with program(quiet + STAY.replace("sys.stdin.read()", "") + FORK.format(then=then)) as served:
        child = int(served.line().removeprefix("child "))
        with connect(served.pid) as client:
            assert client.request("freeze")["threads"] == 2
            with pytest.raises(NotServing):
                connect(child)
            client.request("thaw")
        served.say("end")
        assert served.end() == (0, "")
        assert not os.path.exists(served.socket)


def test_a_child_does_not_keep_the_sockets_of_a_parent_that_was_killed() -> None:
    """Else nobody would be told: the system would go on taking clients in for the parent."""
    quiet = "import warnings; warnings.simplefilter('ignore')\n"
    code = quiet + STAY.replace("sys.stdin.read()", "sys.stdin.readline()")
    with program(code + FORK.format(then="pass")) as served, connect(served.pid) as client:
        served.say("fork")
        child = int(served.line().removeprefix("child "))
        served.process.kill()
        served.process.wait()
        try:
            with pytest.raises(ProcessEnded):
                client.request("hello")
            with pytest.raises(ProcessKilled):
                connect(served.pid, patience=1)
        finally:
            os.kill(child, signal.SIGKILL)


def test_a_child_can_serve_by_itself() -> None:
    quiet = "import warnings; warnings.simplefilter('ignore')\n"
    code = quiet + STAY.replace("sys.stdin.read()", "")
    code += (
        "if os.fork() == 0:\n"
        "    freezethreads.serve(); print('child', os.getpid(), flush=True)\n"
        "    sys.stdin.read()\n"
        "else: os.wait()\n"
    )
    with program(code) as served:
        child = int(served.line().removeprefix("child "))
        assert find_processes() == sorted([served.pid, child])
        with connect(child) as client:
            assert client.hello["pid"] == child
        assert served.end() == (0, "")
        assert find_processes() == []


ENDS: dict[str, tuple[str, int]] = {
    "its last line": ("", 0),
    "an exit": ("sys.exit(3)", 3),
    "a thread that runs on": ("threading.Thread(target=time.sleep, args=(0.05,)).start()", 0),
    "an interrupt": ("os.kill(os.getpid(), signal.SIGINT); time.sleep(9)", -signal.SIGINT),
}


@pytest.mark.parametrize("name", ENDS)
def test_it_is_removed_at_the_end_however_it_comes(name: str) -> None:
    code, status = ENDS[name]
    with program(PREAMBLE + SERVE + "sys.stdin.readline()\n" + code) as served:
        with connect(served.pid) as client:
            client.request("freeze")
            ended, errors = served.end()
            assert ended == status, errors
        assert not os.path.exists(served.socket)
        told = "was thawed by the freezer: the main thread has ended"
        assert name == "an interrupt" or [told in line for line in errors.splitlines()] == [True]


def test_frozen_at_the_end_it_ends_all_the_same() -> None:
    """A frozen thread that the interpreter waits for is let go when the main thread has ended."""
    code = PREAMBLE.replace("daemon=True", "daemon=False").replace(
        "while True:", "while not ended.is_set():"
    )
    code = code.replace("counts = {", "ended = threading.Event()\ncounts = {")
    with program(code + SERVE + "sys.stdin.readline(); ended.set()") as served:
        with connect(served.pid) as client:
            client.request("freeze")
            status, errors = served.end()
        assert status == 0
        assert "was thawed by the freezer: the main thread has ended" in errors


UNAWARE = """
import queue, threading
jobs = queue.Queue()
for _ in range(2):
    threading.Thread(target=jobs.get, daemon=True).start()
print("ready", flush=True)
jobs.join() or threading.Event().wait()
"""


def test_a_program_that_knows_nothing_of_it(tmp_path: Path) -> None:
    (tmp_path / "unaware.py").write_text(UNAWARE)
    arguments = ("-m", "freezethreads", "run", str(tmp_path / "unaware.py"))
    running = Program(*arguments, FREEZETHREADS_CONTROL="1")
    try:
        assert running.line() == "ready"
        with connect(running.pid) as client:
            assert client.request("freeze")["threads"] == 3
            states = {thread["state"] for thread in client.request("threads")["threads"]}
            assert states == {"frozen"}
            client.request("thaw")
    finally:
        running.kill()


@pytest.mark.parametrize("value", ["", "0"])
def test_it_is_not_served_unless_it_is_asked_for(tmp_path: Path, value: str) -> None:
    (tmp_path / "unaware.py").write_text(UNAWARE)
    arguments = ("-m", "freezethreads", "run", str(tmp_path / "unaware.py"))
    running = Program(*arguments, FREEZETHREADS_CONTROL=value)
    assert running.line() == "ready"
    with pytest.raises(NotServing):
        connect(running.pid)
    running.kill()


def test_nothing_of_it_is_loaded_unless_it_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "looks.py").write_text(
        "import sys\nprint('ready' if 'freezethreads.control' not in sys.modules else 'loaded')"
    )
    running = Program("-m", "freezethreads", "run", str(tmp_path / "looks.py"))
    assert running.line() == "ready"
    assert running.end() == (0, "")


def test_a_program_that_cannot_be_served_runs_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "unaware.py").write_text(
        "import os\nif os.fork() == 0: os._exit(0)\nos.wait(); print('ready', flush=True)\n"
    )
    folder = tmp_path / (90 * "x")
    folder.mkdir()
    env = {"XDG_RUNTIME_DIR": "", "TMPDIR": str(folder), "FREEZETHREADS_CONTROL": "1"}
    arguments = ("-W", "ignore", "-m", "freezethreads", "run", str(tmp_path / "unaware.py"))
    running = Program(*arguments, **env)
    assert running.line() == "ready"
    status, errors = running.end()
    assert (status, errors.count("\n")) == (0, 1)
    assert "FREEZETHREADS_CONTROL is set, but no directory" in errors


def test_children_that_end_without_a_word_do_not_leave_ever_more_sockets(tmp_path: Path) -> None:
    """As those of multiprocessing do, and whoever is killed."""
    (tmp_path / "forks.py").write_text(
        "import os, sys\n"
        "for _ in range(5):\n"
        "    if os.fork() == 0: os._exit(0)\n"
        "    os.wait()\n"
        "print('ready', flush=True); sys.stdin.read()\n"
    )
    arguments = ("-W", "ignore", "-m", "freezethreads", "run", str(tmp_path / "forks.py"))
    running = Program(*arguments, FREEZETHREADS_CONTROL="1")
    try:
        assert running.line() == "ready"
        left = set(os.listdir(os.path.dirname(running.socket)))
        assert (len(left), f"{running.pid}.sock" in left) == (2, True)  # and the last child's
    finally:
        assert running.end() == (0, "")


def test_the_children_that_it_forks_are_served_as_well(tmp_path: Path) -> None:
    (tmp_path / "forks.py").write_text(
        "import os, sys\n"
        "child = os.fork()\n"
        "if child == 0: sys.stdin.read(); os._exit(0)\n"
        "print(child, flush=True); os.wait()\n"
    )
    arguments = ("-W", "ignore", "-m", "freezethreads", "run", str(tmp_path / "forks.py"))
    running = Program(*arguments, FREEZETHREADS_CONTROL="1")
    try:
        child = int(running.line())
        wait_until(lambda: child in find_processes())
        assert find_processes() == sorted([running.pid, child])
    finally:
        assert running.end() == (0, "")


def test_a_connection_shows_what_it_is_and_says_when_it_is_closed() -> None:
    with program(STAY) as served:
        with connect(served.pid) as client:
            assert repr(client) == f"<Client of process {served.pid}, open>"
        assert repr(client) == f"<Client of process {served.pid}, closed>"
        with pytest.raises(ControlError, match=r"is closed: connect\(\) again") as caught:
            client.request("threads")
        assert not isinstance(caught.value, ProcessEnded)
        client.close()
