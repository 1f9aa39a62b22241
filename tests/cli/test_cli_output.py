"""What the commands that talk to a process print, wherever to, and what becomes of it there."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from commands import print_to
from control_programs import STAY, Program, program, script
from control_programs import runtime as runtime
from freezethreads._ground.text import clean
from freezethreads.cli import main
from freezethreads.cli._table import table_of

Captured = pytest.CaptureFixture[str]


@pytest.fixture
def served(runtime: Path) -> Iterator[Program]:
    with program() as served:
        yield served


@pytest.mark.parametrize("verb", ["threads", "freeze", "thaw", "sites"])
def test_what_goes_wrong_is_an_object_as_well(capsys: Captured, runtime: Path, verb: str) -> None:
    with pytest.raises(SystemExit, match="2"):
        main([verb, str(2**31 - 1), "--json"])
    out, err = capsys.readouterr()
    message = f"there is no process {2**31 - 1}"
    assert json.loads(out) == {"error": {"kind": "no such process", "message": message}}
    assert err == f"freezethreads {verb}: {message}\n"


def test_freeze_that_waits_prints_one_object_alone(served: Program) -> None:
    waiting = Program("-m", "freezethreads", "freeze", str(served.pid), "--wait", "--json")
    try:
        lines = []
        while "}" not in lines:
            lines.append(waiting.line())
        assert json.loads("".join(lines))["threads"] == 2
        served.kill()
        out, err = waiting.process.communicate()
        assert (out, err.count("\n")) == ("", 1)
    finally:
        waiting.kill()


def test_a_reader_that_has_gone_is_no_error(served: Program) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    assert print_to(writing, "threads", served.pid) == (0, "")
    assert print_to(writing, "--version", PYTHONUNBUFFERED="1") == (0, "")
    os.close(writing)


def test_a_place_that_is_full_is_one(served: Program) -> None:
    with open("/dev/full", "w") as full:
        errors = "freezethreads: cannot print: No space left on device\n"
        assert print_to(full.fileno(), "threads", served.pid) == (1, errors)


def test_a_name_that_cannot_be_encoded_is_escaped(runtime: Path, tmp_path: Path) -> None:
    name = "\N{SNOWFLAKE}"
    with open(tmp_path / "out", "w+b") as out, program(STAY.replace("two", name)) as served:
        arguments = (out.fileno(), "threads", served.pid)
        assert print_to(*arguments, PYTHONIOENCODING="latin-1") == (0, "")
        out.seek(0)
        assert b"\n\\u2744 " in out.read()


@pytest.mark.parametrize("verb", ["threads", "sites", "dump"])
def test_paths_are_short_unless_whole_ones_are_asked_for(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch, runtime: Path, tmp_path: Path, verb: str
) -> None:
    path = tmp_path / "jobs" / "work.py"
    path.parent.mkdir()
    monkeypatch.chdir(tmp_path)
    with script(path) as served:
        assert main(["freeze", str(served.pid)]) == 0
        capsys.readouterr()
        outputs = []
        for options in ([], ["--wide"], ["--json"]):
            assert main([verb, str(served.pid), *options]) == 0
            outputs.append(capsys.readouterr().out)
    short, wide, json_text = outputs
    assert " jobs/work.py:" in short.replace("(", " ")
    assert str(tmp_path) not in short
    assert f"{path}:" in wide
    assert f'"{path}"' in json_text


def test_an_error_has_short_paths_as_well(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch, runtime: Path, tmp_path: Path
) -> None:
    path = tmp_path / "work.py"
    monkeypatch.chdir(tmp_path)
    code = STAY.replace("time.sleep(0.001)", "time.sleep(60)", 1)  # in the loops, not before them
    with script(path, code) as served:
        freeze = ["freeze", str(served.pid), "--timeout", "0.1"]
        assert main(freeze) == 1
        assert " at work.py:" in capsys.readouterr().err
        assert main([*freeze, "--wide"]) == 1
        assert f" at {path}:" in capsys.readouterr().err


# Tables.


def test_a_table() -> None:
    rows = [("a", 1, None, "x"), ("bb", 10, 0.26, "")]
    lines = ["NAME   N    S  WHERE", "a      1    -  x", "bb    10  0.3  -"]
    assert table_of(("NAME", "N", "S", "WHERE"), rows).splitlines() == lines
    assert table_of(("NAME", "N"), []) == "NAME  N"


def test_a_table_is_fitted_to_the_terminal() -> None:
    header = ("NAME", "SITE", "GROUP", "TODOS")
    rows = [("worker", f"blocking 'reading' at {'x' * 20}/work.py:82", "", 0)]
    whole = table_of(header, rows)
    assert table_of(header, rows, 200, ("TODOS", "GROUP")) == whole
    cut = table_of(header, rows, 55, ("TODOS", "GROUP")).splitlines()
    assert cut == [
        "NAME    SITE                               GROUP  TODOS",
        "worker  blocking 'readi...xxxx/work.py:82  -          0",
    ]
    narrow = table_of(header, rows, 36, ("TODOS", "GROUP")).splitlines()
    assert narrow[0].split() == ["NAME", "SITE"]
    assert narrow[-1] == "(no room for GROUP, TODOS: --wide)"
    tiny = table_of(header, rows, 12, ("TODOS", "GROUP")).splitlines()
    assert max(map(len, tiny[:-1])) <= 12


def test_what_would_move_the_cursor_is_shown_instead() -> None:
    assert clean("a\x1b[2Jé\n\ud800") == "a\\x1b[2Jé\\n\\ud800"
