"""What the two ways of running a suite say about each of its tests, and about the storm.

A suite is run once without us, and then in a storm, until enough freezes had a thread in them. A
test which came out in the storm as alone is settled. Any other one is run again, so and so many
times each way. Then it is *flaky without us too* if every outcome that it had in the storm came
alone as well, and else *broken by the storm*. Counts are kept and shown. What is excluded is not
run in the storm.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from storms.journal import GOOD
from storms.suites import Run, Suite

SAME = "as alone"
FAILS_ALONE = "fails without us too"
FLAKY_ALONE = "flaky without us too"
EXCLUDED = "excluded"
BROKEN = "broken by the storm"

ABSENT = "did not run"

Runner = Callable[[Sequence[str], bool], Run]
"""Runs some tests, all of them if there are none named; with True: in a storm."""


@dataclass
class Tally:
    """The outcomes of one test: how often each came, alone and in the storm."""

    alone: Counter[str] = field(default_factory=Counter)
    storm: Counter[str] = field(default_factory=Counter)
    detail: str = ""
    """What it had to say when it failed in the storm, if it did."""

    @property
    def verdict(self) -> str:
        if not set(self.storm) <= set(self.alone):
            return BROKEN
        if len(self.alone) > 1:
            return FLAKY_ALONE
        return SAME if set(self.alone) <= GOOD else FAILS_ALONE


@dataclass
class Result:
    """All that there is to say about one suite."""

    suite: Suite
    missing: bool = False
    """Whether this Python does not have the suite at all."""
    enough: int = 1
    """How many freezes have to stand with a thread in them, besides the main one."""
    alone: Run = field(default_factory=Run)
    storm: Run = field(default_factory=Run)
    """All runs of the whole suite in a storm. Those of single tests count in the tallies alone."""
    storms: int = 0
    """How many runs that were."""
    tallies: dict[str, Tally] = field(default_factory=dict)

    def verdict_on(self, test: str) -> str:
        """One of the words above."""
        return EXCLUDED if test in self.suite.excluded else self.tallies[test].verdict

    def tests_that_are(self, verdict: str) -> list[str]:
        """The names of the tests with this verdict."""
        return [test for test in self.tallies if self.verdict_on(test) == verdict]

    @property
    def freezes_with_threads(self) -> int:
        """How many freezes stood with a thread in them, besides the main one."""
        return sum(count > 0 for count in self.storm.account.stood)

    @property
    def wants_storm(self) -> bool:
        """Whether one more storm over the suite is to be tried: too little was frozen so far."""
        return self.freezes_with_threads < self.enough and not self.storm.deaths

    @property
    def problems(self) -> list[str]:
        """Why this suite does not pass, apart from the tests that are broken."""
        faults = self.storm.account.faults
        found = [f"the freezer's own fault, 1 of {len(faults)}: {fault}" for fault in faults[:1]]
        found += [f"without us its process ended with {death}" for death in self.alone.deaths]
        found += [f"in the storm its process ended with {death}" for death in self.storm.deaths]
        if not self.tallies:
            found.append("no test was run")
        if self.freezes_with_threads < self.enough:
            found.append(
                f"a storm that proves nothing: {self.freezes_with_threads} freezes with a thread "
                f"besides the main one in {self.storms} runs, and {self.enough} are asked for"
            )
        return found

    @property
    def passed(self) -> bool:
        """Whether nothing was found against us, and enough was tried."""
        return not (self.missing or self.problems or self.tests_that_are(BROKEN))

    def count(
        self, tests: Iterable[str], alone: Run | None = None, storm: Run | None = None
    ) -> None:
        """Count how these tests came out in a run."""
        for test in tests:
            tally = self.tallies.setdefault(test, Tally())
            if alone is not None:
                tally.alone[alone.account.outcomes.get(test, ABSENT)] += 1
            if storm is not None:
                tally.storm[storm.account.outcomes.get(test, ABSENT)] += 1
                tally.detail = tally.detail or storm.account.details.get(test, "")


def judge(suite: Suite, runner: Runner, retries: int, enough: int, storms: int) -> Result:
    """Run the suite both ways, in at most so many storms, and again what differs."""
    result = Result(suite, enough=enough)
    result.alone = runner((), False)
    result.count(result.alone.account.outcomes, alone=result.alone)
    while result.wants_storm and result.storms < storms:
        run_in_storm(result, runner)
    differing = result.tests_that_are(BROKEN)
    for _ in range(retries if differing else 0):
        again = runner(differing, True)
        result.count(differing, runner(differing, False), again)
        result.storm.account.faults += again.account.faults
    return result


def run_in_storm(result: Result, runner: Runner) -> None:
    """Run the whole suite in one more storm."""
    known = [test for test in result.tallies if test not in result.suite.excluded]
    run = runner(known, True)
    result.storms += 1
    result.storm.add(run)
    extra = [test for test in run.account.outcomes if test not in result.tallies]
    result.count(extra, alone=Run())
    result.count([*known, *extra], storm=run)
