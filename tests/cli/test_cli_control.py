"""ps, threads, freeze, thaw and sites, on a process of its own."""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from commands import Captured, fail, say
from control_programs import PREAMBLE, SERVE, STAY, Program, program
from control_programs import runtime as runtime
from control_programs import served as served
from control_programs import serving as serving
from control_programs import shared as shared
from freezethreads.cli import _freeze, main
from freezethreads.cli._threads import threads_table
from freezethreads.control import Client, Serving, connect
from helpers import ROOT, wait_until
from machine import needs_monitoring

VERBS = ("ps", "threads", "freeze", "thaw", "sites")


@pytest.fixture
def own(runtime: Path) -> Iterator[Program]:
    """A program of a test's own, which may end it and knows all that was done with it."""
    with program() as own:
        yield own


def test_ps(capsys: Captured, served: Program) -> None:
    header, line = say(capsys, "ps").splitlines()
    assert header.split() == ["PID", "REGISTERED", "OTHERS", "STATE", "COMMAND"]
    pid, registered, others, state, command = line.split(None, 4)
    assert (pid, registered, others, state) == (str(served.pid), "2", "1", "running")
    assert command.startswith(f"{os.path.basename(sys.executable)} -c ")
    (process,) = json.loads(say(capsys, "ps", "--json"))["processes"]
    assert (process["pid"], process["threads"], process["others"]) == (served.pid, 2, 1)


def test_ps_when_nobody_serves(capsys: Captured, runtime: Path) -> None:
    assert say(capsys, "ps") == "no process of this user serves\n"
    assert json.loads(say(capsys, "ps", "--json")) == {"processes": []}


def test_ps_shows_one_that_does_not_answer(
    capsys: Captured, own: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("freezethreads.cli._ps._PATIENCE", 0.1)
    os.kill(own.pid, signal.SIGSTOP)
    _, line, why = say(capsys, "ps").splitlines()
    assert line.split()[:5] == [str(own.pid), "-", "-", "no", "answer"]
    assert why.startswith(f"process {own.pid} did not answer within 0.1 s")
    (process,) = json.loads(say(capsys, "ps", "--json"))["processes"]
    assert process["why"] == why
    if Path("/proc").is_dir():
        assert f"no answer  {os.path.basename(sys.executable)} -c " in line
        assert process["command"][1] == "-c"


def test_an_interrupt_of_ps_ends_it_quietly(
    capsys: Captured, served: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(pid: int) -> None:
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr("freezethreads.cli._ps._ask", interrupt)
    assert fail(capsys, "ps") == (130, "")


def test_ps_removes_what_a_killed_process_left(capsys: Captured, own: Program) -> None:
    own.kill()
    assert os.path.exists(own.socket)
    assert say(capsys, "ps") == "no process of this user serves\n"
    assert not os.path.exists(own.socket)


def test_threads(capsys: Captured, served: Program) -> None:
    summary, header, *lines = say(capsys, "threads", served.pid).splitlines()
    assert summary == f"process {served.pid}: 2 registered threads, 1 other, running"
    assert header.split() == ["NAME", "STATE", "SITE", "GROUP", "SECONDS", "TODOS"]
    assert [line.split()[:2] for line in lines[:2]] == [["one", "running"], ["two", "running"]]
    last = f"<string>:{len(STAY.splitlines())}"  # where the main thread waits
    assert [line.split() for line in lines[2:]] == [
        ["MainThread", "unregistered", "at", last, *"---"]
    ]
    answer = json.loads(say(capsys, "threads", served.pid, "--json"))
    assert [thread["name"] for thread in answer["threads"]] == ["one", "two"]
    (other,) = answer["unregistered"]
    assert (other["name"], other["native_id"]) == ("MainThread", served.pid)
    assert other["line"] == {
        "filename": "<string>",
        "lineno": len(STAY.splitlines()),
        "function": "<module>",
    }
    assert {thread["line"]["function"] for thread in answer["threads"]} == {"loop"}


def test_threads_of_an_older_version_are_shown_without_their_lines() -> None:
    row = {"name": "one", "state": "running", "site": None, "group": "", "seconds": None}
    answer = {"threads": [{**row, "todo_pending": 0}], "unregistered": [{"name": "other"}]}
    _, *lines = threads_table(answer, argparse.Namespace(wide=True)).splitlines()
    assert [line.split() for line in lines] == [
        ["one", "running", *"---0"],
        ["other", "unregistered", *"----"],
    ]


FOREIGN = """
import _thread
begun = _thread.allocate_lock()
begun.acquire()
def stay():
    print(_thread.get_ident(), flush=True)
    begun.release()
    while True:
        time.sleep(0.001)
_thread.start_new_thread(stay, ())
begun.acquire()
"""


def test_a_thread_that_threading_does_not_know(capsys: Captured, runtime: Path) -> None:
    served = Program("-c", PREAMBLE + FOREIGN + SERVE + "sys.stdin.read()")
    try:
        ident = served.line()
        assert served.line() == "ready"
        table = say(capsys, "threads", served.pid).splitlines()
        (line,) = (line for line in table if line.startswith(f"thread {ident}"))
        assert line.split()[2] == "unregistered"
        said = say(capsys, "stuck", served.pid)
        assert f"warning: thread {ident}: unregistered at <string>:" in said
        assert f"\nthread {ident} (ident {ident}" in say(capsys, "dump", served.pid)
    finally:
        served.kill()


def test_freeze_and_thaw(capsys: Captured, served: Program) -> None:
    told = say(capsys, "freeze", served.pid, "--reason", "to look", "--lease", 30)
    stand, others = told.rstrip("\n").split("; ")
    assert stand == f"process {served.pid}: 2 threads stand for 30 s, or until a thaw"
    how = "(`--where unlocked`, from CPython 3.12 on, stops it too)"
    assert others == f"1 other, which is not registered with freezer 'default', goes on {how}"
    summary, by, _, *lines, _ = say(capsys, "threads", served.pid).splitlines()
    assert summary.endswith("2 registered threads, 1 other, frozen")
    assert "a hold by freezethreads-control-for-" in by
    assert by.endswith("for 'to look'")
    assert [line.split()[:3] for line in lines] == [
        ["one", "frozen", "safepoint"],
        ["two", "frozen", "safepoint"],
    ]
    assert all("safepoint 'between two counts' at <string>:" in line for line in lines)
    assert say(capsys, "thaw", served.pid) == f"process {served.pid}: thawed\n"
    assert say(capsys, "threads", served.pid).splitlines()[0].endswith("running")
    told = say(capsys, "thaw", served.pid)
    assert told == f"process {served.pid}: nothing was frozen from outside\n"


def test_thaw_names_who_holds_on(capsys: Captured, own: Program) -> None:
    """It cannot end what another command holds, and does not say that nothing is frozen."""
    how = "as `freezethreads freeze --wait` does, until that ends"
    holds = f"process {os.getpid()} holds it, {how}"
    with connect(own.pid) as client:
        client.request("freeze")
        assert main(["thaw", str(own.pid)]) == 1
        first, second, by = capsys.readouterr().out.splitlines()
        assert first == f"process {own.pid}: not thawed: {holds}"
        assert second.endswith(", frozen")
        assert by.startswith(f"  a hold by freezethreads-control-for-{os.getpid()} stands")
        say(capsys, "freeze", own.pid)
        assert main(["thaw", str(own.pid), "--json"]) == 1
        answer = json.loads(capsys.readouterr().out)
        assert (answer["thawed"], answer["held_by"]) == (1, [os.getpid()])
        say(capsys, "freeze", own.pid)
        assert main(["thaw", str(own.pid)]) == 1
        assert f": thawed, but not all: {holds}\n" in capsys.readouterr().out
        assert client.request("thaw", own=True)["held_by"] == []
    assert say(capsys, "thaw", own.pid) == f"process {own.pid}: nothing was frozen from outside\n"


def test_freeze_says_that_nobody_is_there(capsys: Captured, served: Program) -> None:
    """Whose group is misspelt reads it."""
    who = "no thread is registered in group 'nobody'; all threads are in the group ''"
    told = say(capsys, "freeze", served.pid, "--group", "nobody")
    assert told == f"process {served.pid}: {who}; who comes stands for 60 s, or until a thaw\n"


def test_freeze_says_which_groups_there_are(capsys: Captured, runtime: Path) -> None:
    moves = "freezethreads.register('main', group='io.disk')\n"
    with program("import sys, freezethreads\n" + moves + SERVE + "sys.stdin.read()") as served:
        told = say(capsys, "freeze", served.pid, "--group", "oi")
        assert "no thread is registered in group 'oi'; there is 'io.disk'; who comes" in told


def test_freeze_says_who_may_be_in_the_middle_of_something(
    capsys: Captured, served: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = Client.request
    waits = [{"name": f"w{n}", "kind": "wait", "what": f"wait 'get' at x:{n}"} for n in range(6)]
    holds = {"name": "h", "kind": "section", "what": f"a section of lock, at {ROOT}/tests/x.py:9"}

    def caught(self: Client, name: str, **arguments: object) -> dict[str, Any]:
        return {**request(self, name, **arguments), "caught": [*waits, holds]}

    monkeypatch.setattr(Client, "request", caught)
    first, *told, last = say(capsys, "freeze", served.pid).splitlines()
    assert first.startswith(f"process {served.pid}: 2 threads stand for 60 s, or until a thaw")
    assert told[0] == "  h stands in a section of lock, at tests/x.py:9"
    assert f"at {ROOT}/tests/x.py:9" in say(capsys, "freeze", served.pid, "--wide")
    assert told[1:5] == [f"  w{n} stands in a wait 'get' at x:{n}" for n in range(4)]
    assert told[5:] == ["  2 more stand in sections or waits (--json names them)"]
    assert last.startswith("  What they do may be half done: --settled KIND stops nobody inside")


def test_freeze_takes_several_groups(capsys: Captured, served: Program) -> None:
    told = say(capsys, "freeze", served.pid, "--group", "io", "--group", "log")
    assert "no thread is registered in group 'io' or 'log'; all threads are in" in told
    assert "a hold of groups 'io', 'log' by " in say(capsys, "threads", served.pid)
    say(capsys, "thaw", served.pid)
    told = say(capsys, "freeze", served.pid, "--group", "io", "--group", "")
    assert told.startswith(f"process {served.pid}: 2 threads stand for 60 s")


def test_freeze_and_threads_of_an_older_process(
    capsys: Captured, served: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It does not say who else there is, and nothing is said of that."""
    request = Client.request

    def older(self: Client, name: str, **arguments: object) -> dict[str, Any]:
        answer = request(self, name, **arguments)
        for one in answer, answer.get("freezer"):
            if isinstance(one, dict):
                one.pop("others", None)
                one.pop("groups", None)
        return answer

    monkeypatch.setattr(Client, "request", older)
    told = say(capsys, "freeze", served.pid)
    assert told == f"process {served.pid}: 2 threads stand for 60 s, or until a thaw\n"
    told = say(capsys, "threads", served.pid)
    assert told.startswith(f"process {served.pid}: 2 threads, frozen\n")
    assert "'nobody'; who comes" in say(capsys, "freeze", served.pid, "--group", "nobody")


def test_json_of_freeze_and_thaw(capsys: Captured, served: Program) -> None:
    answer = json.loads(say(capsys, "freeze", served.pid, "--json", "--group", "nobody"))
    assert (answer["threads"], answer["lease"]) == (0, 60)
    assert json.loads(say(capsys, "thaw", served.pid, "--json"))["thawed"] == 1


def test_sites(capsys: Captured, own: Program) -> None:
    told = say(capsys, "sites", own.pid)
    assert told == f"process {own.pid}: nobody was stopped yet\n"
    say(capsys, "freeze", own.pid)
    header, line = say(capsys, "sites", own.pid).splitlines()
    assert header.split() == ["HITS", "KIND", "LABEL", "WHERE", "FUNCTION"]
    assert line.split(None, 2)[:2] == ["2", "safepoint"]
    assert "between two counts" in line
    (site,) = json.loads(say(capsys, "sites", own.pid, "--json"))["sites"]
    assert (site["hits"], site["function"]) == (2, "loop")


def test_what_the_program_itself_has_frozen_stays(capsys: Captured, runtime: Path) -> None:
    code = PREAMBLE + "hold = freezethreads.hold(reason='its own')\n" + SERVE + "sys.stdin.read()"
    with program(code) as served:
        first, second, third = say(capsys, "thaw", served.pid).splitlines()
        assert first.endswith("nothing was frozen from outside")
        assert second == "default: 2 registered threads, 1 other, frozen"
        assert third.startswith("  a hold by MainThread stands, ")
        assert third.endswith(", for 'its own'")


LATE = PREAMBLE + """
def work():
    with freezethreads.register("la\\x1bte"):
        while True: time.sleep(0.001)
threading.Thread(target=work, daemon=True).start()
while len(freezethreads.threads()) < 3: time.sleep(0.001)
""" + SERVE + "sys.stdin.read()"  # fmt: skip


def test_a_freeze_that_fails(capsys: Captured, runtime: Path) -> None:
    with program(LATE) as served:
        arguments = ("freeze", served.pid, "--timeout", 0.5)
        status, err = fail(capsys, *arguments)
        first, straggler, last = err.splitlines()
        assert last == f"`freezethreads stuck {served.pid}` tells why, and what would help"
        assert status == 1
        assert first.startswith(f"freezethreads freeze: process {served.pid}: 1 of 3 threads ")
        assert straggler.startswith("  la\\x1bte (")
        assert main([str(one) for one in (*arguments, "--json")]) == 1
        error = json.loads(capsys.readouterr().out)["error"]
        assert (error["kind"], error["stragglers"][0]["name"]) == ("timeout", "la\x1bte")
        assert say(capsys, "threads", served.pid).splitlines()[0].endswith("running")


WRONG: dict[tuple[object, ...], str] = {
    ("freeze",): "PID",
    ("freeze", "x"): "must be the number of a process, not 'x'",
    ("freeze", "0"): "must be the number of a process, not '0'",
    ("freeze", "-5"): "-5",
    ("freeze", "9" * 5000): "must be the number of a process",
    ("freeze", 1, "--lease", "0"): "--lease: must be a number of seconds above 0",
    ("freeze", 1, "--timeout", "x"): "--timeout: must be a number of seconds above 0",
    ("threads", 2**31 - 1): f"there is no process {2**31 - 1}",
    ("thaw", 2**31 - 1): "there is no process",
    ("sites", "this process"): "does not serve",
    ("threads", 1, "--watch"): "--watch needs a terminal",
    ("threads", 1, "--watch", "--json"): "not allowed with",
}


@pytest.mark.parametrize("arguments", WRONG, ids=lambda words: " ".join(map(str, words))[:40])
def test_wrong_use(capsys: Captured, runtime: Path, arguments: tuple[object, ...]) -> None:
    words = (os.getpid() if word == "this process" else word for word in arguments)
    status, err = fail(capsys, *words)
    assert (status, err.count("\n")) == (2, 1)
    assert err.startswith(f"freezethreads {arguments[0]}: ")
    assert WRONG[arguments] in err


def test_a_wrong_argument_is_found_by_the_process(capsys: Captured, served: Program) -> None:
    status, err = fail(capsys, "freeze", served.pid, "--group", "a..b")
    assert (status, err.count("\n")) == (2, 1)
    assert "group must be a dotted name" in err


@pytest.mark.parametrize("verb", VERBS)
def test_help_has_an_example(capsys: Captured, verb: str) -> None:
    with pytest.raises(SystemExit) as ended:
        main([verb, "--help"])
    out = capsys.readouterr().out
    assert ended.value.code == 0
    assert "example" in out
    assert f"freezethreads {verb}" in out.partition("example")[2]


# As a person gives them.


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_freeze_that_waits(own: Program, number: signal.Signals) -> None:
    arguments = ("freeze", str(own.pid), "--wait", "--lease", "1")
    with connect(own.pid) as client:
        client.request("freeze", keep=True, group="nobody")
    waiting = Program("-m", "freezethreads", *arguments)
    try:
        stand = f"process {own.pid}: 2 threads stand until Ctrl-C; 1 other, "
        assert waiting.line().startswith(stand)
        with connect(own.pid) as client:
            if number == signal.SIGINT:  # it was renewed by then
                wait_until(lambda: _seconds_of_freeze(client) > 1.2)
            os.kill(waiting.pid, number)
            wait_until(lambda: len(_freezes(client)) == 1)
            assert client.request("statistics")["statistics"]["lease_expiries"] == 0
            assert client.request("thaw")["thawed"] == 1, "what another has frozen is its own"
        assert waiting.end() == (-number if number == signal.SIGKILL else 0, "")
    finally:
        waiting.kill()


def test_a_signal_that_comes_as_soon_as_it_stands(
    served: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever reads that may send one before anything else is done."""
    monkeypatch.setattr(_freeze, "say", lambda text: os.kill(os.getpid(), signal.SIGINT))
    assert main(["freeze", str(served.pid), "--wait"]) == 0


def _seconds_of_freeze(client: Client) -> float:
    seconds: float = _freezes(client)[-1]["seconds"]
    return seconds


def _freezes(client: Client) -> list[dict[str, Any]]:
    freezes: list[dict[str, Any]] = client.request("threads")["freezer"]["freezes"]
    return freezes


# Where threads are stopped.

COMPUTES = """
import sys, threading
import freezethreads
def compute():
    while True:
        pass
threading.Thread(target=compute, name="computes", daemon=True).start()
lock = threading.Lock()
def hold():
    with lock:
        compute()
if sys.argv[1:]:
    threading.Thread(target=hold, name="holds", daemon=True).start()
    while not lock.locked():
        pass
"""


@needs_monitoring
def test_freeze_where_nobody_is_registered(capsys: Captured, runtime: Path) -> None:
    with program(COMPUTES + SERVE + "sys.stdin.read()") as served:
        told = say(capsys, "freeze", served.pid, "--where", "unlocked")
        assert (
            told == f"process {served.pid}: 2 threads stand (unlocked) for 60 s, or until a thaw\n"
        )
        assert say(capsys, "ps").splitlines()[1].split()[1:5] == ["0", "2", "frozen", "(unlocked)"]
        summary, by, _, *lines = say(capsys, "threads", served.pid).splitlines()
        assert summary.endswith("0 registered threads, 2 others, frozen")
        assert by.startswith("  a hold (unlocked) by freezethreads-control-for-")
        assert sorted(line.split()[:3] for line in lines) == [
            ["MainThread", "unregistered,", "frozen"],
            ["computes", "unregistered,", "frozen"],
        ]
        assert "\n  a hold (unlocked) by " in say(capsys, "dump", served.pid, "--no-freeze")
        say(capsys, "thaw", served.pid)
        assert say(capsys, "ps").splitlines()[1].split()[1:4] == ["0", "2", "running"]
        told = say(capsys, "freeze", served.pid)
        assert told.endswith(
            ": no thread is registered; who comes stands for 60 s, or until a thaw; 2 threads, "
            "which are not registered with freezer 'default', go on (`--where unlocked`, from "
            "CPython 3.12 on, stops them too)\n"
        )
        assert "healthy. 2 threads" in say(capsys, "stuck", served.pid, "--where", "anywhere")


@needs_monitoring
def test_stuck_in_a_section(capsys: Captured, runtime: Path) -> None:
    with program(COMPUTES + SERVE + "sys.stdin.read()", "holds") as served:
        arguments = ["stuck", str(served.pid), "--where", "unlocked", "--timeout", "0.5"]
        assert main(arguments) == 1
        out = capsys.readouterr().out
        assert "1 of 3 threads did not stop" in out
        assert "\nholds: section at <string>:" in out
        assert (
            "  holds is in a section of lock, at <string>:10 in hold; it computes there.\n" in out
        )
        assert main(["freeze", str(served.pid), "--where", "unlocked", "--timeout", "0.5"]) == 1
        err = capsys.readouterr().err
        assert "it is in a section of lock, at <string>:10" in err
        assert f"\n`freezethreads stuck {served.pid} --where unlocked` tells why" in err
        assert main(["dump", str(served.pid), "--where", "unlocked", "--timeout", "0.5"]) == 1
        assert (
            f"`freezethreads stuck {served.pid} --where unlocked` tells" in capsys.readouterr().out
        )
        out = say(capsys, "dump", served.pid, "--where", "anywhere")
        assert "1 did not stop" not in out
        assert re.search(r"\nholds \(.*\): not registered, FROZEN for .* at anywhere ", out), out


@pytest.mark.parametrize("verb", ["freeze", "stuck"])
def test_an_older_process_does_not_know_where(
    capsys: Captured, serving: Serving, verb: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which is found before it is asked; and what such a one says is understood."""
    monkeypatch.setattr("freezethreads.control._describe.usual_where", lambda freezer: None)
    status, err = fail(capsys, verb, os.getpid(), "--where", "unlocked")
    assert status == 2
    assert err.endswith(
        "runs an older version, which stops threads at safepoints alone: leave out --where\n"
    )
    assert serving.freezer.statistics().freezes == 0
    say(capsys, verb, os.getpid())


@pytest.mark.parametrize("verb", ["freeze", "stuck"])
def test_a_wrong_place_is_refused(capsys: Captured, verb: str) -> None:
    status, err = fail(capsys, verb, 1, "--where", "up")
    assert status == 2
    assert "argument --where: invalid choice: 'up'" in err
