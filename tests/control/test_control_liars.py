"""Servers that lie: whatever is answered, a command says in a line what is wrong, or does well."""

from __future__ import annotations

import copy
import functools
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from control_programs import runtime as runtime
from freezethreads import Freezer, cli
from freezethreads.cli import main
from freezethreads.control import ControlError, FreezeFailed, _client, connect
from freezethreads.control._requests import REQUESTS
from freezethreads.control._spoken import SPOKEN
from freezing import looping, puppet
from helpers import start

ME = os.getpid()

Answers = dict[str, Any]


@pytest.fixture(autouse=True)
def no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be understood may be the last of a process that ends: not so here."""
    monkeypatch.setattr(_client, "ends", lambda pid: False)
    monkeypatch.setattr("freezethreads.cli._pyspy._path", lambda: "")
    # Commands by the thousand: the parser, which takes longer than they do, is made once.
    monkeypatch.setattr(cli, "_make_parser", functools.cache(cli._make_parser))


@pytest.fixture
def true(runtime: Path) -> Answers:
    """What a process with threads of all kinds answers to each request, and to a late freeze."""
    freezer = Freezer("served")
    answers: Answers = {}
    with freezer.serve(), looping(freezer, 1), connect(ME) as client:
        with puppet(freezer):
            with pytest.raises(FreezeFailed) as caught:
                client.request("freeze", timeout=0.05)
            details = {"stragglers": caught.value.details["stragglers"]}
            answers["late"] = {"error": {"kind": "timeout", "message": "late", **details}}
            answers["stuck"] = {"result": client.request("stuck", timeout=0.05)}
        for name in ("freeze", "renew", "hello", "threads", "stacks", "sites", "statistics"):
            answers[name] = {"result": client.request(name)}
        answers["thaw"] = {"result": client.request("thaw")}
    return answers


class Liar:
    """Listens in the place of a process, and answers each request as it was told to."""

    def __init__(self, path: Path, answers: Answers) -> None:
        self.answers = {name: encoded(answer) for name, answer in answers.items()}
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        self._worker = start(self._listen)

    def _listen(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            with connection, connection.makefile("rb") as lines:
                for line in lines:
                    name = json.loads(line)["request"]
                    if name == "end":
                        return
                    try:
                        connection.sendall(self.answers[name])
                    except BrokenPipeError:
                        break

    def end(self, path: Path) -> None:
        with socket.socket(socket.AF_UNIX) as last:
            last.connect(str(path))
            last.sendall(b'{"request": "end"}\n')
        self._worker.finish()
        self._listener.close()


def encoded(answer: Any) -> bytes:
    return json.dumps({"version": 1, **answer}).encode() + b"\n"


@contextmanager
def lying(runtime: Path, answers: Answers) -> Iterator[Liar]:
    path = runtime / f"{ME}.sock"
    liar = Liar(path, answers)
    try:
        yield liar
    finally:
        liar.end(path)


WRONG_VALUES: list[Any] = [None, [], {}, [[]], "x\x1b", -1, 0, 1.5, True, 10**30, 1e308]


def lies(answer: Any) -> Iterator[Any]:
    """The answer with one thing in it changed or left out: each in turn, in each way."""
    for path in paths_in(answer, ()):
        for value in WRONG_VALUES:
            yield changed(answer, path, value)
        yield changed(answer, path)


def paths_in(value: Any, path: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
    """Where there is something in it; of a list, in its first entry."""
    if path:
        yield path
    if isinstance(value, dict):
        for key in value:
            yield from paths_in(value[key], (*path, key))
    elif isinstance(value, list) and value:
        yield from paths_in(value[0], (*path, 0))


def changed(answer: Any, path: tuple[Any, ...], *value: Any) -> Any:
    """A copy with another value there, or none."""
    whole = copy.deepcopy(answer)
    inner = whole
    for key in path[:-1]:
        inner = inner[key]
    if value:
        inner[path[-1]] = value[0]
    else:
        del inner[path[-1]]
    return whole


def refuse_constant(name: str) -> None:
    raise AssertionError(f"{name} is no JSON")


def check_command(capsys: pytest.CaptureFixture[str], *arguments: str) -> int:
    """Run one: it ends with a status, a line that says why, and one that says what next, at most.
    Its JSON is JSON."""
    try:
        status = main([arguments[0], str(ME), *arguments[1:]])
    except SystemExit as ended:
        status = int(ended.code or 0)
    out, err = capsys.readouterr()
    assert status in (0, 1, 2)
    assert err.count("\n") <= 2
    assert "\x1b" not in out + err
    if "--json" in arguments:
        assert isinstance(json.loads(out, parse_constant=refuse_constant), dict)
    return status


# The request whose answer is changed, and a command that makes it.
COMMANDS = {
    "hello": ("threads", ()),
    "threads": ("threads", ()),
    "sites": ("sites", ()),
    "freeze": ("freeze", ()),
    "late": ("freeze", ()),
    "thaw": ("thaw", ()),
    "stacks": ("dump", ("--no-freeze",)),
    "stuck": ("stuck", ()),
}


@pytest.mark.parametrize("json", [(), ("--json",)], ids=["text", "json"])
@pytest.mark.parametrize("name", COMMANDS)
def test_whatever_one_thing_is_a_lie(
    runtime: Path,
    true: Answers,
    capsys: pytest.CaptureFixture[str],
    name: str,
    json: tuple[str, ...],
) -> None:
    verb, options = COMMANDS[name]
    asked = "freeze" if name == "late" else name
    refused = 0
    with lying(runtime, {**true, asked: true[name]}) as liar:
        honest = check_command(capsys, verb, *options, *json)
        for lie in lies(true[name]):
            liar.answers[asked] = encoded(lie)
            refused += check_command(capsys, verb, *options, *json) == 2
    assert (honest, refused > 20) == ({"late": 1, "stuck": 1}.get(name, 0), True)


def test_a_dump_that_freezes(
    runtime: Path,
    true: Answers,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with lying(runtime, true) as liar:
        assert check_command(capsys, "dump", "--json") == 0
        for asked, name in (("freeze", "freeze"), ("freeze", "late"), ("thaw", "thaw")):
            for lie in islice(lies(true[name]), None, None, 5):
                liar.answers[asked] = encoded(lie)
                check_command(capsys, "dump", "--json")
            liar.answers[asked] = encoded(true[asked])


NONSENSE = {
    "infinite": b'{"version": 1, "result": {"thawed": 1e999, "freezers": []}}\n',
    "many": b'{"version": 1, "result": {"thawed": 1, "freezers": ['
    + b"[]," * 3_000_000
    + b"0]}}\n",
    "deep": b'{"version": 1, "result": ' + b"[" * 100_000 + b"\n",
    "nothing": b'{"version": 1}\n',
    "both": b'{"version": 1, "result": {}, "error": {"kind": "x", "message": "y"}}\n',
}


@pytest.mark.parametrize("name", NONSENSE)
def test_nonsense(
    runtime: Path, true: Answers, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    with lying(runtime, true) as liar:
        liar.answers["thaw"] = NONSENSE[name]
        assert check_command(capsys, "thaw", "--json") == 2
        assert check_command(capsys, "thaw") == 2


def test_the_error_says_what_is_wrong_and_where(runtime: Path, true: Answers) -> None:
    with lying(runtime, true) as liar, connect(ME) as client:
        freezer = {"name": "x", "threads": "many", "state": "running", "freezes": []}
        liar.answers["thaw"] = encoded({"result": {"thawed": 1, "freezers": [freezer]}})
        match = f"^process {ME} said what cannot be understood: in an answer to 'thaw', "
        with pytest.raises(ControlError, match=match + r"freezers\.0\.threads is no whole number"):
            client.request("thaw")
        liar.answers["thaw"] = encoded({"result": {}})
        with pytest.raises(ControlError, match=match + "it has no 'thawed'"):
            client.request("thaw")


def test_what_is_spoken_is_what_can_be_asked(true: Answers) -> None:
    assert set(SPOKEN) == set(REQUESTS) == set(true) - {"late"}


def test_what_a_later_version_adds_is_no_lie(runtime: Path, true: Answers) -> None:
    more = copy.deepcopy(true)
    more["threads"]["result"]["threads"][0]["more"] = more["hello"]["result"]["more"] = [1]
    with lying(runtime, more), connect(ME) as client:
        assert client.request("threads") == more["threads"]["result"]


def test_an_answer_that_no_client_would_take_is_an_error(
    runtime: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server says so, rather than what is refused as a lie."""
    freezer = Freezer("served")
    with freezer.serve(), connect(ME) as client, puppet(freezer):
        with pytest.raises(FreezeFailed, match="1 of 1 threads did not stop") as late:
            client.request("freeze", timeout=0.01)
        details = len(json.dumps(late.value.details))
        longest = len(str(late.value)) + details // 2  # the message fits, and the details do not
        monkeypatch.setattr("freezethreads.control._server.LONGEST_ANSWER", longest)
        with pytest.raises(FreezeFailed, match="1 of 1 threads did not stop") as late:
            client.request("freeze", timeout=0.01)
        assert late.value.details == {}
        monkeypatch.setitem(REQUESTS, "much", lambda session, arguments: {"x": "y" * longest})
        with pytest.raises(ControlError, match="too much to say in one answer: it has ") as told:
            client.request("much")
        assert getattr(told.value, "kind", "") == "too long"
