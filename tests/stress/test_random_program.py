"""Random programs, a few of them; and that what they look for is found where it is."""

from __future__ import annotations

import multiprocessing
import shlex
import subprocess
import sys
from concurrent.futures import Future

import pytest
from hypothesis import HealthCheck, given, settings

from freezethreads import ThreadExited, sync
from freezethreads.testing import Finding, Violation
from helpers import ROOT, start, wait_until
from stress._cli import main
from stress._programs import Job, _story, search
from stress.program._program import Part, Program
from stress.program._search import programs
from stress.program._shared import Box, Guarded, Permits
from stress.program._stage import Stage, play
from stress.program._tasks import Task, check_order
from stress.program._verdict import Verdict

NOTHING = Part((None, None), ())


def program_of(*parts: Part) -> Program:
    """Six threads, of which the others do nothing."""
    return Program(parts + (NOTHING,) * (6 - len(parts)))


@settings(
    max_examples=12,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
@given(program=programs)
def test_what_was_promised_holds_in_random_programs(program: Program) -> None:
    finding = play(program, rounds=3)
    assert finding is None, f"{finding.what}\n{finding.trace}"


def stress(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command."""
    command = [sys.executable, "-m", "stress", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_a_broken_freezer_is_found() -> None:
    result = stress("--program", "--mutants", "turn-kept", "--seconds", "40", "--seed", "m1")
    assert result.returncode == 0, result.stdout + result.stderr
    assert f"{'turn-kept':<32}FOUND" in result.stdout
    assert "(an exception gives the turn back)" in result.stdout


def test_a_broken_freezer_that_is_not_found_fails_the_run() -> None:
    """Nobody has a lease in a program in which nobody does anything."""
    text = str(program_of())
    result = stress("--program", text, "--mutants", "lease-never-fires", "--seconds", "0.5")
    assert result.returncode == 1, result.stdout + result.stderr
    assert "passed" in result.stdout


def test_one_program_is_played_again() -> None:
    program = program_of(Part(("io", None), (("todo_all", 0, ""), ("safepoint", 0))))
    arguments = ("--program", str(program), "--seconds", "5")
    assert stress(*arguments, "--mutants", "todo-twice").returncode == 0
    result = stress("--program", str(program), "--seconds", "0.5")
    assert result.returncode == 0, result.stdout + result.stderr


def test_a_process_that_dies_is_reported(capfd: pytest.CaptureFixture[str]) -> None:
    job = Job("x", 60, 5, program_of(Part(("io", "cpu"), (("step", 1),))))
    searching = start(search, job)
    wait_until(lambda: bool(multiprocessing.active_children()))
    (process,) = multiprocessing.active_children()
    process.kill()
    verdict = searching.finish()
    assert verdict.finding is not None
    assert verdict.finding.what == "the process ended with status -9"
    assert capfd.readouterr().err == ""


def test_what_was_found_is_told_with_the_program() -> None:
    program = program_of(
        Part(("io", None), (("blocking", 0, (("step", 2), ("safepoint", 1))), ("set",)))
    )
    verdict = Verdict(program=program, finding=Finding("it is torn", "t0", 1.0, "Traceback"))
    lines = _story(Job("x", 1, 1), verdict)
    assert "t0: it is torn" in lines
    assert "  t0 ('io', None): blocking(0) { step(2) safepoint(1) } set()" in lines
    assert "Traceback" in lines
    again = next(line for line in lines if line.startswith("again: "))
    assert Program.parse(shlex.split(again)[-1]) == program
    assert program.size == 4


def test_freezes_that_need_not_stand() -> None:
    """One thread is shut to the one freezer, and stands for the other's world."""
    shut = ("no_freeze", 1, (("safepoint", 0),))
    world = ("freeze", 0, "", 3, None, (("safepoint", 1),))
    program = program_of(Part(("io", "io"), (shut,)), Part((None, "io"), (world,)))
    assert not program.can_always_stop(1)
    assert program.can_always_stop(0)
    assert program_of(Part(("io", "io"), (shut,))).can_always_stop(1)


@pytest.mark.parametrize("text", ["nonsense", "[1]", "[(1, 2"])
def test_what_is_no_program(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--program", text])
    assert caught.value.code == 2
    assert "this is no program" in capsys.readouterr().err


# What the programs would see only if the library were wrong.


@pytest.fixture
def stage() -> Stage:
    return Stage(program_of())


def test_a_lock_that_two_have(stage: Stage) -> None:
    guarded = Guarded(sync.RLock())
    guarded.acquire(stage.players[0], -1)
    with pytest.raises(Violation, match=r"t1 got .* which t0 has"):
        guarded.acquire(stage.players[1], -1)


def test_a_permit_too_many(stage: Stage) -> None:
    permits = Permits(sync.Semaphore(3))
    for player in stage.players[:2]:
        permits.acquire(player, 0)
    with pytest.raises(Violation, match="3 threads have one of 2 permits"):
        permits.acquire(stage.players[2], 0)


def test_items_that_are_lost_or_come_twice_or_too_early(stage: Stage) -> None:
    one, two = stage.players[:2]
    box = Box(sync.SimpleQueue(), is_fifo=True)
    box.put(one)
    box.put(one)
    assert not box.lacks_items()
    first, second = box.queue.get(), box.queue.get()
    assert box.lacks_items()
    with pytest.raises(Violation, match="and found: "):
        box.check()
    box.queue.put(second)
    box.queue.put(first)
    box.take(two)
    box.take(two)
    with pytest.raises(Violation, match="t1 has got items in a wrong order"):
        box.check()


def test_tasks_that_are_made_although_they_were_refused(stage: Stage) -> None:
    task = Task(stage.players[0])
    task.check(1)
    task.future = Future()
    task.future.set_exception(ThreadExited("it is gone"))
    task.check(1)
    with pytest.raises(Violation, match="makes what was asked of t0"):
        task()
    with pytest.raises(Violation, match="was refused, and made all the same"):
        task.check(1)
    with pytest.raises(Violation, match="was made by"):
        task.check_made(None)


def test_tasks_that_are_made_in_a_wrong_order(stage: Stage) -> None:
    asked = [Task(stage.players[0], (0, 0, 0)) for _ in range(2)]
    check_order(asked, asked)
    with pytest.raises(Violation, match="t0 made a todo before an older one"):
        check_order(asked, asked[::-1])
