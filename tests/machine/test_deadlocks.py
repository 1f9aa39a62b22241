"""Who waits for whom: each deadlock is found, and nothing else is taken for one."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from freezethreads import Freezer, FreezeTimeout, sync
from freezethreads._explain import diagnose, look, render, render_diagnosis
from freezethreads._machine import deadlocks
from freezethreads._machine.deadlocks import _Way
from freezethreads._report.ownership import awaited_by
from helpers import HAS_GIL, ROOT, WAIT, Worker, start, wait_for, wait_until

PROGRAM = Path(__file__).parents[1] / "support" / "deadlock_program.py"

OF_SYNC = {"three_a three_b three_c", "two_a two_b", "mixed_a mixed_r"}
BY_STACK = {"join_a join_b"}
IMPORTS = {"import_a import_r"}


def run(kind: str) -> list[str]:
    result = subprocess.run(
        [sys.executable, str(PROGRAM), kind],
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
        env={"PYTHONPATH": str(ROOT)},
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.splitlines()


def test_locks_of_ours() -> None:
    found = {line for line in run("sync") if not line.startswith("#")}
    elsewhere = {"elsewhere_a elsewhere_b"}  # an owner is known, wherever it acquired the lock
    wanted = OF_SYNC | IMPORTS | elsewhere | {"probably timed_a timed_b"}
    assert found == (wanted | BY_STACK if HAS_GIL else wanted)


@pytest.mark.skipif(not HAS_GIL, reason="nobody may read the frames of a thread that runs")
def test_plain_locks() -> None:
    lines = run("plain")
    found = {line for line in lines if not line.startswith("#")}
    assert found == OF_SYNC | IMPORTS | BY_STACK | {"probably timed_a timed_b"}
    head, *edges = [line for line in lines if line.startswith("#")]
    assert head == "# a deadlock of 2 threads:"
    line = r"\S+deadlock_program\.py:\d+ in two_locks\.<locals>\."
    for edge in edges:
        wait = rf"#   two_[ab] waits at {line}\w+ for <locked .*>"
        assert re.fullmatch(rf"{wait}, held by two_[ab], acquired at {line}two_[ab]", edge)


class Embrace:
    """Two threads, each of which waits for the other's lock, until the test releases one."""

    def __init__(self, freezer: Freezer) -> None:
        self.left, self.right = sync.Lock(), sync.Lock()
        self._freezer, self._barrier = freezer, threading.Barrier(2)
        self.threads: list[Worker[None]] = [
            start(self._run, self.left, self.right, name="one"),
            start(self._run, self.right, self.left, name="two"),
        ]
        wait_until(lambda: all(awaited_by(thread.ident or 0) for thread in self.threads))

    def _run(self, first: sync.Lock, second: sync.Lock) -> None:
        with self._freezer.register():
            first.acquire()
            self._barrier.wait(WAIT)
            second.acquire()
            second.release()

    def end(self) -> None:
        for lock in (self.left, self.right):
            lock.release()
        for thread in self.threads:
            thread.finish()


def test_stuck_says_it_first_though_all_stop() -> None:
    freezer = Freezer()
    embrace = Embrace(freezer)
    diagnosis = diagnose(freezer, WAIT)
    embrace.end()
    assert not diagnosis.healthy
    assert {(one.thread, one.cause) for one in diagnosis.findings} == {
        ("one", "deadlock"),
        ("two", "deadlock"),
    }
    assert diagnosis.warnings == ()
    text = render_diagnosis(diagnosis)
    assert ": 2 threads can never go on. 2 threads stopped within " in text
    assert "second.acquire()" in text
    assert ": a deadlock of 2 threads." in text


def test_who_is_late_comes_after_it() -> None:
    freezer = Freezer()
    embrace, over, registered = Embrace(freezer), threading.Event(), threading.Event()

    def be_late() -> None:
        with freezer.register("late"):
            registered.set()
            wait_for(over)

    late = start(be_late)
    wait_for(registered)
    diagnosis = diagnose(freezer, 0.05)
    with pytest.raises(FreezeTimeout, match=r"late .*\n  a deadlock of 2 threads:\n  "):
        freezer.freeze(timeout=0.05)
    described = look(freezer, 0.05)
    embrace.end()
    over.set()
    late.finish()
    assert [one.cause for one in diagnosis.findings][:2] == ["deadlock", "deadlock"]
    assert [one.thread for one in diagnosis.findings][2:] == ["late"]
    assert "1 of 3 threads did not stop" in render_diagnosis(diagnosis)
    assert "  a deadlock of 2 threads:\n" in render(described)


def test_no_region_is_advised_to_a_thread_that_has_a_lock() -> None:
    freezer, lock = Freezer(), threading.Lock()
    owned, over = threading.Event(), threading.Event()

    def own() -> None:
        with freezer.register("owner"), lock:
            owned.set()
            over.wait(WAIT)

    owner = start(own)
    wait_for(owned)
    (finding,) = diagnose(freezer, 0.05).findings
    over.set()
    owner.finish()
    assert finding.advice.startswith("Have it release ")
    assert "blocking region is no help" in finding.advice
    assert finding.rewritten is None


def circle(first: int, second: int, key: int = 0) -> dict[int, _Way]:
    """Two threads that wait for each other's thing, of which the first one's is `key`."""
    return {first: _Way("a", key, second, True), second: _Way("b", 1, first, True)}


@pytest.mark.parametrize("later", [{}, circle(1, 2, key=7), circle(1, 3)])
def test_what_the_second_look_does_not_find_is_none(
    monkeypatch: pytest.MonkeyPatch, later: dict[int, _Way]
) -> None:
    looks = iter([circle(1, 2), later])
    monkeypatch.setattr(deadlocks, "_look", lambda: next(looks))
    assert deadlocks.find_deadlocks() == ()


@pytest.mark.parametrize(
    ("before", "after", "certain"),
    [
        ({1: 1.0, 2: 1.0}, {1: 1.0, 2: 1.0}, True),
        ({1: 1.0, 2: 1.0}, {1: 1.0, 2: 1.5}, False),
        ({1: 1.0, 2: None}, {1: 1.0, 2: None}, False),
    ],
)
def test_who_may_have_run_in_between_is_not_certain(
    monkeypatch: pytest.MonkeyPatch,
    before: dict[int, float | None],
    after: dict[int, float | None],
    certain: bool,
) -> None:
    clocks = iter([before, after])
    monkeypatch.setattr(deadlocks, "_look", lambda: circle(1, 2))
    monkeypatch.setattr(deadlocks, "_clocks", lambda: next(clocks))
    (found,) = deadlocks.find_deadlocks()
    assert found.certain is certain
    assert ("probably" in str(found)) is not certain


def test_a_plain_lock_that_two_seem_to_have_belongs_to_nobody() -> None:
    assert deadlocks._owner_of(threading.Lock(), [1, 2]) is None
    assert deadlocks._owner_of(threading.Lock(), [1]) == 1
