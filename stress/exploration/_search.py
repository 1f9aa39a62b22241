"""The search: every schedule with few preemptions, but those that cannot differ from another.

It begins with the schedule without preemptions and branches: at each stretch of a run that the
schedule has left open, another actor may be chosen where the last one could not go on (for
nothing), or may come in before some step (which is a preemption). Two such steps make no
difference if the steps in between touch nothing that the others touched meanwhile, one of them
writing: so after each run the search goes on behind the first step that does.

Two runs are in the same state if the same steps were made so far, and those that touch the same
things in the same order. What goes on from there is explored once.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from dataclasses import dataclass, field
from time import monotonic

from stress.exploration._actor import Step
from stress.exploration._interruption import Sites
from stress.exploration._run import MISFIT, Run
from stress.exploration._schedule import Schedule, Segment
from stress.exploration._stage import Scenario, Stage

COLLECT = 200
"""Runs between two collections of garbage, of which there is none during a run."""


@dataclass
class Verdict:
    """What came of one scenario."""

    scenario: str
    preemptions: int
    schedules: int = 0
    steps: int = 0
    seconds: float = 0.0
    completed: int = -1
    """With so many preemptions every schedule was run (-1: not even those without any)."""
    misfits: int = 0
    """Schedules that could not be followed, since the program went another way than before."""
    finding: str = ""
    schedule: str = ""
    interrupted_at: str = ""
    stacks: dict[str, str] = field(default_factory=dict)

    @property
    def exhausted(self) -> bool:
        """Whether all that was asked for was run."""
        return self.completed == self.preemptions


class Explorer:
    """Runs the schedules of one scenario."""

    def __init__(self, scenario: Scenario) -> None:
        self._scenario = scenario
        self._sites = 0
        self._seen: dict[tuple[int, int], int] = {}

    def explore(self, preemptions: int, seconds: float) -> Verdict:
        """Run every schedule with so many preemptions, for so long at most, until one fails."""
        verdict = Verdict(self._scenario.name, preemptions)
        began = monotonic()
        gc.collect()
        gc.disable()
        try:
            for bound in range(preemptions + 1):
                for run, schedule in self._runs(bound):
                    verdict.schedules += 1
                    verdict.steps += len(run.steps)
                    if run.finding.startswith(MISFIT):
                        verdict.misfits += 1
                    elif run.finding:
                        _note(verdict, run, schedule)
                        return verdict
                    if monotonic() - began > seconds:
                        return verdict
                    if verdict.schedules % COLLECT == 0:
                        gc.collect()
                if verdict.misfits:
                    return verdict
                verdict.completed = bound
        finally:
            gc.enable()
            verdict.seconds = monotonic() - began
        return verdict

    def replay(self, schedule: Schedule) -> Verdict:
        """Run that one schedule."""
        verdict = Verdict(self._scenario.name, 0, 1)
        began = monotonic()
        run = self.run(schedule)
        verdict.steps, verdict.seconds = len(run.steps), monotonic() - began
        if run.finding:
            _note(verdict, run, schedule)
        return verdict

    def run(
        self, schedule: Schedule, earlier: Run | None = None, repeated: int = 0, known: int = 0
    ) -> Run:
        """Run it, and see whether all is well in the end. For the rest see `Run`."""
        run = Run(schedule, earlier, repeated, known)
        stages: list[Stage] = []

        def set_stage() -> None:
            stages.append(stage := Stage(run))
            if schedule.site is not None:
                run.sites = Sites(run, self._scenario.target, schedule.site)
                run.sites.interrupt = stage.interrupt
            self._scenario.set_stage(stage)

        run.go(set_stage)
        if not run.finding:
            stages[0].check_end()
        if run.sites is not None:
            self._sites = max(self._sites, run.sites.count)
        return run

    def _runs(self, bound: int) -> Iterator[tuple[Run, Schedule]]:
        """Every run with `bound` preemptions, and those that lead there.

        With an interruption, which is one, a bound of 0 is for each in the schedule of the rule.
        """
        self._seen.clear()
        if not self._scenario.target:
            yield from self._branch(Schedule(), bound)
            return
        site = 0
        while site == 0 or site <= self._sites:
            self._seen.clear()
            schedule = Schedule((), site)
            if bound:
                yield from self._branch(schedule, bound - 1)
            else:
                yield self.run(schedule), schedule
            site += 1

    def _branch(
        self,
        schedule: Schedule,
        left: int,
        earlier: Run | None = None,
        repeated: int = 0,
        known: int = 0,
    ) -> Iterator[tuple[Run, Schedule]]:
        """The run of `schedule`, and of all that go on otherwise where it leaves that open."""
        run = self.run(schedule, earlier, repeated, known)
        yield run, schedule
        if run.finding:
            return
        states = states_of(run.steps)
        fixed = len(schedule.segments)
        end = self._mark(run, states, max(fixed - 1, run.opened), left)
        for number in range(max(fixed, run.opened), len(run.stretches)):
            stretch = run.stretches[number]
            if stretch.forced and stretch.start < end:
                for other in _bits(stretch.choices & ~(1 << stretch.actor)):
                    segments = (*run.schedule()[:number], Segment(run.name_of(other)))
                    if self._is_new(states[stretch.start], other, left):
                        branch = Schedule(segments, schedule.site)
                        yield from self._branch(branch, left, run, number, stretch.start)
        if left:
            for number in range(max(fixed - 1, run.opened), len(run.stretches)):
                yield from self._preempt(run, schedule, number, states, end, left)

    def _mark(self, run: Run, states: list[int], number: int, left: int) -> int:
        """Note the states that the run has come to by itself. Returns where it came to an old one.

        It is explored from there on by the run that was there first. The state at the beginning of
        a stretch was looked up by whoever has chosen it.
        """
        for stretch, following in zip(
            run.stretches[number:], [*run.stretches[number + 1 :], None], strict=True
        ):
            end = len(run.steps) if following is None else following.start
            for at in range(stretch.start + 1, end):
                if not self._is_new(states[at], stretch.actor, left):
                    return at
        return len(run.steps) + 1

    def _is_new(self, state: int, actor: int, left: int) -> bool:
        """Whether nobody has gone on with that actor in that state; from now on somebody has."""
        if self._seen.get((state, actor), -1) >= left:
            return False
        self._seen[state, actor] = left
        return True

    def _preempt(
        self,
        run: Run,
        schedule: Schedule,
        number: int,
        states: list[int],
        limit: int,
        left: int,
    ) -> Iterator[tuple[Run, Schedule]]:
        """Have others come in during one stretch of the run."""
        stretch = run.stretches[number]
        following = run.stretches[number + 1 : number + 2]
        end = min(limit, following[0].start if following else len(run.steps))
        actor = run.name_of(stretch.actor)
        others = 0
        if self._scenario.preempted and actor not in self._scenario.preempted:
            return
        for step in run.steps[stretch.start : end]:
            others |= step.enabled
        for other in _bits(others):
            at = stretch.start + (1 if stretch.forced and stretch.choices >> other & 1 else 0)
            while at < end:
                enabled = run.steps[at].enabled >> other & 1
                if not (enabled and self._is_new(states[at], other, left - 1)):
                    at += 1
                    continue
                before = (*run.schedule()[:number], Segment(actor, at - stretch.start))
                segments = (*before, Segment(run.name_of(other)))
                child = None
                branch = Schedule(segments, schedule.site)
                for child_run, child_schedule in self._branch(
                    branch, left - 1, run, number + 1, at
                ):
                    child = child or child_run
                    yield child_run, child_schedule
                assert child is not None
                at = _first_that_matters(child, at, stretch.actor, left > 1) + 1


def _first_that_matters(run: Run, at: int, actor: int, all_of_it: bool) -> int:
    """The first step of the preempted actor that conflicts with what the others did meanwhile.

    As its number in the run without that preemption. `all_of_it`: with whatever they did from
    there on, since another preemption may put that in between as well.
    """
    later = run.steps[at:]
    skipped = 0
    while skipped < len(later) and later[skipped].actor != actor:
        skipped += 1
    others = [step for step in later if step.actor != actor]
    meanwhile = others if all_of_it else later[:skipped]
    read, written = _touched(meanwhile)
    for number, step in enumerate(later[skipped:]):
        if step.actor != actor:
            return len(run.steps)
        for cell in step.cells:
            if cell in written or (step.writes and cell in read):
                return at + number
    return len(run.steps)


def states_of(steps: list[Step]) -> list[int]:
    """A number for the state before each step, and for the last one."""
    writers: dict[object, tuple[int, int]] = {}
    readers: dict[object, int] = {}
    counts: dict[int, int] = {}
    states = [0]
    for step in steps:
        count = counts[step.actor] = counts.get(step.actor, 0) + 1
        name = (step.actor, count)
        before: list[object] = [name]
        for cell in step.cells:
            before.append(writers.get(cell))
            if step.writes:
                before.append(readers.pop(cell, 0))
                writers[cell] = name
            else:
                readers[cell] = readers.get(cell, 0) + hash(name)
        states.append(states[-1] + hash(tuple(before)))
    return states


def _touched(steps: list[Step]) -> tuple[set[object], set[object]]:
    read: set[object] = set()
    written: set[object] = set()
    for step in steps:
        (written if step.writes else read).update(step.cells)
    return read, written


def _bits(bits: int) -> Iterator[int]:
    return (index for index in range(bits.bit_length()) if bits >> index & 1)


def _note(verdict: Verdict, run: Run, schedule: Schedule) -> None:
    verdict.finding = run.finding
    verdict.stacks = run.stacks
    verdict.schedule = str(schedule)
    if run.sites is not None:
        verdict.interrupted_at = run.sites.reached
