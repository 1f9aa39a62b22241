"""The scripts that a person runs from a checkout, as far as no environment has to be made."""

from __future__ import annotations

import ast
import json
import os
import platform
import re
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace
from typing import TypeVar

import pytest

import _check
import _model
import _venv
from _pythons import Interpreter, ask, ask_own, discover
from helpers import ROOT, WAIT, run_python, start
from stress._cli import make_parser

T = TypeVar("T")
TOOLS = ROOT / "tools"
SCRIPTS = sorted(path.name for path in TOOLS.iterdir() if path.is_file() and not path.suffix)
every_script = pytest.mark.parametrize("script", SCRIPTS)

FAKE = Interpreter("/opt/python3.12", "cpython", "3.12.9", "3.12", False, [])


# A Python that is too old.


@every_script
def test_a_script_parses_on_an_old_python(script: str) -> None:
    for name in (script, "_python.py"):
        text = (TOOLS / name).read_text()
        ast.parse(text, feature_version=(3, 6))
        assert "from __future__" not in text  # which names what an old Python has never heard of


@every_script
def test_a_script_asks_for_the_version_first(script: str) -> None:
    """Whatever else it imports from here may be written for a new Python."""
    imports = [
        node.module if isinstance(node, ast.ImportFrom) else node.names[0].name
        for node in ast.walk(ast.parse((TOOLS / script).read_text()))
        if isinstance(node, (ast.Import, ast.ImportFrom))
    ]
    assert next(name for name in imports if name not in sys.stdlib_module_names) == "_python"


@every_script
def test_a_script_refuses_an_old_python(script: str) -> None:
    code = """
import runpy, sys
sys.argv = [sys.argv[1]]
sys.path.insert(0, sys.argv[0].rpartition("/")[0])
sys.version_info = (3, 10, 2, "final", 0)
runpy.run_path(sys.argv[0], run_name="__main__")
"""
    result = run_python(code, str(TOOLS / script), check=False)
    assert result.returncode == 1
    (line,) = result.stderr.splitlines()
    assert "needs Python 3.11 or newer" in line
    assert "3.10" in line


# The slices of the processors' time.

RELEASE = tuple(map(int, re.findall(r"\d+", platform.release())[:2]))
SCHED = Path("/proc/self/sched")


@pytest.mark.skipif(
    not SCHED.exists() or RELEASE < (6, 12), reason="Linux tells of no slices, or has one length"
)
def test_what_tools_test_starts_has_short_slices() -> None:
    code = """
import runpy, subprocess, sys
sys.path.insert(0, sys.argv[1])
import _check, _slices
_slices.SHORTEST = 200_000  # what this has may have come from tools/test
_check.main = lambda arguments: subprocess.call(["grep", "se.slice", "/proc/self/sched"])
runpy.run_path(sys.argv[1] + "/test", run_name="__main__")
"""
    assert int(run_python(code, str(TOOLS)).stdout.split()[-1]) == 200_000


# Finding the interpreters.


def make_executable(folder: Path, name: str, text: str) -> None:
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def make_python(folder: Path, name: str, interpreter: Interpreter) -> None:
    make_executable(folder, name, f"echo '{json.dumps(asdict(interpreter))}'")


def test_a_python_describes_itself() -> None:
    own = ask_own()
    assert own == ask(own.executable)
    assert own.version == sys.version.split()[0]
    assert own.label.endswith("t") == own.free_threaded
    assert own.supported


def test_what_is_no_python_has_no_description(tmp_path: Path) -> None:
    make_executable(tmp_path, "stand-in", "echo 'not switched on' >&2; exit 127")
    make_executable(tmp_path, "failing", f"echo '{json.dumps(asdict(FAKE))}'; exit 1")
    make_executable(tmp_path, "talker", "echo hello")
    make_executable(tmp_path, "other", "echo '{\"answer\": 42}'")
    (tmp_path / "text").write_text("no program")
    for name in ("stand-in", "failing", "talker", "other", "text", "absent", "."):
        assert ask(str(tmp_path / name)) is None


def test_discovery(tmp_path: Path) -> None:
    own = ask_own()
    release = "3.15" if own.release != "3.15" else "3.14"  # not the one that runs this
    first, second = tmp_path / "first", tmp_path / "second"
    new = replace(FAKE, version=f"{release}.1", release=release)
    threaded = replace(new, free_threaded=True)
    make_executable(first, f"python{release}", "exit 127")
    make_python(second, f"python{release}", new)
    make_python(first, f"python{release}t", threaded)
    older = replace(threaded, version=f"{release}.0")
    make_python(second, f"python{release}t", older)  # second of its kind
    make_python(first, "python3.13t", replace(new, implementation="pypy"))
    make_python(second, "python3.11", replace(new, release="3.10"))  # not what it is called
    make_python(second, "python3.99", replace(new, release="3.99"))
    make_python(second, f"python{own.release}", replace(own, version=f"{own.release}.99"))
    assert discover(f"{first}{os.pathsep}{second}") == [own, new, threaded]


def test_too_few_interpreters(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(_check, "run_shown", lambda *_: pytest.fail("the tests were run"))
    assert _check.main(["--all", "--at-least", "2", "-k", "nothing"]) == 1
    output = capsys.readouterr().out
    assert f"found 1 interpreters: {ask_own().label}" in output
    assert "--at-least 2" in output


def test_what_is_wanted_and_missing_is_named_and_no_failure(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", "")
    done = _check.Run("Python", 0, Counter(passed=1), 1.0)
    monkeypatch.setattr(_check, "run_shown", lambda *_: done)
    own = _check.kind_of(ask_own())
    assert _check.kind_of(replace(FAKE, free_threaded=True)) == "3.12t"
    assert _check.main(["--all", "--wanted", f"3.98t,{own},3.99", "-k", "nothing"]) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert last == "==== not tested, as not found on PATH: Python 3.98t, 3.99 ===="
    assert _check.main(["--all", "--wanted", own, "-k", "nothing"]) == 0
    assert "not tested" not in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments", [["--at-least", "2"], ["--all", "--at-least", "0"], ["--wanted", "3.14"]]
)
def test_bad_options(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        _check.parse(arguments)
    assert "--at-least" in capsys.readouterr().err


def test_the_rest_is_for_pytest() -> None:
    options, rest = _check.parse(["-k", "a or b", "--all", "tests/test_a.py", "-x"])
    assert options.all
    assert rest == ["-k", "a or b", "tests/test_a.py", "-x"]


def test_quick_selects_tests_that_there_are_and_nobody_else_does(
    capsys: pytest.CaptureFixture[str],
) -> None:
    missing = [name for name in _check.QUICK if not (ROOT / "tests" / name).exists()]
    assert not missing
    with pytest.raises(SystemExit):
        _check.parse(["--quick", "-k", "it"])
    assert "leave out either it or -k it" in capsys.readouterr().err


# Running the tests, and the summary.


ONCE = ["stress --mutants", "stress --explore", "stress --explore --mutants"]
ONCE += ["tools/model", "tools/docs"]
LINTERS = ["mypy", "pyright", "ruff check", "ruff format"]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], [*LINTERS, "Python own"]),
        (["--all"], [*ONCE, *LINTERS, "Python other", "Python own"]),
        (["--quick"], [*LINTERS, "Python own"]),
        (["--all", "--quick"], [*LINTERS, "Python other", "Python own"]),
    ],
)
def test_what_is_run(
    arguments: list[str], expected: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What takes long and does not depend on the interpreter is run once, the longest first."""
    begun: list[str] = []

    def begin(command: Sequence[str], name: str) -> _check.Ended:
        if name not in begun:
            begun.append(name)
        return _check.Ended(0, 0.0, 0.0, 0.0)

    # Both are set up side by side: which of them begins first is chance.
    own, other = (replace(FAKE, version=name) for name in ("own", "other"))
    monkeypatch.setattr(_check, "ask_own", lambda: own)
    monkeypatch.setattr(_check, "discover", lambda _: [own, other])
    monkeypatch.setattr(_check, "prepared", this_python)
    monkeypatch.setattr(_check, "COMPILED", ())
    monkeypatch.setattr(_check, "LANES", 1)
    monkeypatch.setattr(_check, "SPARE_LANES", 1)
    monkeypatch.setattr(_check, "run_quietly", begin)
    monkeypatch.setattr("shutil.which", lambda name: name)
    assert _check.main(arguments) == 0
    assert sorted(begun) == sorted(expected)
    spare = [name for name in expected if name in (*ONCE[1:], *LINTERS)]
    assert [name for name in begun if name in spare] == spare


def test_what_pytest_is_told_is_run_on_each_with_nothing_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    own, other = (replace(FAKE, version=name) for name in ("own", "other"))
    asked: list[object] = []

    def note(interpreter: Interpreter, arguments: Sequence[str]) -> _check.Run:
        asked.append((interpreter, arguments))
        return _check.Run("Python", 0, Counter(), 0.0)

    monkeypatch.setattr(_check, "discover", lambda _: [own, other])
    monkeypatch.setattr(_check, "run_shown", note)
    monkeypatch.setattr(_check, "run_all", lambda *_: pytest.fail("more was run"))
    assert _check.main(["--all", "-k", "it"]) == 0
    assert asked == [(own, ["-k", "it"]), (other, ["-k", "it"])]


@contextmanager
def this_python(interpreter: Interpreter, extras: Sequence[str]) -> Iterator[SimpleNamespace]:
    yield SimpleNamespace(python=sys.executable)


SAMPLE = """
import pytest
def test_passes(): pass
def test_passes_too(): pass
def test_fails(): assert 0
@pytest.mark.xfail
def test_expected(): assert 0
@pytest.fixture
def broken(): raise OSError
def test_error(broken): pass
"""


def test_counts_are_those_of_pytest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_check, "prepared", this_python)
    path = tmp_path / "test_sample.py"
    path.write_text(SAMPLE)
    for run in in_lanes(_check.run_tests, FAKE, [str(path)]), _check.run_shown(FAKE, [str(path)]):
        assert run.counts == {"passed": 2, "failed": 1, "xfailed": 1, "error": 1}
        assert run.status == 1


def in_lanes(run: Callable[..., T], *how: object) -> T:
    with ThreadPoolExecutor(2) as lanes:
        return run(lanes, *how)


def test_all_the_tests_are_each_test_file_once() -> None:
    named = [ROOT / name for part in _check.parts_of([]) for name in part]
    assert sorted(named) == sorted((ROOT / "tests").rglob("test_*.py"))
    assert _check.parts_of(["-x"]) == [["-x"]]


def test_what_takes_longest_is_dealt_out_first() -> None:
    parts = _check.parts_of([])
    assert [part[0] for part in parts] == list(_check.LONGEST[: _check.PARTS])
    for name in _check.LONGEST:
        assert (ROOT / name).is_file(), name


def test_what_no_interpreter_has_a_part_in_is_left_out_on_all_but_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    alone = {*_check.ON_FIRST, *_check.ON_NEWEST}
    every = {name for part in _check.parts_of([]) for name in part}
    others = [name for part in _check.parts_of([], [*alone]) for name in part]
    assert every - set(others) == alone
    assert len(others) == len(set(others))
    asked: dict[str, object] = {}

    def note(
        lanes: object, interpreter: Interpreter, files: object, left_out: object
    ) -> _check.Run:
        asked[interpreter.release] = left_out
        return _check.Run("Python", 0, Counter(), 0.0)

    monkeypatch.setattr(_check, "run_tests", note)
    other, newest = replace(FAKE, release="3.98"), replace(FAKE, release="3.99")
    in_lanes(lambda lanes: _check.try_all(lanes, [FAKE, other, newest], [])[0])
    assert asked == {
        FAKE.release: _check.ON_NEWEST,
        "3.98": (*_check.ON_FIRST, *_check.ON_NEWEST),
        "3.99": _check.ON_FIRST,
    }
    in_lanes(lambda lanes: _check.try_all(lanes, [FAKE], [])[0])
    assert asked[FAKE.release] == ()


@pytest.mark.parametrize("bad", [0, 1])
def test_what_one_part_says_is_not_lost(
    bad: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    files = [tmp_path / f"test_part_{part}.py" for part in range(2)]
    for part, path in enumerate(files):
        path.write_text(f"def test_of_part(): assert {part} != {bad}")
    monkeypatch.setattr(_check, "prepared", this_python)
    monkeypatch.setattr(_check, "parts_of", lambda *_: [[str(path)] for path in files])
    run = in_lanes(_check.run_tests, FAKE, [])
    assert run.counts == {"passed": 1, "failed": 1}
    assert run.processor
    assert run.processor > 0
    assert run.status == 1
    out = capfd.readouterr().out
    assert "test_part_0.py" in out
    assert "test_part_1.py" in out


def test_several_pythons_are_tested_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each waits for the other; what comes of them is in the order in which they were found."""
    barrier = threading.Barrier(2, timeout=WAIT)

    def test(lanes: object, interpreter: Interpreter, *how: object) -> _check.Run:
        barrier.wait()
        return _check.Run(interpreter.executable, 0, Counter(), 0.0)

    monkeypatch.setattr(_check, "run_tests", test)
    with ThreadPoolExecutor(1) as lanes:
        runs = _check.try_all(lanes, [replace(FAKE, executable=name) for name in "abcd"], [])
    assert [run.name for run in runs] == ["a", "b", "c", "d"]


def test_commands_run_side_by_side_each_under_its_name(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Each waits for the other; what each says comes in one piece."""
    for name in "ab":
        os.mkfifo(tmp_path / name)
    code = "import sys; print('from', 1); open(sys.argv[1], sys.argv[2]).close(); print('to', 2)"
    code += "; open(sys.argv[3], sys.argv[4]).close(); sys.exit(int(sys.argv[5]))"
    a, b = (str(tmp_path / name) for name in "ab")
    with ThreadPoolExecutor(2) as lanes:
        first = _check.Step(lanes, "one", [sys.executable, "-c", code, a, "r", b, "w", "0"])
        second = _check.Step(lanes, "two", [sys.executable, "-c", code, a, "w", b, "r", "5"])
        runs = first.wait(), second.wait()
    assert [(run.name, run.status) for run in runs] == [("one", 0), ("two", 5)]
    out = capfd.readouterr().out
    assert sorted(out.split("==== of ")) == [
        "",
        *(f"{n} ====\nfrom 1\nto 2\n" for n in ("one", "two")),
    ]


def test_an_interrupt_begins_no_other_part(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> _check.Run:
        raise KeyboardInterrupt

    monkeypatch.setattr(_check, "interrupted", threading.Event())
    monkeypatch.setattr(_check, "run_tests", interrupt)
    with pytest.raises(KeyboardInterrupt):
        in_lanes(lambda lanes: _check.try_all(lanes, [FAKE], [])[0])
    assert in_lanes(_check.Step, "a Python", ["no such command"]).wait().status != 0


def test_no_test_is_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_check, "prepared", this_python)
    run = in_lanes(_check.run_tests, FAKE, [str(tmp_path)])
    assert run.status != 0
    assert _check.summarize([run], 1.0) == 1


def test_a_failed_set_up_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def no_environment(interpreter: Interpreter, extras: Sequence[str]) -> Iterator[None]:
        raise _venv.SetUpError("no room")
        yield

    monkeypatch.setattr(_check, "prepared", no_environment)
    assert _check.try_tests(_check.run_shown, FAKE, []).status != 0
    (run,) = in_lanes(_check.try_all, [FAKE], [])
    assert run.status != 0
    with pytest.raises(_venv.SetUpError):
        _check.run_all([FAKE], _check.parse([])[0])


def test_each_step_is_a_command_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    commands: dict[str, Sequence[str]] = {}

    def note(command: Sequence[str], name: str) -> _check.Ended:
        commands[name] = command
        return _check.Ended(0, 0.0, 0.0, 0.0)

    monkeypatch.setattr(_check, "run_quietly", note)
    monkeypatch.setattr("shutil.which", lambda name: name)
    in_lanes(lambda lanes: _check.begin_once(lanes, lanes, "its python"))
    in_lanes(_check.begin_linters, "its python")
    assert sorted(commands) == sorted([*ONCE, *LINTERS])
    least = {name for name, command in commands.items() if tuple(command[:3]) == _check.LEAST}
    assert {*ONCE, *LINTERS} - least == {"stress --mutants"}, "where threads have to come in time"
    plain = {name: commands[name][3 * (name in least) :] for name in commands}
    model = plain.pop("tools/model")  # which needs none
    assert model[0] == sys.executable
    assert all(command[0] == "its python" for command in plain.values())
    for name in ONCE[:3]:
        assert make_parser().parse_args(plain[name][3:]).at_once == 1
    assert _model.parse(model[2:]).at_once == 1


def test_without_spin_there_is_all_but_the_models(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(_check, "run_quietly", lambda *_: _check.Ended(0, 0.0, 0.0, 0.0))
    monkeypatch.setattr("shutil.which", lambda name: None if name == "spin" else name)
    steps = in_lanes(lambda lanes: _check.begin_once(lanes, lanes, "its python"))
    assert len(steps) == len(ONCE) - 1
    assert "tools/model was not run: spin not found" in capsys.readouterr().out


def test_the_checkout_is_compiled_before_the_tests(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Also where Python is told to keep no bytecode by itself."""
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.setattr(_check, "prepared", this_python)
    monkeypatch.setattr(_check, "ROOT", tmp_path)
    monkeypatch.setattr(_check, "COMPILED", ("room",))
    (tmp_path / "room").mkdir()
    (tmp_path / "room" / "module.py").write_text("")
    with _check.ready(FAKE, []) as python:
        assert python == sys.executable
        assert [path.suffix for path in (tmp_path / "room" / "__pycache__").iterdir()] == [".pyc"]


def test_what_pytest_rewrites_is_kept_too(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    (tmp_path / "test_it.py").write_text("def test_it(): pass")
    counts = tmp_path / "counts.json"
    command = _check.pytest_command(sys.executable, counts, [str(tmp_path)])
    subprocess.run(command, cwd=tmp_path, stdout=subprocess.DEVNULL, check=True)
    assert json.loads(counts.read_text()) == {"passed": 1}
    (kept,) = (tmp_path / "__pycache__").iterdir()
    assert "-pytest-" in kept.name


def test_summary(capsys: pytest.CaptureFixture[str]) -> None:
    good = _check.Run("Python 3.11.1", 0, Counter(passed=5, skipped=1), 2.0, 3.5)
    bad = _check.Run("Python 3.12.1", 1, Counter(passed=4, failed=1), 3.0)
    assert _check.summarize([good], 2.0) == 0
    *_, row, last = capsys.readouterr().out.splitlines()
    assert row.endswith("ok: 5 passed, 1 skipped in 2.0s, 3.5s of processor time")
    assert "all ok: 5 passed, 1 skipped in 2.0s" in last
    assert _check.summarize([good, bad], 5.0) == 1
    *_, last = capsys.readouterr().out.splitlines()
    assert "1 of 2 FAILED: 1 failed, 9 passed, 1 skipped in 5.0s" in last


def test_of_a_part_that_runs_each_file_is_shown_at_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    lines = "head", "tests/a/test_b.py ..s.  [ 10%]", "tests/a is no file"
    code = f"print(*{lines!r}, sep='\\n', flush=True); open({str(gate)!r}).read(); print('end')"
    reading, writing = os.pipe()
    with open(reading) as shown, open(writing, "w") as stdout:
        monkeypatch.setattr(sys, "stdout", stdout)
        thread = start(lambda: _check.run_quietly([sys.executable, "-c", code], "Python 4"))
        assert shown.readline() == f"Python 4: {lines[1]}\n"
        gate.write_text("")
        thread.finish()
        stdout.close()
        head = "==== of Python 4 ===="
        assert shown.read() == f"{head}\n{lines[0]}\n{lines[2]}\nend\n"
