"""The explorer of interleavings, on programs so small that one sees what it has to find."""

from __future__ import annotations

import gc
import json
import math
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from freezethreads._ground.completion import Bell, Completion
from helpers import start
from stress._cli import main
from stress.exploration import scenarios
from stress.exploration._core import ModelLock, core_files, modelled
from stress.exploration._schedule import Schedule, Segment, parse
from stress.exploration._search import Explorer, Verdict
from stress.exploration._stage import Scenario, Stage
from stress.exploration.scenarios import SCENARIOS
from stress.mutants import MUTANTS

ROOT = Path(__file__).resolve().parents[2]
FOR_EVER = math.inf  # a search that hangs ends with the time of its test


@pytest.fixture(autouse=True)
def _models() -> Iterator[None]:
    gc.disable()  # what a collection finalizes takes steps of its own
    try:
        with modelled(__file__):
            yield
    finally:
        gc.enable()


class Account:
    """Two threads pay in: at once, or one after the other."""

    def __init__(self) -> None:
        self.balance = 0
        self.lock = ModelLock()

    def pay_in(self) -> None:
        """Read, and then write: what came in between is lost."""
        balance = self.balance
        self.balance = balance + 1

    def pay_in_locked(self) -> None:
        """The same, one after the other."""
        self.lock.acquire()
        self.pay_in()
        self.lock.release()


def explore(set_stage: Callable[[Stage], None], preemptions: int = 2) -> tuple[Explorer, Verdict]:
    """Explore a program whose shared state is in this file."""
    scenario = Scenario("a test's", "what the test says", set_stage)
    explorer = Explorer(scenario)
    return explorer, explorer.explore(preemptions, FOR_EVER)


def pay(act: Callable[[Account], None]) -> Callable[[Stage], None]:
    """A scenario in which two actors pay into one account."""

    def set_stage(stage: Stage) -> None:
        account = Account()
        stage.actor("A", lambda: act(account))
        stage.actor("B", lambda: act(account))
        stage.at_end(lambda: "" if account.balance == 2 else f"the balance is {account.balance}")

    return set_stage


def test_it_finds_a_lost_update_and_runs_the_schedule_again() -> None:
    explorer, verdict = explore(pay(Account.pay_in))
    assert verdict.finding == "the balance is 1"
    again = explorer.replay(parse(verdict.schedule))
    assert again.finding == verdict.finding


def test_no_update_is_lost_without_a_preemption() -> None:
    _, verdict = explore(pay(Account.pay_in), 0)
    assert not verdict.finding
    assert verdict.exhausted


def test_the_mended_program_passes_every_schedule() -> None:
    _, verdict = explore(pay(Account.pay_in_locked))
    assert not verdict.finding
    assert verdict.exhausted
    assert verdict.completed == 2


def cross(stage: Stage) -> None:
    """Two actors take two locks in different orders."""
    first, second = ModelLock(), ModelLock()

    def lock_both(one: ModelLock, other: ModelLock) -> None:
        one.acquire()
        other.acquire()
        other.release()
        one.release()

    stage.actor("A", lambda: lock_both(first, second))
    stage.actor("B", lambda: lock_both(second, first))


def finding_of(expression: str) -> tuple[str, dict[str, str]]:
    """What a verdict says, and where everybody was.

    In a process of its own, since the threads of a deadlock stay where they are.
    """
    program = (
        "import json, test_explore as t\n"
        f"with t.modelled(t.__file__): v = {expression}\n"
        "print(json.dumps([v.finding, v.stacks]))"
    )
    path = os.pathsep.join((str(ROOT), str(Path(__file__).parent), str(ROOT / "tests" / "support")))
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=50,
    )
    assert done.returncode == 0, done.stderr
    finding, stacks = json.loads(done.stdout)
    return finding, stacks


def test_it_finds_a_deadlock_with_the_stacks_of_all() -> None:
    finding, stacks = finding_of("t.explore(t.cross)[1]")
    assert finding == "a deadlock: nobody can go on"
    assert {*stacks} == {"A", "B"}
    assert all("lock_both" in stack for stack in stacks.values())


def test_it_says_how_far_it_came_when_the_time_is_up() -> None:
    scenario = SCENARIOS["overlap"]
    verdict = Explorer(scenario).explore(2, 0)
    assert not verdict.exhausted
    assert verdict.completed < 2


def test_a_schedule_that_does_not_fit_is_no_finding_about_the_program() -> None:
    explorer = Explorer(Scenario("a test's", "", pay(Account.pay_in)))
    verdict = explorer.replay(parse("nobody"))
    assert verdict.finding == "the schedule does not fit this program: nobody cannot go on there"


@pytest.mark.parametrize("text", ["", "A", "A B:3 A", "A:12 B !7", "!7 !9"])
def test_a_schedule_is_read_as_it_was_printed(text: str) -> None:
    assert str(parse(text)) == text


def test_a_schedule_has_its_parts() -> None:
    assert parse("A:2 B !3") == Schedule((Segment("A", 2), Segment("B")), (3,))
    with pytest.raises(ValueError, match="no part of a schedule"):
        parse("A:x")


def test_a_run_that_repeats_another_ends_as_it_does_from_the_start() -> None:
    explorer = Explorer(SCENARIOS["double-thaw"])
    whole = explorer.run(Schedule()).trace
    for number in range(whole.opened + 1, len(whole.stretches)):
        at = whole.stretches[number].start
        begun = Schedule(whole.segments()[: number + 1])
        again = explorer.run(begun, whole.until(number, at))
        assert not again.finding
        assert again.trace == whole


@pytest.mark.parametrize("name", ["park", "leave-and-time-out"])
def test_a_scenario_passes_with_two_preemptions(name: str) -> None:
    verdict = Explorer(SCENARIOS[name]).explore(2, FOR_EVER)
    assert not verdict.finding
    assert not verdict.misfits
    assert verdict.exhausted


def explore_by_command(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run ``python -m stress --explore`` with these arguments."""
    command = [sys.executable, "-m", "stress", "--explore", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=200)


def test_an_actor_that_is_lost_makes_no_step_any_more_and_leaves_no_thread() -> None:
    made: list[str] = []

    def set_stage(stage: Stage) -> None:
        def lose() -> None:
            stage.run.lose("A")
            stage.pause()

        def go_on() -> None:
            stage.pause()
            made.append("a step")

        stage.actor("A", go_on)
        stage.actor("B", lose)

    before = threading.active_count()
    verdict = Explorer(Scenario("a test's", "", set_stage)).replay(parse("A B A:1 B"))
    assert not verdict.finding
    assert not made
    assert threading.active_count() == before


def test_the_command_line_writes_what_it_found(tmp_path: Path) -> None:
    file = tmp_path / "verdicts.json"
    done = explore_by_command("park", "--preemptions", 1, "--json", file)
    assert done.returncode == 0, done.stdout + done.stderr
    (verdict,) = json.loads(file.read_text())["verdicts"]
    assert verdict["scenario"] == "park"
    assert verdict["completed"] == 1
    assert "1 scenarios, 0 with a finding, 0 not exhausted" in done.stdout


def test_it_finds_rules_that_are_broken(tmp_path: Path) -> None:
    """Three of them: ``tools/test --all`` has it find each."""
    file = tmp_path / "verdicts.json"
    names = ["newcomers-run", "item-taken-while-frozen", "looks-before-it-asks"]
    done = explore_by_command("--mutants", *names, "--json", file)
    assert done.returncode == 0, done.stdout + done.stderr
    verdicts = json.loads(file.read_text())["verdicts"]
    assert list(verdicts) == names
    assert all(verdict["finding"] for verdict in verdicts.values())


def test_each_mutant_names_a_scenario_that_is_there() -> None:
    assert {mutant.explored for mutant in MUTANTS.values()} <= {"", *SCENARIOS}


def test_a_mutant_that_is_not_found_fails() -> None:
    done = explore_by_command("park", "--mutants", "newcomer-keeps-nobody")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "0 of 1 mutants found" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["no-such"], "no scenario no-such; there are park, "),
        (["--mutants", "no-such"], "no mutant no-such; there are "),
        (["--mutants", "--schedule", "A"], "--schedule runs the freezer as it is: no --mutants"),
        (["--mutants", "child-inherits"], "no scenario is for child-inherits: name some"),
    ],
)
def test_what_the_explorer_cannot_do_it_says_at_once(
    arguments: list[str], problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--explore", *arguments])
    assert caught.value.code == 2
    assert problem in capsys.readouterr().err


def test_the_core_is_explored_where_threads_have_been_started_before() -> None:
    """A free-threaded 3.13 does not collect functions any more once there was a second thread."""
    start(len, ()).finish()
    with modelled():
        verdict = Explorer(SCENARIOS["park"]).explore(0, FOR_EVER)
    assert verdict.steps > 50 * verdict.schedules


def test_a_file_of_which_no_function_is_found_is_no_success(tmp_path: Path) -> None:
    file = tmp_path / "nobody_imports_me.py"
    file.write_text("def f(): pass\n")
    with pytest.raises(RuntimeError, match="no functions that could be explored"):
        modelled(str(file)).__enter__()


def test_every_file_of_the_protocol_is_explored() -> None:
    package = ROOT / "freezethreads"
    words = ("_ground.completion", "_registry.record", "_registry.status")
    files = [*package.glob("_*.py"), *(package / "sync").glob("_*.py")]
    of_protocol = {
        str(path)
        for path in files
        if any(f"from freezethreads.{word} import" in path.read_text() for word in words)
    }
    looking_on = ("_report.looks", "_report.observers", "_report.stragglers", "_report.statistics")
    onlookers = {str(package / f"{name}.py") for name in looking_on}
    assert of_protocol - onlookers <= set(core_files())


def test_every_pair_of_the_table_is_a_scenario_and_every_scenario_is_in_it() -> None:
    assert scenarios.__doc__ is not None
    named = re.findall(r"^`([a-z-]+)`", scenarios.__doc__, re.MULTILINE)
    assert sorted(named) == sorted(SCENARIOS)


def chain_through_all() -> Verdict:
    """The completion as if no thread could be kept by a signal handler."""

    def leave(self: Completion, bell: Bell) -> None:
        self._waiting.pop(bell, None)
        if self.done:
            self._wake_one()

    Completion.leave = leave  # type: ignore[method-assign]
    return Explorer(SCENARIOS["chain-and-handler"]).explore(1, FOR_EVER)


def test_a_chain_that_counts_on_the_main_thread_is_found() -> None:
    finding, _ = finding_of("t.chain_through_all()")
    assert finding == "a deadlock: nobody can go on"
