"""What a storm's process writes down: each test's outcome, each freeze, and who moved."""

from __future__ import annotations

import gc
import threading
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

import freezethreads
from freezethreads import Deadlock, Edge, Site
from helpers import HAS_GIL, stack_of, start, wait_for, wait_until
from storms.controller import Storm, Verdicts, Weather, can_look, stacks_of_all
from storms.journal import DIED, LITTER, Account, Journal, read
from storms.suites import Suite, run, standard

LIMIT = 30.0
WEATHER = Weather("seed", 0.001, 0.2)

SAMPLE = """
import os, signal, sys, threading, time, unittest
from test import support

class Sample(unittest.TestCase):
    def test_passes(self): pass
    def test_fails(self): self.fail("as it should")
    def test_raises(self): raise OSError("as it should")
    def test_litters(self): support.environment_altered = True
    def test_passes_after_that(self): pass
    @unittest.skip("why not")
    def test_skipped(self): pass
    @unittest.expectedFailure
    def test_fails_as_expected(self): self.fail()
    @unittest.expectedFailure
    def test_passes_unexpectedly(self): pass
    def test_fails_in_part(self):
        for number in range(3):
            with self.subTest(number=number): self.assertNotEqual(number, 1)
    def test_skips_in_part(self):
        with self.subTest(number=1): self.skipTest("why not")

class Unready(unittest.TestCase):
    @classmethod
    def setUpClass(cls): raise OSError("as it should")
    def test_never_begins(self): pass
"""
EXPECTED = {
    "Sample.test_passes": "passed",
    "Sample.test_fails": "failed",
    "Sample.test_raises": "error",
    "Sample.test_litters": "passed" + LITTER,
    "Sample.test_passes_after_that": "passed",
    "Sample.test_skipped": "skipped",
    "Sample.test_fails_as_expected": "xfailed",
    "Sample.test_passes_unexpectedly": "xpassed",
    "Sample.test_fails_in_part": "failed",
    "Sample.test_skips_in_part": "skipped",
}

DEADLY = """
import os, unittest

class Deadly(unittest.TestCase):
    def test_a(self): pass
    def test_b(self):
        print("as it should", flush=True)
        os._exit(7)
    def test_c(self): pass
"""

PYTEST_SAMPLE = """
import os, pytest

def test_passes(): pass
def test_fails(): assert not "as it should"
def test_skipped(): pytest.skip("why not")
@pytest.mark.xfail
def test_fails_as_expected(): assert 0
@pytest.mark.xfail
def test_passes_unexpectedly(): pass
@pytest.fixture
def broken(): raise OSError("as it should")
def test_unready(broken): pass
@pytest.fixture
def littering():
    yield
    raise OSError("as it should")
def test_clears_up_badly(littering): pass
"""
PYTEST_EXPECTED = {
    "test_passes": "passed",
    "test_fails": "failed",
    "test_skipped": "skipped",
    "test_fails_as_expected": "xfailed",
    "test_passes_unexpectedly": "xpassed",
    "test_unready": "error",
    "test_clears_up_badly": "error",
}


def regrtest_suite(folder: Path, text: str) -> Suite:
    (folder / "test_sample.py").write_text(text)
    return standard("test_sample", "--testdir", str(folder))


def pytest_suite(folder: Path, text: str) -> Suite:
    (folder / "test_sample.py").write_text(text)
    return Suite("sample", "pytest", ("-p", "no:cacheprovider", "-q"), folder=folder)


def without_module(outcomes: Mapping[str, str]) -> dict[str, str]:
    return {
        test.removeprefix("test_sample.py::").removeprefix("test_sample."): outcome
        for test, outcome in outcomes.items()
    }


# What is written down while a suite runs.


def test_outcomes_of_a_standard_module(tmp_path: Path) -> None:
    done = run(regrtest_suite(tmp_path, SAMPLE), None, LIMIT)
    outcomes = without_module(done.account.outcomes)
    assert outcomes.pop("setUpClass (test_sample.Unready)") == "error"
    assert outcomes == EXPECTED
    assert done.account.status == 2
    assert not done.deaths
    assert "as it should" in done.account.details["test_sample.Sample.test_fails"]


def test_outcomes_of_a_pytest_suite(tmp_path: Path) -> None:
    done = run(pytest_suite(tmp_path, PYTEST_SAMPLE), None, LIMIT)
    assert without_module(done.account.outcomes) == PYTEST_EXPECTED
    assert done.account.status == 1
    assert "as it should" in done.account.details["test_sample.py::test_fails"]


def test_what_cannot_be_collected_is_an_error(tmp_path: Path) -> None:
    done = run(pytest_suite(tmp_path, "import no_such_module"), None, LIMIT)
    assert set(done.account.outcomes.values()) == {"error"}


@pytest.mark.parametrize("make_suite", [regrtest_suite, pytest_suite])
def test_some_tests_alone(tmp_path: Path, make_suite: Any) -> None:
    suite = make_suite(tmp_path, SAMPLE)
    every = list(run(suite, None, LIMIT).account.outcomes)
    chosen = [test for test in every if "test_passes" in test or "setUpClass" in test]
    done = run(suite, None, LIMIT, chosen)
    assert list(done.account.outcomes) == chosen
    assert len(chosen) >= 3


def test_another_process_runs_what_one_that_died_has_left(tmp_path: Path) -> None:
    suite = regrtest_suite(tmp_path, DEADLY)
    tests = [f"test_sample.Deadly.test_{name}" for name in "abc"]
    done = run(suite, None, LIMIT, tests)
    assert list(done.account.outcomes.values()) == ["passed", DIED, "passed"]
    (death,) = done.deaths
    assert death.startswith(f"status 7 in {tests[1]}")
    assert "as it should" in death


def test_what_hangs_is_ended_and_shows_its_stacks(tmp_path: Path) -> None:
    suite = pytest_suite(tmp_path, "import time\ndef test_hangs(): time.sleep(60)\n")
    for limit in 1.0, 4.0, 16.0:  # which has to be enough to come to that test
        done = run(suite, None, limit)
        if done.account.outcomes:
            break
    assert done.account.outcomes == {"test_sample.py::test_hangs": DIED}
    assert "in test_hangs" in done.deaths[0]


def test_journal_of_a_process_that_was_killed(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    journal = Journal(str(path))
    journal.note(begins="a")
    journal.note(stood=3, main=True, waited=0.5, locks=2)
    journal.note(test="a", outcome="failed", detail="one. ")
    journal.note(test="a", outcome="passed", detail="")
    journal.note(ends="a")
    journal.note(stood=0, main=True, waited=0.25, locks=0)
    journal.note(stragglers=["x.py:1 in f"])
    journal.note(stuck=2)
    journal.note(fault="f")
    journal.note(begins="b")
    path.write_bytes(path.read_bytes() + b'{"test": "b", "outco')
    assert read(path) == Account(
        outcomes={"a": "failed", "b": DIED},
        details={"a": "one. "},
        struck={"a"},
        stood=[3, 0],
        waited=[0.5, 0.25],
        with_locks=1,
        main_stood=2,
        stragglers=[["x.py:1 in f"]],
        stuck=[2],
        faults=["f"],
    )


# The controller.


def storm_over(path: Path, freezes: int) -> Account:
    """What the journal says when at least so many freezes have stood or timed out."""
    noted = threading.Event()

    class Counting(Journal):
        left = freezes

        def note(self, **entry: object) -> None:
            super().note(**entry)
            self.left -= 1
            if not self.left or "fault" in entry:
                noted.set()

    with Storm(WEATHER, Counting(str(path))):
        wait_for(noted)
    return read(path)


def test_storm_freezes_and_counts(tmp_path: Path) -> None:
    over = threading.Event()

    def loop() -> None:
        with freezethreads.register():
            while not over.is_set():
                freezethreads.safepoint()

    threads = [start(loop) for _ in range(3)]
    try:
        account = storm_over(tmp_path / "journal", 50)
    finally:
        over.set()
        for thread in threads:
            thread.finish()
    assert not account.faults
    assert Counter(account.stood)[3] >= 40
    assert account.main_stood == 0


def test_storm_says_who_did_not_stop(tmp_path: Path) -> None:
    over, there = threading.Event(), threading.Event()

    def sulk() -> None:
        with freezethreads.register():
            there.set()
            wait_for(over)

    thread = start(sulk)
    try:
        wait_for(there)
        account = storm_over(tmp_path / "journal", 1)
    finally:
        over.set()
        thread.finish()
    assert not account.stood
    assert account.stragglers[0][0].endswith("in wait")


def test_storm_that_fails_is_a_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(**_: object) -> None:
        raise OSError("no freeze today")

    monkeypatch.setattr(freezethreads, "freeze", fail)
    account = storm_over(tmp_path / "journal", 1)
    assert "no freeze today" in account.faults[0]


def test_storm_freezes_without_the_collector(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A finalizer that it called in the controller could wait for a frozen thread for ever."""
    seen = []

    def look(**_: object) -> None:
        seen.append(gc.isenabled())
        raise OSError("no freeze today")

    monkeypatch.setattr(freezethreads, "freeze", look)
    storm_over(tmp_path / "journal", 1)
    assert seen == [False]
    assert gc.isenabled()


def test_storm_sees_who_moves(tmp_path: Path) -> None:
    """1. A thread that is said to be frozen. 2. It runs. 3. The look tells so, with its name."""
    over = threading.Event()

    def run_on() -> None:
        while not over.is_set():
            sum(range(100))

    thread, storm = start(run_on), Storm(WEATHER, Journal(str(tmp_path / "journal")))
    try:
        moved = [storm._watch({thread.ident or 0: "runner"}) for _ in range(100)]
    finally:
        over.set()
        thread.finish()
    assert any("runner at" in "".join(each) for each in moved) is can_look()


@pytest.mark.skipif(not HAS_GIL, reason="this build cannot read a thread's frames")
def test_storm_holds_the_freezer_to_what_it_says_of_deadlocks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """1. It is said of a thread that it can never go on. 2. It goes on."""

    def is_at_rest(thread: threading.Thread) -> bool:
        before = stacks_of_all()[thread.ident or 0]
        thread.join(0.01)
        return stacks_of_all()[thread.ident or 0] == before

    first, second = threading.Lock(), threading.Lock()

    def wait_for_both() -> None:
        with first, second:
            pass

    second.acquire()
    thread = start(wait_for_both)
    wait_until(lambda: first.locked() and "with first, second" in stack_of(thread))
    wait_until(lambda: is_at_rest(thread))
    site = Site(None, "call", "file", 1, "function")
    edge = Edge("waiter", thread.ident or 0, "a lock", "nobody", site, None, None)
    monkeypatch.setattr(freezethreads, "deadlocks", lambda: (Deadlock((edge,), (), False),))
    path = tmp_path / "journal"
    verdicts = Verdicts(Journal(str(path)))
    verdicts.look()
    verdicts.look()
    assert read(path).stuck == [1, 1]
    assert not read(path).faults
    second.release()
    thread.finish()
    verdicts.look()
    (fault,) = read(path).faults
    assert "which can never be: a deadlock of 1 thread:" in fault
