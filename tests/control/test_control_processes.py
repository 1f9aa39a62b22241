"""Real processes: killed, ended, forked, of others; each has its own sentence."""

from __future__ import annotations

import math
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from checkpoints import Gate
from control_programs import PREAMBLE, SERVE, Program, program
from control_programs import runtime as runtime
from fork_helpers import forked
from freezethreads.control import (
    ControlError,
    NoAnswer,
    NoSuchProcess,
    NotPermitted,
    NotPython,
    NotServing,
    ProcessEnded,
    ProcessKilled,
    _client,
    _peer,
    _processes,
    connect,
    find_processes,
)
from freezethreads.control._channel import Channel, Socket
from freezethreads.control._protocol import encode
from freezing import actor
from helpers import start, wait_for, wait_until

pytestmark = pytest.mark.usefixtures("runtime")

CLIENT = """
import sys
from freezethreads import control
client = control.connect(int(sys.argv[1]))
client.request("freeze", keep=len(sys.argv) > 2, lease=float((*sys.argv, 60)[2]))
print("ready", flush=True)
sys.stdin.read()
"""
IDLE = "import sys; print('ready', flush=True); sys.stdin.read()"


def state_of(pid: int) -> str:
    with connect(pid) as client:
        state: str = client.hello["state"]
        return state


def expiries_of(pid: int) -> int:
    """How many freezes have ended with their lease, and not with their client."""
    with connect(pid) as client:
        count: int = client.request("statistics")["statistics"]["lease_expiries"]
        return count


# Killed.


def test_a_client_that_is_killed_lets_all_go() -> None:
    with program() as served:
        with program(CLIENT, str(served.pid)) as client:
            assert state_of(served.pid) == "frozen"
            client.kill()
        wait_until(lambda: state_of(served.pid) == "running")
        assert expiries_of(served.pid) == 0


FORKING_CLIENT = """
import os, sys, warnings
warnings.simplefilter("ignore")
from freezethreads import control
client = control.connect(int(sys.argv[1]))
client.request("freeze")
if os.fork() == 0:
    told = "answered"
    try:
        client.request("thaw")
    except control.ControlError as error:
        told = str(error)
    client.close()
    print(os.getpid(), told, flush=True)
    sys.stdin.read()
    os._exit(0)
os.wait()
"""


def test_what_a_client_has_forked_keeps_nobody_frozen() -> None:
    """The child has what it was forked with, and lives on when the client is killed."""
    with program() as served:
        client = Program("-c", FORKING_CLIENT, str(served.pid))
        child, told = client.line().split(" ", 1)
        try:
            assert told.endswith("connect() again here")
            assert state_of(served.pid) == "frozen"
            client.process.kill()
            wait_until(lambda: state_of(served.pid) == "running")
            assert expiries_of(served.pid) == 0
        finally:
            os.kill(int(child), signal.SIGKILL)
            client.kill()


def open_sockets() -> set[str]:
    """The names that the system has for those of this process."""
    names = [os.path.realpath(f"/dev/fd/{one}") for one in os.listdir("/dev/fd")]
    return {os.path.basename(name) for name in names if "socket" in name}


@pytest.mark.skipif(sys.platform != "linux", reason="its /dev/fd tells what is a socket")
def test_a_fork_waits_for_who_is_about_to_connect(monkeypatch: pytest.MonkeyPatch) -> None:
    """The socket is there, and nobody knows of it yet."""
    gate = Gate()

    class Slow(Channel):
        def __init__(self, connected: Socket) -> None:
            gate()
            super().__init__(connected)

    with program() as served:
        monkeypatch.setattr(_client, "Channel", Slow)
        before = open_sockets()
        connecting = start(connect, served.pid)
        wait_for(gate.reached)
        opened = open_sockets() - before
        assert opened
        os.register_at_fork(before=gate.go.set)  # the last that is registered is called first

        def check() -> None:
            assert not open_sockets() & opened

        forked(lambda fork: fork(), check)
        connecting.finish().close()


def test_a_kept_freeze_of_a_killed_client_ends_with_its_lease() -> None:
    with program() as served:
        with program(CLIENT, str(served.pid), "0.3") as client:
            client.kill()
        wait_until(lambda: state_of(served.pid) == "running")
        wait_until(lambda: expiries_of(served.pid) == 1)


def test_a_client_that_stands_still_keeps_it_for_its_lease_alone() -> None:
    with program() as served, program(CLIENT, str(served.pid), "0.3") as client:
        os.kill(client.pid, signal.SIGSTOP)
        wait_until(lambda: state_of(served.pid) == "running")
        wait_until(lambda: expiries_of(served.pid) == 1)


def test_a_process_that_was_killed_while_frozen(runtime: Path) -> None:
    with program() as served, connect(served.pid) as client:
        client.request("freeze")
        served.kill()
        with pytest.raises(ProcessEnded, match=r"ended in the middle of this"):
            client.request("threads")
        with pytest.raises(ProcessKilled, match="was killed: its control socket is still there"):
            connect(served.pid)
        assert os.path.exists(served.socket)
        assert find_processes() == []
        assert not os.path.exists(served.socket)
        with pytest.raises(NoSuchProcess, match=f"there is no process {served.pid}"):
            connect(served.pid)


def test_one_that_nobody_has_waited_for_is_no_process() -> None:
    with program() as served:
        os.kill(served.pid, signal.SIGKILL)
        os.waitid(os.P_PID, served.pid, os.WEXITED | os.WNOWAIT)
        with pytest.raises(ProcessKilled):
            connect(served.pid)


def test_one_that_ends_while_it_is_asked() -> None:
    code = PREAMBLE + (
        "def stay():\n"
        "    with freezethreads.register('stays'): time.sleep(99)\n"
        "threading.Thread(target=stay, daemon=True).start()\n"
    )
    with program(code + SERVE + "sys.stdin.read()") as served, connect(served.pid) as client:
        client._channel.send(encode({"request": "freeze"}), 1)
        served.close_input()
        with pytest.raises(ProcessEnded, match=r"(ended|ceased to serve) in the middle"):
            client.request("hello")
        assert served.process.wait(10) == 0


def test_one_that_is_stopped_by_a_signal_does_not_answer() -> None:
    with program() as served:
        os.kill(served.pid, signal.SIGSTOP)
        with pytest.raises(NoAnswer, match=r"did not answer within 0\.1 s: a signal "):
            connect(served.pid, patience=0.1)
        os.kill(served.pid, signal.SIGCONT)
        assert state_of(served.pid) == "running"


@pytest.mark.parametrize("pid", ["1", 1.5, None, True])
def test_what_is_no_process_is_refused(pid: Any) -> None:
    with pytest.raises(TypeError, match=r"^pid must be the number of a process, not "):
        connect(pid)


@pytest.mark.parametrize("patience", [math.inf, 1e300, None])
def test_who_has_all_the_time_there_is_may_say_so(patience: float | None) -> None:
    with program() as served, connect(served.pid, patience=patience) as client:
        assert client.hello["pid"] == served.pid


# Others.


def test_a_number_that_is_no_process() -> None:
    for pid in (-1, 0, 2**22 + 1, 2**31 - 1, 2**99):
        with pytest.raises(NoSuchProcess):
            connect(pid)


@pytest.mark.skipif(
    sys.platform != "linux", reason="elsewhere threads have no numbers of that kind"
)
def test_a_number_of_a_thread() -> None:
    with actor() as other:
        said = f"{other.worker.native_id} is the number of a thread of process {os.getpid()}: say "
        with pytest.raises(NoSuchProcess, match=said):
            connect(other.worker.native_id or 0)


def test_a_process_that_is_no_python() -> None:
    with subprocess.Popen(["sleep", "60"]) as sleeping:
        with pytest.raises(NotPython, match=r"process \d+ \(sleep\) is no Python"):
            connect(sleeping.pid)
        sleeping.kill()


def test_a_python_that_does_not_serve() -> None:
    with program(IDLE) as idle, pytest.raises(NotServing, match="it has to call"):
        connect(idle.pid)


def test_a_socket_of_another_process_that_had_the_number(runtime: Path) -> None:
    with program(IDLE) as idle:
        runtime.mkdir(mode=0o700)
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(idle.socket)
        with pytest.raises(NotServing):
            connect(idle.pid)
        assert find_processes() == [idle.pid]


def test_a_process_of_another_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    with program(IDLE) as idle, pytest.raises(NotPermitted, match="belongs to another user"):
        connect(idle.pid)

    def refuse(pid: int, number: int) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "kill", refuse)
    monkeypatch.setattr(_processes, "owner_of", lambda pid: 12345)
    with pytest.raises(NotPermitted):
        connect(1)


def test_a_process_that_has_become_another_users(monkeypatch: pytest.MonkeyPatch) -> None:
    """It was root's when it began to serve, and so is its socket; root finds it there."""
    with program() as served:
        monkeypatch.setattr(_client, "owner_of", lambda pid: os.geteuid() + 1)
        assert state_of(served.pid) == "running"


def test_whose_it_is_the_system_tells_also_of_one_that_keeps_its_memory_to_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its directory in /proc is root's then, as that of a process which has changed its user."""
    user, stat = os.geteuid(), os.stat

    def of_another(path: Any, **options: Any) -> os.stat_result:
        values = list(stat(path, **options))
        values[4] += 1  # the user
        return os.stat_result(values)

    monkeypatch.setattr(os, "stat", of_another)
    assert _processes.owner_of(os.getpid()) == user


@pytest.mark.parametrize("other", [0, 12345, 54321])
def test_who_answers_has_to_be_whose_directory_it_is(
    runtime: Path, monkeypatch: pytest.MonkeyPatch, other: int
) -> None:
    """A user leads root, who wants to talk to his process, to a socket that is root's."""
    runtime.mkdir(mode=0o700)
    path = runtime / f"{os.getpid()}.sock"
    monkeypatch.setattr(_client, "owner_of", lambda pid: 12345)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(_client, "sockets_of", lambda pid, uid: [path] if uid == 12345 else [])
    monkeypatch.setattr(_client, "peer_of", lambda connection: _peer.Peer(other, None))
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        if other == 12345:
            with pytest.raises(NoAnswer):
                connect(os.getpid(), patience=0.01)
        else:
            with pytest.raises(NotPermitted, match=f"user 12345, and is answered by user {other}:"):
                connect(os.getpid(), patience=0.01)
        led, _ = listener.accept()
        with led:
            assert bool(led.recv(1)) == (other == 12345)


def test_one_that_says_what_nobody_understands(runtime: Path) -> None:
    runtime.mkdir(mode=0o700)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(runtime / f"{os.getpid()}.sock"))
        listener.listen()
        with pytest.raises(NoAnswer):
            connect(os.getpid(), patience=0.01)
        ended, _ = listener.accept()
        ended.close()
        saying = _client._open(os.getpid(), runtime / f"{os.getpid()}.sock", os.getuid(), 1)
        assert saying is not None
        other, _ = listener.accept()
        other.sendall(b"what?\n")
        with pytest.raises(ControlError, match="cannot be understood"):
            _client.Client(os.getpid(), saying, 1)
        saying.forget()
        other.close()
