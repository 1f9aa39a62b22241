"""Programs that nobody wrote for the freezer, in a storm of either engine."""

from __future__ import annotations

import ast
import dis
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import _storm
from storms import controller, packages
from storms.controller import AGAIN, NOWHERE, Position, _next_steps
from storms.programs import FOLDER, PROGRAMS, Program, fetch_program, read_program

HAS_ENGINE = sys.version_info >= (3, 12)
QUICK = ["--every", "10", "--timeout", "2", "--at-least", "5"]


def imports_of(path: Path) -> set[str]:
    """The modules that a program imports, also by way of what it shares with others."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found.update(alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            found.add((node.module or "").partition(".")[0])
    shared = {name for name in found if (FOLDER / f"{name}.py").exists()}
    return (found - shared).union(*(imports_of(FOLDER / f"{name}.py") for name in shared))


def test_each_says_what_it_is_and_what_it_needs() -> None:
    assert len(PROGRAMS) > 30
    assert [program.name for program in PROGRAMS if not program.needs].count("lock_loop") == 1
    for program in PROGRAMS:
        assert ast.get_docstring(ast.parse(program.path.read_text()))
        assert bool(program.needs) == bool(imports_of(program.path) - set(sys.stdlib_module_names))


def test_what_its_head_says_is_read(tmp_path: Path) -> None:
    path = tmp_path / "shop.py"
    path.write_text('# /// script\n# dependencies = ["a<4", "b"]\n# ///\n"""A shop."""\n')
    assert read_program(path) == Program(path, ("a<4", "b"))
    path.write_text('"""A shop."""\n')
    assert read_program(path) == Program(path, ())


@pytest.mark.parametrize("where", ["installed", "unlocked", "anywhere"])
def test_a_program_does_the_same_in_a_storm(where: str, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["queue_workers", "--where", where, *QUICK]
    if where != "installed" and not HAS_ENGINE:
        with pytest.raises(SystemExit, match="needs CPython"):
            _storm.main(arguments)
        return
    status = _storm.main(arguments)
    output = capsys.readouterr().out
    assert status == 0, output
    assert "all ok: 2 tests" in output


@pytest.mark.skipif(not HAS_ENGINE, reason="nothing can stop them there")
@pytest.mark.parametrize("name", ["mp_queue", "stdin_input"])
def test_who_waits_in_c_is_stopped_there(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    status = _storm.main([name, "--where", "anywhere", *QUICK])
    assert status == 0, capsys.readouterr().out


LOOKS_ROUND = """
import threading, time
print(type(time.sleep), threading.Lock, threading.Thread.__init__.__module__)
threads = [threading.Thread(target=time.sleep, args=(0.3,)) for _ in range(2)]
for thread in threads: thread.start()
for thread in threads: thread.join()
"""


@pytest.mark.skipif(not HAS_ENGINE, reason="nothing can stop them there")
def test_nothing_is_patched_where_threads_are_stopped_as_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "looks_round.py"
    path.write_text(LOOKS_ROUND)
    monkeypatch.setattr(_storm, "PROGRAMS", (Program(path, ()),))
    status = _storm.main(["looks_round", "--where", "anywhere", *QUICK])
    assert status == 0, capsys.readouterr().out


WRONG = """
import random
print("a number", random.random())
raise SystemExit("and it does not end well")
"""


def test_what_a_program_prints_and_how_it_ends_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "wrong.py"
    path.write_text(WRONG)
    monkeypatch.setattr(_storm, "PROGRAMS", (Program(path, ()),))
    assert _storm.main(["wrong", "--storms", "1", "--retries", "1", "--limit", "30"]) == 1
    output = capsys.readouterr().out
    assert "broken by the storm: it prints: a number" in output
    assert "fails without us too: it ends" in output


def test_what_cannot_be_had_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(packages, "CACHE", tmp_path)
    monkeypatch.setattr(sys, "executable", "/bin/false")
    suite = fetch_program(Program(FOLDER / "lock_loop.py", ("no-such-package",)))
    assert not suite.is_there()
    assert "no-such-package" in capsys.readouterr().err


# What counts as moved.


def steps_of(function: Callable[..., object]) -> list[dis.Instruction]:
    return [each for each in dis.get_instructions(function) if each.opname != "EXTENDED_ARG"]


def test_a_call_may_come_back_and_nothing_more_be_executed() -> None:
    def calls(a: Any, b: Any) -> None:
        a()
        b()

    steps = steps_of(calls)
    call = next(i for i, each in enumerate(steps) if each.opname == "CALL")

    def at(i: int) -> Position:
        offset = steps[i].offset
        stack = [("main.py", "main", 10), ("calls.py", "calls", offset)]
        return Position(stack, _next_steps(calls.__code__, offset))

    assert not at(call).has_moved_to(at(call))
    assert not at(call).has_moved_to(at(call + 1))
    assert at(call).has_moved_to(at(call + 2))
    # One that stands before an instruction does not even come to the next.
    stands = Position(at(call).stack)
    assert stands.has_moved_to(at(call + 1))


def test_a_loop_over_a_call_may_come_to_its_end() -> None:
    def loops(lines: Any) -> str:
        for _ in lines:
            lines.count()
        return "over"

    steps = steps_of(loops)
    loop = next(each for each in steps if each.opname == "FOR_ITER")
    (over,) = (each for each in steps if each.argval == "over")
    may = _next_steps(loops.__code__, loop.offset)
    assert over.offset in may
    (count,) = (each for each in steps if each.argval == "count")
    assert count.offset not in may


def test_what_c_calls_begins_and_does_no_more() -> None:
    waits = Position([("main.py", "main", 10)], frozenset({10, 12}))
    called = [("main.py", "main", 10), ("shop.py", "called", 0)]
    assert not waits.has_moved_to(Position(called, begins=True))
    assert waits.has_moved_to(Position(called))
    assert waits.has_moved_to(Position([("main.py", "main", 12), *called[1:]], begins=True))


@pytest.mark.parametrize("cuts", [0, 2, 100])
def test_a_stack_that_was_cut_is_read_again(cuts: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A few times: whoever has really none must not keep everybody frozen."""
    whole, looks = Position([("main.py", "main", 10)]), [0]

    def look(*_: object) -> dict[int, Position]:
        looks[0] += 1
        return {1: NOWHERE if looks[0] <= cuts else whole, 2: whole}

    monkeypatch.setattr(controller, "_stacks_at", look)
    found = controller._stacks({1: "a", 2: "b"}, may_call=True)
    assert found == {1: whole if cuts < AGAIN else NOWHERE, 2: whole}
    assert looks == [min(cuts + 1, AGAIN)]


def test_only_where_a_call_of_c_counts_as_stopped_it_may_come_back() -> None:
    frame = sys._getframe()
    assert controller._position_of(frame, may_call=True).returns_to
    assert not controller._position_of(frame, may_call=False).returns_to
