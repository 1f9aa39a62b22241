"""The storms: what runs in one is compared test by test, and a storm that is none is a failure."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

import _storm
from helpers import ROOT, start
from storms import packages, report
from storms.journal import DIED, LITTER, Account
from storms.packages import PACKAGES, FetchError, fetch
from storms.suites import MODULES, Run, Suite, standard
from storms.verdicts import BROKEN, EXCLUDED, FAILS_ALONE, FLAKY_ALONE, SAME, Tally, judge

# One test that our presence breaks, one that fails anyway, one with threads that wait.
THREADED = """
import queue, sys, threading

def test_does_not_know_us(): assert "freezethreads" not in sys.modules
def test_fails(): assert 0
def test_echoes():
    questions, answers = queue.Queue(), queue.Queue()
    def echo():
        while (question := questions.get()) is not None: answers.put(question)
    threads = [threading.Thread(target=echo) for _ in range(3)]
    for thread in threads: thread.start()
    for number in range(1000):
        questions.put(number)
        assert answers.get() == number
    for thread in threads: questions.put(None)
    for thread in threads: thread.join()
"""


# The verdicts.


def run_of(outcomes: Mapping[str, str], stood: Sequence[int] = ()) -> Run:
    return Run(Account(outcomes=dict(outcomes), stood=list(stood), status=0))


class Script:
    """Plays runs: for each way a list of what each run gives, the last one for ever."""

    def __init__(self, alone: Sequence[Run], storm: Sequence[Run]) -> None:
        self.runs = {False: list(alone), True: list(storm)}
        self.asked: list[tuple[list[str], bool]] = []

    def __call__(self, tests: Sequence[str], storm: bool) -> Run:
        self.asked.append((list(tests), storm))
        runs = self.runs[storm]
        return runs.pop(0) if len(runs) > 1 else runs[0]


SUITE = Suite("sample", "pytest", (), excluded={"known": "it asserts that nobody is there"})


def verdict_of(alone: Sequence[str], storm: Sequence[str], test: str = "t") -> str:
    script = Script(
        [run_of({test: outcome}) for outcome in alone],
        [run_of({test: outcome}, [1]) for outcome in storm],
    )
    return judge(SUITE, script, retries=3, enough=1, storms=1).verdict_on(test)


@pytest.mark.parametrize(
    ("alone", "storm", "verdict"),
    [
        (["passed"], ["passed"], SAME),
        (["skipped"], ["skipped"], SAME),
        (["failed"], ["failed"], FAILS_ALONE),
        (["passed" + LITTER], ["passed" + LITTER], FAILS_ALONE),
        (["passed"], ["failed"], BROKEN),
        (["passed"], ["skipped"], BROKEN),
        (["passed"], ["passed" + LITTER], BROKEN),
        (["passed"], [DIED], BROKEN),
        (["passed"], ["failed", "passed"], BROKEN),  # once is enough
        (["passed", "passed", "failed", "passed"], ["failed", "passed"], FLAKY_ALONE),
        (["failed"], ["passed"], BROKEN),  # not understood, so not passed over
        (["failed", "passed"], ["passed"], FLAKY_ALONE),
    ],
)
def test_verdict(alone: Sequence[str], storm: Sequence[str], verdict: str) -> None:
    assert verdict_of(alone, storm) == verdict


def test_what_is_excluded_is_not_run_in_the_storm() -> None:
    alone = run_of({"a": "passed", "known": "passed"})
    script = Script([alone], [run_of({"a": "passed"}, [1])])
    result = judge(SUITE, script, retries=1, enough=1, storms=1)
    assert script.asked == [([], False), (["a"], True)]
    assert result.tests_that_are(EXCLUDED) == ["known"]
    assert result.passed


def test_test_that_did_not_run_in_the_storm_is_broken() -> None:
    script = Script([run_of({"a": "passed", "b": "passed"})], [run_of({"a": "passed"}, [1])])
    result = judge(SUITE, script, retries=1, enough=1, storms=1)
    assert result.tests_that_are(BROKEN) == ["b"]
    assert not result.passed


def test_what_differs_is_run_again_both_ways_and_counted() -> None:
    alone = run_of({"a": "passed", "b": "passed"})
    script = Script([alone], [run_of({"a": "passed", "b": "error"}, [1]), alone])
    result = judge(SUITE, script, retries=2, enough=1, storms=1)
    assert script.asked[2:] == [(["b"], True), (["b"], False)] * 2
    assert result.tallies["b"] == Tally(Counter(passed=3), Counter(error=1, passed=2))
    assert result.tallies["a"] == Tally(Counter(passed=1), Counter(passed=1))


def test_storms_are_repeated_until_enough_freezes_had_threads() -> None:
    script = Script([run_of({"a": "passed"})], [run_of({"a": "passed"}, [0, 2, 1, 0])])
    result = judge(SUITE, script, retries=1, enough=5, storms=10)
    assert (result.storms, result.freezes_with_threads) == (3, 6)
    assert result.passed


@pytest.mark.parametrize("stood", [[], [0] * 100, [1] * 4])
def test_storm_that_froze_too_few_proves_nothing(stood: Sequence[int]) -> None:
    script = Script([run_of({"a": "passed"})], [run_of({"a": "passed"}, stood)])
    result = judge(SUITE, script, retries=1, enough=5, storms=1)
    assert not result.passed
    assert "proves nothing" in result.problems[0]


@pytest.mark.parametrize("faulty", [1, 2])
def test_fault_of_the_freezer_is_found_in_every_storm(faulty: int) -> None:
    runs = [run_of({"a": outcome}, [1]) for outcome in ("failed", "passed")]
    runs[faulty - 1].account.faults.append("it moved")
    result = judge(SUITE, Script([run_of({"a": "passed"})], runs), 1, 1, 1)
    assert result.problems == ["the freezer's own fault, 1 of 1: it moved"]


def test_suite_that_dies_or_has_no_tests_does_not_pass() -> None:
    for alone, storm in ((["status 1"], []), ([], ["status 1"])):
        runs = [run_of({"a": "passed"}, [1]) for _ in range(2)]
        runs[0].deaths += alone
        runs[1].deaths += storm
        assert not judge(SUITE, Script(runs[:1], runs[1:]), 1, 1, 1).passed
    assert not judge(SUITE, Script([run_of({})], [run_of({}, [1])]), 1, 1, 1).passed


# The script.


def test_storm_over_a_suite_tells_what_it_breaks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "test_sample.py").write_text(THREADED)
    monkeypatch.chdir(tmp_path)
    options = ["--at-least", "1", "--retries", "1", "--json", "storm.json", "--pytest", "-q"]
    assert _storm.main(options) == 1
    (suite,) = json.loads(Path("storm.json").read_text())["suites"]
    tests = {test.partition("::")[2]: found["verdict"] for test, found in suite["tests"].items()}
    assert tests == {
        "test_does_not_know_us": BROKEN,
        "test_fails": FAILS_ALONE,
        "test_echoes": SAME,
    }
    assert not suite["problems"]
    assert suite["freezes"]["stood_with_threads"] >= 1
    assert max(int(count) for count in suite["freezes"]["by_threads"]) == 3
    output = capsys.readouterr().out
    assert "broken by the storm: test_sample.py::test_does_not_know_us" in output
    # There are as many storms as it takes until a thread stood in one, and then one more try.
    assert re.search(r"alone passed 2 of 2; in the storm failed (\d+) of \1\b", output)
    assert "1 of 1 suites FAILED" in output


def test_script_takes_its_suite_with_it_when_it_is_terminated(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    (tmp_path / "test_sample.py").write_text(
        f"import time\ndef test_hangs():\n    file = open({str(fifo)!r}, 'w')\n    time.sleep(60)\n"
    )
    script = Path(ROOT, "tools", "_storm.py")
    command = [sys.executable, str(script), "--pytest", "-q"]
    with (
        subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL) as process,
        start(fifo.open).finish() as file,  # which the suite has open, and never writes to
    ):
        process.terminate()
        assert start(file.read).finish() == ""
    assert process.returncode == 128 + signal.SIGTERM


def test_suite_that_this_python_lacks(capsys: pytest.CaptureFixture[str]) -> None:
    assert _storm.main(["test_of_no_python"]) == 1
    output = capsys.readouterr().out
    assert "test_of_no_python     cannot be had for this Python" in output
    assert "1 not to be had for this Python" in output


def test_python_without_the_tests_of_its_library(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not standard("queue.py").is_there()
    monkeypatch.setitem(sys.modules, "test", None)
    assert not standard("test_queue").is_there()


@pytest.mark.parametrize(
    "arguments",
    [
        ["--every", "0"],
        ["--timeout", "nan"],
        ["--at-least", "0"],
        ["--retries", "x"],
        ["test_queue", "--pytest", "tests"],
        ["--match", "x", "--pytest"],
    ],
)
def test_bad_options(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        _storm.parse(arguments)
    assert caught.value.code == 2


def test_all_suites_of_the_design_are_run() -> None:
    wanted = ["threading", "thread", "queue", "threading_local", "sched", "logging"]
    assert [f"test_{name}" for name in wanted] == list(MODULES)
    assert len(PACKAGES) >= 2
    for package in PACKAGES:
        assert all("==" in needed for needed in (package.requirement, *package.needs))


def test_every_exclusion_has_its_reason_shown() -> None:
    script = Script([run_of({"known": "passed"})], [run_of({}, [1])])
    result = judge(SUITE, script, 1, 1, 1)
    assert "excluded (it asserts that nobody is there): known" in "".join(report.remarks(result))


def test_package_is_fetched_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "CACHE", tmp_path)
    downloads = []

    def download(package: packages.Package) -> None:
        downloads.append(package.name)
        (package.folder / "source" / "pykka-1").mkdir(parents=True)

    monkeypatch.setattr(packages, "_download", download)
    suites = [fetch(PACKAGES[0]) for _ in range(2)]
    assert downloads == ["pykka"]
    assert suites[0] == suites[1]
    assert suites[0].folder is not None
    assert suites[0].folder.name == "pykka-1"


def test_package_that_cannot_be_had(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "CACHE", tmp_path)
    monkeypatch.setattr(sys, "executable", "/bin/false")
    for _ in range(2):  # what was begun and not done does not count
        with pytest.raises(FetchError, match="pip"):
            fetch(PACKAGES[0])
    with pytest.raises(SystemExit, match="tools/storm: status 1"):
        _storm.main(["pykka"])


def test_script_is_where_it_is_looked_for() -> None:
    assert Path(ROOT, "tools", "storm").stat().st_mode & 0o111
