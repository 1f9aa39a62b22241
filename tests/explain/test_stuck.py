"""Why a program does not stop: each seeded one has one cause, which is found with its line.

Each is asked by the control socket, a few at a time, since most compute without an end; those
that are named in `KEPT` run on, and are asked by the command too.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from freezethreads._explain import render_diagnosis
from freezethreads._explain._causes import Cause
from freezethreads._ground.jsonable import from_json
from freezethreads._report.reports import Diagnosis
from freezethreads.control import connect
from helpers import HAS_GIL, ROOT, WAIT

# The first test starts and asks all programs, most of which compute.
pytestmark = pytest.mark.timeout(120)

FOLDER = ROOT / "tests" / "programs" / "stuck"
PROGRAMS = {path.stem: path for path in FOLDER.glob("*.py") if path.stem != "stage"}
HEALTHY = ("healthy", "stranger")
STUCK = sorted(set(PROGRAMS) - set(HEALTHY))
KEPT = ("long_sleep", "healthy")  # none that computes, all the time

# Without one, nobody may look into the frames of another thread.

# Without one each that computes takes all processors, and lets nobody answer for seconds.
AT_ONCE = 3 if HAS_GIL else 1

# What the advice has to speak of.
ADVICE = {
    "computing": "Put freezethreads.safepoint() into the loop",
    "waiting": "with freezethreads.blocking():",
    "join": "with freezethreads.blocking():",
    "c-call": "Split the call",
    "lock": "Release the lock before the safepoint",
    "no_freeze": "Make the no_freeze() region",
    "todo": "Make the todo shorter",
    "world": "Thaw sooner",
    "waker": "Have the waker end the wait",
    "ended": "catch the exception in the thread's own loop",
}


class Running:
    """The programs that run, and what was found out about each."""

    def __init__(self) -> None:
        self.processes: dict[str, subprocess.Popen[str]] = {}
        self.found: dict[str, dict[str, Any]] = {}
        self.states: dict[str, str] = {}

    def ask_all(self) -> None:
        with ThreadPoolExecutor(AT_ONCE) as pool:
            answers = pool.map(self.start_and_ask, PROGRAMS)
            self.found = dict(zip(PROGRAMS, answers, strict=True))

    def start_and_ask(self, name: str) -> dict[str, Any]:
        process = self.processes[name] = start(PROGRAMS[name])
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        with connect(process.pid) as client:
            answer = client.request("stuck", timeout=0.7)
        with connect(process.pid) as client:
            self.states[name] = client.hello["state"]
        if name not in KEPT:
            self.end(name)
        return answer

    def end(self, name: str) -> None:
        process = self.processes.pop(name)
        process.kill()
        process.communicate(timeout=WAIT)

    def command(self, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        pid = str(self.processes[name].pid)
        return subprocess.run(
            [sys.executable, "-m", "freezethreads", "stuck", pid, *arguments],
            capture_output=True,
            text=True,
            timeout=30,
            cwd=ROOT,
            check=False,
        )


def start(path: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    patch = pytest.MonkeyPatch()
    folder = tempfile.mkdtemp(prefix="ft-")  # short, as the path of a socket has to be
    patch.setenv("XDG_RUNTIME_DIR", folder)
    patch.setenv("PYTHONPATH", str(ROOT))
    programs = Running()
    try:
        programs.ask_all()
        yield programs
    finally:
        for name in list(programs.processes):
            programs.end(name)
        shutil.rmtree(folder)
        patch.undo()


def wanted(name: str) -> tuple[str, int]:
    """What a program's text says that has to be found: the cause and the line."""
    lines = PROGRAMS[name].read_text().splitlines()
    (line,) = (number for number, text in enumerate(lines, 1) if text.endswith("# here"))
    return lines[0].removeprefix('"""').partition(":")[0], line


def test_there_are_twelve_and_all_causes_of_a_single_thread_are_among_them() -> None:
    assert len(STUCK) >= 12
    elsewhere = {Cause.OUTSIDE, Cause.SLOW, Cause.CONTROLLER, Cause.SILENT, Cause.UNREGISTERED}
    # Which test_control_where and test_diagnosis have: they need CPython 3.12.
    elsewhere |= {Cause.SECTION, Cause.MARK}
    elsewhere |= {Cause.DEADLOCK}  # of several threads: test_deadlocks
    elsewhere |= {Cause.UNSERVED}  # test_remote_dump
    assert {wanted(name)[0] for name in STUCK} == {cause.value for cause in set(Cause) - elsewhere}
    assert set(ADVICE) == {wanted(name)[0] for name in STUCK}


@pytest.mark.parametrize("name", STUCK)
def test_the_cause_and_the_line_are_found(running: Running, name: str) -> None:
    cause, line = wanted(name)
    diagnosis = running.found[name]
    (finding,) = diagnosis["findings"]
    assert (finding["thread"], finding["cause"], finding["lineno"]) == ("culprit", cause, line)
    assert finding["filename"] == str(PROGRAMS[name])
    assert finding["line"].endswith("# here")
    assert finding["why"].startswith("culprit ")
    assert ADVICE[cause] in finding["advice"] or name == "plain_lock"
    assert not diagnosis["healthy"]
    assert diagnosis["threads"] >= 2


@pytest.mark.parametrize("name", ["nested_loops", "tight_loop", "child_process"])
def test_there_are_two_stacks(running: Running, name: str) -> None:
    (finding,) = running.found[name]["findings"]
    assert len(finding["stacks"]) == 2
    for stack in finding["stacks"]:
        assert str(PROGRAMS[name]) in [frame["filename"] for frame in stack]
        assert stack[-1]["function"] == "_bootstrap"


def test_what_a_wait_is_for_is_said(running: Running) -> None:
    def why(name: str) -> str:
        (finding,) = running.found[name]["findings"]
        return str(finding["why"])

    assert "waits in lock.acquire, at the beginning of `with lock:`" in why("plain_lock")
    assert "waits in `ours.recv`" in why("socket_recv")
    assert "waits in `child.wait` (in `os.waitpid` at subprocess.py:" in why("child_process")
    joined = "worker, which stands frozen" if HAS_GIL else "a thread"
    assert f"waits for the end of {joined}, in `thread.join`" in why("join_of_frozen")
    assert "held by owner, frozen by this freeze" in why("owned_lock")
    assert "inside a call of C, `hashlib.pbkdf2_hmac`: " in why("c_call")
    assert "it waits in `over.wait`" in why("long_todo")


@pytest.mark.parametrize("name", ["tight_loop", "socket_recv", "join_of_frozen", "c_call"])
def test_the_other_engine_is_named_where_it_helps(running: Running, name: str) -> None:
    (finding,) = running.found[name]["findings"]
    told = " --where unlocked`, or freeze(where='unlocked'), stops it" in finding["advice"]
    assert told == (sys.version_info >= (3, 12) and name != "c_call")


def test_a_plain_lock_is_not_to_be_put_into_a_blocking_region(running: Running) -> None:
    (finding,) = running.found["plain_lock"]["findings"]
    assert "blocking()" not in finding["advice"]
    assert "freezethreads.sync" in finding["advice"]


def test_where_a_call_of_c_may_be_one_of_many_the_loop_is_named_too(running: Running) -> None:
    """Whether it ever returns nothing tells."""
    (finding,) = running.found["many_c_calls"]["findings"]
    loop = f"{PROGRAMS['many_c_calls']}:{wanted('many_c_calls')[1] - 1}"
    advice = f"If it is one of many, put freezethreads.safepoint() into the loop at {loop}."
    assert advice in finding["advice"]
    (finding,) = running.found["c_call"]["findings"]
    assert "one of many" not in finding["advice"]


def test_a_healthy_program_is_healthy(running: Running) -> None:
    diagnosis = running.found["healthy"]
    assert diagnosis["healthy"]
    assert diagnosis["threads"] == 4
    assert (diagnosis["findings"], diagnosis["warnings"]) == ([], [])


def test_who_is_not_registered_and_goes_on_is_a_warning(running: Running) -> None:
    diagnosis = running.found["stranger"]
    assert diagnosis["healthy"]
    (warning,) = diagnosis["warnings"]
    assert (warning["thread"], warning["lineno"]) == ("culprit", wanted("stranger")[1])
    assert (warning["cause"], wanted("stranger")[0]) == ("unregistered", "unregistered")


def test_all_are_let_go(running: Running) -> None:
    assert set(PROGRAMS) <= set(running.states)
    theirs = {name: "frozen" for name in ("own_world", "region_in_world")}
    assert running.states == {name: theirs.get(name, "running") for name in PROGRAMS}


def test_the_command_says_that_all_is_well(running: Running) -> None:
    result = running.command("healthy")
    assert (result.returncode, result.stderr) == (0, "")
    assert "healthy. 4 threads stopped within " in result.stdout
    _, line = result.stdout.splitlines()
    assert line == "  1 thread is not registered with freezer 'default', nor waited for: MainThread"


def test_a_hold_that_stands_is_told(running: Running) -> None:
    """Who asks why nothing moves has the answer there."""
    with connect(running.processes["healthy"].pid) as client:
        client.request("freeze", reason="lunch")
        diagnosis = client.request("stuck")
    assert diagnosis["healthy"]
    (freeze,) = diagnosis["freezes"]
    assert (freeze["kind"], freeze["reason"], freeze["stands"]) == ("hold", "lunch", True)
    second = render_diagnosis(from_json(Diagnosis, diagnosis)).splitlines()[1]
    assert re.fullmatch(r"  a hold by \S+ for 'lunch' stands for [\d.]+ m?s", second)


def test_the_command_says_what_is_wrong(running: Running) -> None:
    result = running.command("long_sleep", "--timeout", "0.2")
    assert (result.returncode, result.stderr) == (1, "")
    where = f"{PROGRAMS['long_sleep'].relative_to(ROOT)}:{wanted('long_sleep')[1]}"
    assert "1 of 2 threads did not stop" in result.stdout
    assert f"culprit: waiting at {where}\n    time.sleep(3600)  # here\n" in result.stdout
    assert f"Wrap this call in `with freezethreads.blocking():` at {where}." in result.stdout


def test_a_process_that_is_not_there(running: Running) -> None:
    process = start(PROGRAMS["healthy"])
    process.kill()
    process.communicate(timeout=WAIT)
    running.processes["gone"] = process
    result = running.command("gone")
    del running.processes["gone"]
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == f"freezethreads stuck: there is no process {process.pid}\n"
