"""Attaching to a program that nobody prepared, and leaving it as it was."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from attach_program import CAN, Program, left, no_file_left
from freezethreads._attach import outside
from freezethreads._attach.drop import Drop
from freezethreads._attach.errors import AttachError, ServesAlready, Unreached
from freezethreads._attach.outside import attached, detach
from freezethreads._attach.poke import poke
from freezethreads._attach.target import Target
from freezethreads.cli import _pyspy, main
from freezethreads.control import ControlError, FreezeFailed, NotServing, connect, find_processes
from freezethreads.control._protocol import encode
from helpers import WAIT, wait_until

__all__ = ["no_file_left"]

pytestmark = pytest.mark.skipif(
    not CAN,
    reason="nobody can attach to this Python: test_refusals has what is said",
)


def test_all_is_as_it_was() -> None:
    with Program("work") as program:
        attached = program.attach()
        assert attached.where == "anywhere"
        assert attached.threads == 4
        assert attached.python == sys.version.split()[0]
        detach(program.pid)
        assert program.pid not in find_processes()
        # What it has of Python itself by now, it has for good.
        before, files = program.ask("state()"), program.files()
        assert before["modules"] == []
        for _ in range(3):
            program.attach()
            with connect(program.pid) as client:
                client.request("freeze")
                client.request("stacks")
            detach(program.pid)
            assert program.ask("state()") == before
            assert program.files() == files


def test_the_first_time_leaves_nothing_either() -> None:
    with Program("work") as program:
        before, files = program.ask("state()"), program.files()
        program.attach()
        assert "freezethreads.control" in program.ask("state()")["modules"]
        detach(program.pid)
        after = program.ask("state()")
        assert after == before
        assert program.files() == files


def test_a_hundred_times() -> None:
    def resident() -> int:
        status = Path(f"/proc/{program.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0])

    with Program("work") as program:
        for turn in range(100):
            program.attach()
            with connect(program.pid) as client:
                client.request("freeze")
                client.request("thaw")
            detach(program.pid)
            if turn == 9:
                before, files, size = program.ask("state()"), program.files(), resident()
        assert program.ask("state()") == before
        assert program.files() == files
        assert resident() - size < 5000  # kB; a library that was loaded anew would take 15,000


def test_threads_stand_anywhere_and_go_on() -> None:
    with Program("work") as program:
        program.attach()
        with connect(program.pid) as client:
            answer = client.request("freeze")
            assert answer["where"] == "anywhere"
            assert answer["threads"] == 4
            threads = client.request("threads")["unregistered"]
            assert {one["name"] for one in threads} == {
                *("MainThread", "answering", "worker 0", "worker 1")
            }
            assert {one["state"] for one in threads} == {"frozen"}
            client.request("thaw")
        before = program.ask("counts")
        wait_until(lambda: all(map(int.__gt__, program.ask("counts"), before)))
        detach(program.pid)


@pytest.mark.parametrize("verb", ["threads", "sites", "stuck", "dump"])
def test_verbs(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    with Program("work") as program:
        assert main(["attach", str(program.pid)]) == 0
        assert "serves: a freeze stops its 4 threads anywhere" in capsys.readouterr().out
        assert main([verb, str(program.pid), "--json"]) == 0
        json.loads(capsys.readouterr().out)
        assert main(["detach", str(program.pid)]) == 0
        assert capsys.readouterr().out == f"process {program.pid} is as it was\n"


@pytest.mark.parametrize("verb", ["threads", "stuck", "dump"])
def test_a_verb_that_attaches_by_itself(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    with Program("work") as program:
        assert main([verb, str(program.pid), "--attach", "--json"]) == 0
        json.loads(capsys.readouterr().out)
        assert program.ask("state()")["modules"] == []
        program.attach()
        assert main([verb, str(program.pid), "--attach", "--json"]) == 0
        assert program.pid in find_processes()  # it was not this one that attached
        detach(program.pid)


def test_a_freeze_that_attaches_ends_with_its_lease(capsys: pytest.CaptureFixture[str]) -> None:
    with Program("work") as program:
        assert main(["freeze", str(program.pid), "--attach", "--lease", "0.5"]) == 0
        assert "4 threads stand (anywhere)" in capsys.readouterr().out
        wait_until(lambda: program.pid not in find_processes())
        wait_until(lambda: program.ask("state()")["modules"] == [])


def test_it_does_not_outlive_the_one_who_wanted_it() -> None:
    """A client that is killed in the middle: its process goes on, and nothing is left in it."""
    code = (
        "import sys, time\n"
        "from freezethreads._attach.outside import attached\n"
        "from freezethreads.control import connect\n"
        "with attached(int(sys.argv[1])), connect(int(sys.argv[1])) as client:\n"
        "    client.request('freeze')\n"
        "    print('stands', flush=True)\n"
        "    time.sleep(100)\n"
    )
    before = set(left())
    with Program("work") as program:
        command = [sys.executable, "-c", code, str(program.pid)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "stands\n"
            process.kill()
        wait_until(lambda: program.ask("state()")["modules"] == [])
    for name in set(left()) - before:  # what the one who was killed could not remove
        shutil.rmtree(Path("/tmp", name))


def test_a_client_that_goes_is_no_reason_to_be_killed() -> None:
    """A program that has SIGPIPE end it: its clients leave before they have heard their answers."""
    line = encode({"request": "hello", "arguments": {}})
    with Program("work", "pipe") as program:
        program.attach()
        for _ in range(5):
            with connect(program.pid) as client:
                client._channel.send(20 * line, WAIT)
        detach(program.pid)


def test_one_who_was_killed_before_anybody_has_begun() -> None:
    """Whoever runs the script later finds that nobody listens, and does nothing; and somebody else
    may attach."""
    with Program("work") as program:
        wanted = {"atomic": [], "freezable": [], "bound": False}
        with Target(program.pid) as target:
            with Drop(program.pid, wanted) as drop:
                os.close(drop._files.pop())  # as the system does for who is killed
                os.close(drop._files.pop())
                poke(target, drop.script, lambda native: True)
                wait_until(lambda: not Path(drop.script).with_name("first").exists())
                program.attach()
            detach(program.pid)
        assert program.ask("state()")["modules"] == []


def test_several_at_once() -> None:
    """One of them attaches, and the others are told so; never is it attached twice."""
    said: list[str] = []

    def attach() -> None:
        command = [sys.executable, "-m", "freezethreads", "attach", str(program.pid)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        said.append(f"{done.returncode} {done.stdout}{done.stderr}")

    with Program("work") as program:
        threads = [threading.Thread(target=attach) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(one[0] for one in said) == ["0", "2", "2", "2"], said
        refused = [one for one in said if one[0] == "2"]
        assert all("serves already" in one or "now: try again" in one for one in refused), said
        detach(program.pid)
        assert program.ask("state()")["modules"] == []


def test_two_detach_at_once() -> None:
    """Whoever comes second finds that it is over, or that it was over when it came."""

    def end() -> None:
        with suppress(AttachError, ControlError):
            detach(program.pid)

    with Program("work") as program:
        for _ in range(5):
            program.attach()
            threads = [threading.Thread(target=end) for _ in range(3)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            wait_until(lambda: program.ask("state()")["modules"] == [])
            assert program.ask("[name for name in vars(sys) if 'busy' in name]") == []


def test_nobody_runs_python(capsys: pytest.CaptureFixture[str]) -> None:
    """The main thread joins, and the other one reads: what each waits in is shown, and the request
    is taken back, so nothing runs later."""
    with Program() as program:
        assert main(["attach", str(program.pid), "--timeout", "0.5"]) == 1
        error = capsys.readouterr().err
        assert "no thread of process" in error
        assert error.count("\n  thread ") == 2
        assert f"  thread {program.pid} (" in error
        assert ") waits in futex (a lock), without a time-out\n" in error
        assert "(answering) waits in read\n" in error
        assert f"`freezethreads attach {program.pid} --timeout 60`\n" in error
        with pytest.raises(Unreached) as caught:
            program.attach(timeout=0.1)
        assert len(caught.value.threads) == 2
        assert program.ask("state()")["modules"] == []
        assert program.pid not in find_processes()


LOCKED = (
    "import signal, sys, threading\n"
    "exec(sys.argv[1])\n"
    "lock = threading.Lock(); lock.acquire(); print(flush=True); lock.acquire()"
)


@contextmanager
def locked(statement: str) -> Iterator[int]:
    """The number of a process that has run this, and waits for a lock that nobody will release."""
    command = [sys.executable, "-c", LOCKED, statement]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            process.stdout.readline()
            wait = outside._waits_of
            wait_until(lambda: not any(thread.ends for thread in wait(process.pid)))
            yield process.pid
        finally:
            process.kill()


@pytest.mark.parametrize("verb", ["attach", "stuck", "dump"])
def test_nobody_will_ever_run_python(
    verb: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not told to wait for longer; and where py-spy is missing, to install it."""
    options = ["--timeout", "0.5", *([] if verb == "attach" else ["--attach"])]
    with locked("pass") as pid:
        assert main([verb, str(pid), *options]) == 1
        error = capsys.readouterr().err
        assert "has run Python within 0.5 s" in error
        assert "longer" not in error
        assert "a signal" not in error
        monkeypatch.setattr(_pyspy, "_path", lambda: "/nowhere")
        assert main([verb, str(pid), *options, "--json"]) == 1
        (advice,) = json.loads(capsys.readouterr().out)["error"]["advice"]
        assert advice == (
            "py-spy, which is not installed: `pip install py-spy`, then "
            f"`freezethreads dump {pid}` shows the stacks"
        )


def test_a_signal_lets_it_in(capsys: pytest.CaptureFixture[str]) -> None:
    """One that the program handles in Python, which the message names."""
    with locked("signal.signal(signal.SIGUSR1, lambda *_: None)") as pid:
        assert main(["attach", str(pid), "--timeout", "0.5"]) == 1
        assert "handlers, in Python or in C, for SIGUSR1; choose" in capsys.readouterr().err
        found: list[Any] = []
        thread = threading.Thread(target=lambda: found.append(outside.attach(pid, timeout=WAIT)))
        thread.start()
        while thread.is_alive():
            os.kill(pid, signal.SIGUSR1)
            thread.join(0.01)
        assert found
        detach(pid)


def test_one_comes_back_in_time() -> None:
    with Program() as program:
        answers: list[Any] = []
        thread = threading.Thread(target=lambda: answers.append(program.attach(timeout=WAIT)))
        thread.start()
        while thread.is_alive():
            program.ask("1")
        thread.join()
        assert answers[0].threads == 2
        detach(program.pid)


def test_the_main_thread_alone() -> None:
    """It is asked only when no other thread has answered."""
    with Program("main") as program:
        started = time.monotonic()
        program.attach()
        assert time.monotonic() - started >= outside._OTHERS_FIRST
        detach(program.pid)


def test_no_signal_is_lost() -> None:
    """Each is handled in the main thread, which runs, and is stopped and asked in the middle."""
    with Program("work", "main") as program:
        sent = itertools.count(1)
        for _ in range(20):
            program.attach()
            for number in itertools.islice(sent, 5):
                os.kill(program.pid, signal.SIGUSR1)
                wait_until(partial(program.ask, f"told[0] == {number}"))
            detach(program.pid)


def test_a_library_that_it_cannot_see(monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy is made for it, anew each time, and is removed at the end."""
    monkeypatch.setattr(Drop, "_can_read_the_package", lambda self: False)
    with Program("work", flags=["-S"]) as program:  # where none is installed
        for _ in range(2):
            program.attach()
            (folder,) = left()
            path = program.ask("sys.modules['freezethreads'].__path__[0]")
            assert path == f"/tmp/{folder}/freezethreads"
            with connect(program.pid) as client:
                assert client.request("stuck")["healthy"]  # which loads more of it
            detach(program.pid)
            wait_until(lambda: left() == [])


def test_a_program_that_has_the_library() -> None:
    """What it has is used, as it is, and stays."""
    with Program("work", "load") as program:
        before = program.ask("state()")["modules"]
        attached = program.attach()
        assert attached.where == "safepoint"
        detach(program.pid)
        after = program.ask("state()")["modules"]
        assert set(before) <= set(after)
        assert program.ask("sys.modules['freezethreads'].threads()") == []


def test_a_world_of_the_programs_own_keeps_nobody_attached() -> None:
    with Program("work", "load") as program:
        program.ask("namespace.update(one=sys.modules['freezethreads'].register())")
        program.ask("namespace.update(world=sys.modules['freezethreads'].freeze())")
        assert main(["threads", str(program.pid), "--attach"]) == 0
        with pytest.raises(NotServing):
            connect(program.pid)
        program.ask("[namespace['world'].thaw(), namespace.clear()]")


def test_one_that_serves_already(capsys: pytest.CaptureFixture[str]) -> None:
    with Program("work") as program:
        program.attach()
        with pytest.raises(ServesAlready, match="serves already: all commands work"):
            program.attach()
        detach(program.pid)
    with Program("work", "load") as program:
        program.ask("str(__import__('freezethreads').serve())")
        with pytest.raises(SystemExit, match="2"):
            main(["detach", str(program.pid)])
        assert "was not attached to: it serves by itself" in capsys.readouterr().err


def test_a_fork_in_the_middle() -> None:
    """The child does not serve, and can be attached to by itself."""
    with Program("work") as program:
        program.attach()
        program.ask("namespace.update(pipe=os.pipe())")
        child = program.ask("os.fork() or (os.read(pipe[0], 1), os._exit(0))")
        assert child not in find_processes()
        program.ask("os.write(pipe[1], b'x')")
        assert program.ask(f"os.waitpid({child}, 0)[1]") == 0
        detach(program.pid)
        assert program.ask("state()")["modules"] == []


def test_what_cannot_be_marked_is_refused() -> None:
    with Program("work") as program:
        with pytest.raises(AttachError, match="nowhere"):
            program.attach(atomic=[("nowhere.to.be.found", None)])
        assert program.ask("state()")["modules"] == []
        assert program.pid not in find_processes()


def test_marks_end_with_it() -> None:
    """Who is in atomic code does not stop; the next time, when nothing is marked, it does."""
    with Program("work") as program:
        program.attach(atomic=[("__main__:work", None)])
        with connect(program.pid) as client, pytest.raises(FreezeFailed) as caught:
            client.request("freeze", timeout=1.0)
        late = {straggler["name"] for straggler in caught.value.details["stragglers"]}
        assert late == {"worker 0", "worker 1"}
        detach(program.pid)
        program.attach()
        with connect(program.pid) as client:
            assert client.request("freeze", timeout=WAIT)["threads"] == 4
        detach(program.pid)


def test_many_threads() -> None:
    with Program("work") as program:
        start = "threading.Thread(target=time.sleep, args=(60,), daemon=True).start()"
        program.ask(f"[{start} for _ in range(200)]")
        assert program.attach().threads == 204
        with connect(program.pid) as client:
            assert client.request("freeze")["threads"] == 204
            client.request("thaw")
        detach(program.pid)


def test_a_deadlock_in_a_program_that_nobody_prepared(capsys: pytest.CaptureFixture[str]) -> None:
    with Program("work") as program:
        program.ask(
            "[namespace.update(a=threading.Lock(), b=threading.Lock(), both=threading.Barrier(2))]"
            " and None"
        )
        take = (
            "exec('''def take(one, two):\\n with one:\\n  both.wait()\\n  with two: pass\\n''', "
            "namespace)"
        )
        program.ask(take)
        for first, second in ("ab", "ba"):
            program.ask(
                f"threading.Thread(target=take, args=({first}, {second}), daemon=True).start()"
            )
        wait_until(lambda: program.ask("a.locked() and b.locked()"))
        wait_until(lambda: main(["stuck", str(program.pid), "--attach"]) == 1)
        assert "2 threads caught in a deadlock" in capsys.readouterr().out


def test_attached_for_a_while() -> None:
    with Program("work") as program:
        with attached(program.pid) as found:
            assert found.pid in find_processes()
        assert program.pid not in find_processes()
        assert program.ask("state()")["modules"] == []
