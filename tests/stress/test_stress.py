"""``python -m stress``: its command line, its verdict, and processes that do not end well."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from freezethreads.testing import Plan, Result
from helpers import ROOT, run_python
from stress import _cli
from stress._cli import main
from stress._job import Job
from stress._launch import run_job
from stress_results import passed

SCENARIOS = str(ROOT / "tests" / "support" / "stress_scenarios.py")
QUICK = ("--seconds", "0.3", "--python-switch-interval", "0.0005")


def run(scenario: str, *, seconds: float = 0.2, patience: float = 2.0) -> Result:
    """Run one of the tests' scenarios in a process of its own."""
    plan = Plan("seed", seconds, patience=patience, switch_interval=0.0005)
    return run_job(Job(scenario, plan, SCENARIOS))


def test_a_scenario_that_passes(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """All of them are run with the mutants, which takes longer, and once will do."""
    file = tmp_path / "out.json"
    arguments = [*QUICK, "--scenario", "bank", "--seed", "abc", "--threads", "4"]
    assert main([*arguments, "--json", str(file)]) == 0
    out = capsys.readouterr().out
    assert out.startswith("seed abc, 4 threads, 0.3 s shared out")
    assert any(
        line.split()[0] == "bank" and line.endswith("  ok") for line in out.splitlines() if line
    )
    assert "the scenario passed: " in out
    content = json.loads(file.read_text())
    (result,) = [Result.from_dict(result) for result in content["results"]]
    assert (content["seed"], result.seed, result.scenario) == ("abc", "abc", "bank")
    assert result.passed
    assert result.freezes


def test_each_scenario_runs_for_the_same_time(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """However long its process takes to start and to end."""
    times: list[float] = []

    def run_late(job: Job, *_: object) -> Result:
        times.append(job.plan.seconds)
        time.sleep(0.02)  # what starting and ending take, which is not the scenario's
        return passed(job.scenario)

    monkeypatch.setattr(_cli, "run_job", run_late)
    assert main(["--seconds", "0.3", "--scenario", "bank", "churn", "wakers"]) == 0
    assert times == [pytest.approx(0.1)] * 3


def test_a_violation_is_printed_with_all_that_is_known(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*QUICK, "--load", SCENARIOS, "--scenario", "torn", "sound", "--seed", "x"]) == 1
    out = capsys.readouterr().out
    assert "a pair is torn" in out
    assert "the stack of count-0" in out
    assert "in between" in out
    assert "the last events of count-0:" in out
    assert "parked between the halves" in out
    assert f"again: python -m stress --load {SCENARIOS} --scenario torn --seed x" in out
    assert "1 of 2 scenarios FAILED: torn" in out


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--scenario", "nobody"], "no scenario nobody; there are bank"),
        (["--seconds", "0"], "argument --seconds: must be a number of seconds above 0, not '0'"),
        (["--threads", "none"], "argument --threads: must be a whole number of 1 or more"),
        (["--load", "absent.py"], "absent.py cannot be loaded: FileNotFoundError"),
        (["--load", "README.md"], "README.md is no Python file"),
        (["--load", "setup.py"], "setup.py defines no freezethreads.testing.Scenario"),
        (["--nonsense"], "unrecognized arguments: --nonsense"),
    ],
)
def test_wrong_use_is_one_line_and_status_2(
    arguments: list[str],
    problem: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("README.md").touch()
    Path("setup.py").touch()
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"python -m stress: {problem}")
    assert err.count("\n") == 1


def test_a_process_that_dies_is_reported_with_its_last_words() -> None:
    result = run("crashing")
    assert [each.what for each in result.findings] == [
        "the process has not reported a result; it was ended by SIGABRT"
    ]
    assert "in teardown" in result.output


def test_a_process_that_does_not_end_is_ended() -> None:
    result = run("lingering", patience=0.3)
    assert "has reported a result, and then it did not end" in result.findings[0].what
    assert "Thread 0x" in result.output


def test_a_process_that_hangs_is_given_up() -> None:
    result = run("stuck", seconds=60, patience=0.3)
    assert result.hung == ["hang-1"]
    assert "in hang" in "".join(result.stacks.values())


def test_ctrl_c_ends_it_with_a_verdict() -> None:
    code = "import sys; from stress import _cli; _cli.TELL_EVERY = 0.1; "
    code += "sys.exit(_cli.main(sys.argv[1:]))"
    command = [sys.executable, "-W", "error", "-c", code, "--scenario", "bank", "pipeline"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        limit = threading.Timer(30, process.kill)
        limit.start()
        assert process.stdout is not None
        out = ""
        while "bank:" not in out:  # the first line of progress
            line = process.stdout.readline()
            assert line, out
            out += line
        process.send_signal(signal.SIGINT)
        out += process.stdout.read()
        status = process.wait()
        limit.cancel()
    assert status == 130, out
    assert "ok, interrupted" in out
    assert "interrupted in scenario 1 of 2, without a violation so far" in out


def test_peers_run_with_big_numbers() -> None:
    code = "import sys; from stress._cli import main; sys.exit(main(sys.argv[1:]))"
    result = run_python(code, "--peers", "cgroup", "simple")
    assert result.stdout.startswith("cgroup simple: ")
    result = run_python(code, "--peers", "nothing like it", check=False)
    assert result.returncode == 2
    assert "no case has nothing like it" in result.stdout
