"""The search: every schedule with few preemptions, but those that cannot differ from another.

It begins with the schedule without preemptions. In each run it looks for races, and lets the second
step's actor come first: before the first step, which is a preemption if that is in the middle of a
stretch, and at the start of each stretch until then. What comes of these runs has races of its own,
also with steps that were made before they branched off. No actor is sent off twice in the same
state, unless it is with fewer preemptions than before.

This is bounded partial-order reduction (Coons, Musuvathi and McKinley, 2013). They go back to the
start of one stretch, the last; where states are known again, as here, that leaves something out.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from dataclasses import dataclass, field
from time import process_time
from typing import TypeAlias

from stress.exploration._interruption import Sites
from stress.exploration._run import MISFIT, Run
from stress.exploration._schedule import Schedule, Segment
from stress.exploration._stage import Scenario, Stage
from stress.exploration._trace import Analysis, Analyst, Race, Trace, bits

FURTHER = 4
"""Sites after the first interruption, at each of which a second one may come."""
COLLECT = 100
"""Runs between two collections of garbage, of which there is none during a run."""

Key: TypeAlias = tuple[tuple[int, ...], int, int]
"""Where interruptions come, the state, and the actor that goes on in it."""


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


@dataclass
class Branch:
    """A schedule that is still to be run, and what it has in common with a run that was made."""

    schedule: Schedule
    known: Trace = field(default_factory=Trace)


class Explorer:
    """Runs the schedules of one scenario."""

    def __init__(self, scenario: Scenario) -> None:
        self._scenario = scenario
        self._analyst = Analyst()
        self._sites = 0
        self._hits = 0
        self._waiting: list[list[Branch]] = []
        self._seen: dict[Key, int] = {}

    def explore(self, preemptions: int, seconds: float) -> Verdict:
        """Run every schedule with so many preemptions, for so long at most, until one fails.

        The seconds are of this process's processor time: beside others it comes as far as alone.
        """
        verdict = Verdict(self._scenario.name, preemptions)
        began = process_time()
        gc.collect()
        gc.freeze()  # what is there by now is not looked at each time
        gc.disable()
        try:
            for bound, branch in self._branches(preemptions):
                if not verdict.misfits:
                    verdict.completed = max(verdict.completed, bound - 1)
                run = self.run(branch.schedule, branch.known)
                run.forget()
                verdict.schedules += 1
                verdict.steps += len(run.trace.steps)
                if run.finding.startswith(MISFIT):
                    verdict.misfits += 1
                elif run.finding:
                    _note(verdict, run, branch.schedule)
                    return verdict
                else:
                    self._branch_off(run.trace, branch)
                if process_time() - began > seconds:
                    return verdict
                if verdict.schedules % COLLECT == 0:
                    gc.collect()
                    gc.freeze()
            if not verdict.misfits:
                verdict.completed = preemptions
        finally:
            gc.unfreeze()
            gc.enable()
            verdict.seconds = process_time() - began
        return verdict

    def replay(self, schedule: Schedule) -> Verdict:
        """Run that one schedule."""
        verdict = Verdict(self._scenario.name, 0, 1)
        began = process_time()
        run = self.run(schedule)
        verdict.steps, verdict.seconds = len(run.trace.steps), process_time() - began
        if run.finding:
            _note(verdict, run, schedule)
        return verdict

    def run(self, schedule: Schedule, known: Trace | None = None) -> Run:
        """Run it, and see whether all is well in the end. For `known` see `Run`."""
        run = Run(schedule, known or Trace())
        stages: list[Stage] = []

        def set_stage() -> None:
            stages.append(stage := Stage(run))
            if schedule.sites:
                run.sites = Sites(run, self._scenario.target, schedule.sites)
                run.sites.interrupt = stage.interrupt
            self._scenario.set_stage(stage)

        run.go(set_stage)
        if not run.finding:
            stages[0].check_end()
            run.dismiss()
        if run.sites is not None:
            run.interrupted_at = " and in ".join(run.sites.reached)
            self._sites = max(self._sites, run.sites.count)
            self._hits = len(run.sites.reached)
        return run

    def _branches(self, preemptions: int) -> Iterator[tuple[int, Branch]]:
        """What is to be run, those with the fewest preemptions first, with their number.

        An interruption counts as one, but where the rest goes by the rule: so that each site has
        been tried once with a bound of 0.
        """
        self._seen.clear()
        self._waiting = [[] for _ in range(preemptions + 1)]
        if self._scenario.target:
            for sites in self._interruptions():
                yield 0, Branch(Schedule((), sites))
        else:
            self._waiting[0].append(Branch(Schedule()))
        while any(self._waiting):
            bound = next(bound for bound, waiting in enumerate(self._waiting) if waiting)
            yield bound, self._waiting[bound].pop()

    def _interruptions(self) -> Iterator[tuple[int, ...]]:
        """Each site, or each and one of those that are next, as the first one is handled."""
        first = 0
        while first == 0 or first <= self._sites:
            if self._scenario.interruptions == 1:
                yield (first,)
            for further in range(FURTHER) if self._scenario.interruptions == 2 else ():
                yield (first, first + 1 + further)
                if self._hits < 2:
                    break
            first += 1

    def _branch_off(self, trace: Trace, branch: Branch) -> None:
        """Note how it could have gone otherwise."""
        known = len(branch.known.steps)
        analysis = self._analyst.analyse(trace.steps, len(trace.actors), known)
        fork = _Fork(trace, analysis, branch.schedule.sites)
        for at in fork.passed(known):
            actor = trace.steps[at].actor
            self._is_new(fork.key(at, actor), fork.used(at, actor))
        for race in analysis.races:
            for at in fork.points(race):
                for actor in fork.ahead(race, at):
                    self._send(fork, at, actor)

    def _send(self, fork: _Fork, at: int, actor: int) -> None:
        """Have that actor go on at that step, instead of the one which did."""
        used = fork.used(at, actor)
        if used >= len(self._waiting) or not fork.allows(at, actor, self._scenario.preempted):
            return
        if self._is_new(fork.key(at, actor), used):
            self._waiting[used].append(fork.branch(at, actor))

    def _is_new(self, key: Key, used: int) -> bool:
        """Whether nobody has gone on in that way after so few preemptions; now somebody has."""
        if self._seen.get(key, used + 1) <= used:
            return False
        self._seen[key] = used
        return True


class _Fork:
    """A trace, and the ways that lead away from it."""

    def __init__(self, trace: Trace, analysis: Analysis, sites: tuple[int, ...]) -> None:
        self._trace = trace
        self._analysis = analysis
        self._sites = sites
        self._segments = trace.segments()
        self._numbers: list[int] = []
        self._used = [len(sites)]  # before each stretch; an interruption is one
        for segment in self._segments:
            self._used.append(self._used[-1] + (segment.steps is not None))
        self._starts = [stretch.start for stretch in trace.stretches[trace.opened :]]
        for number, stretch in enumerate(trace.stretches):
            following = trace.stretches[number + 1 : number + 2]
            end = following[0].start if following else len(trace.steps)
            self._numbers.extend([number] * (end - stretch.start))

    def points(self, race: Race) -> list[int]:
        """The steps before which another actor may have to go on for the race to end otherwise."""
        starts = [start for start in self._starts if start < race.first]
        return [*starts, race.first]

    def key(self, at: int, actor: int) -> Key:
        """For an actor that goes on in the state before that step."""
        return self._sites, self._analysis.states[at], actor

    def passed(self, known: int) -> Iterator[int]:
        """The steps before which another actor might have been chosen, but those known before."""
        for at in sorted({*self._starts, *self._analysis.conflicting}):
            if known <= at < len(self._trace.steps):
                yield at

    def ahead(self, race: Race, at: int) -> Iterator[int]:
        """The actors of which one has to go on before the step `at`, so that the second step of the
        race can come before the first: its own, or one without which it cannot."""
        steps, counts = self._trace.steps, self._analysis.counts
        enabled, actor = steps[at].enabled, steps[race.second].actor
        if enabled >> actor & 1:
            yield actor
            return
        if at == race.first and steps[at + 1].enabled >> actor & 1:
            return  # it was this that it has waited for
        for step, count in zip(
            steps[at + 1 : race.second], counts[at + 1 : race.second], strict=True
        ):
            if enabled >> step.actor & 1 and count <= race.clock[step.actor]:
                yield step.actor
                return
        yield from bits(enabled)

    def used(self, at: int, actor: int) -> int:
        """How many preemptions there are, if that actor goes on before that step."""
        return self._used[self._numbers[at]] + self._is_preempted(at, actor)

    def allows(self, at: int, actor: int, preempted: tuple[str, ...]) -> bool:
        """Whether that is no preemption, or one of these actors is preempted (none: of all)."""
        name = self._trace.actors[self._trace.steps[at].actor]
        return not preempted or name in preempted or not self._is_preempted(at, actor)

    def branch(self, at: int, actor: int) -> Branch:
        """The schedule in which that actor goes on before that step."""
        number = self._numbers[at]
        stretch = self._trace.stretches[number]
        before = self._segments[:number]
        if self._is_preempted(at, actor):
            before = (*before, Segment(self._trace.actors[stretch.actor], at - stretch.start))
        segments = (*before, Segment(self._trace.actors[actor]))
        return Branch(Schedule(segments, self._sites), self._trace.until(len(before), at))

    def _is_preempted(self, at: int, actor: int) -> bool:
        """Whether the one that went on before that step is preempted, if this actor does."""
        stretch = self._trace.stretches[self._numbers[at]]
        if actor == stretch.actor:
            return False
        return not (at == stretch.start and stretch.choices >> actor & 1)


def _note(verdict: Verdict, run: Run, schedule: Schedule) -> None:
    verdict.finding = run.finding
    verdict.stacks = run.stacks
    verdict.schedule = str(schedule)
    verdict.interrupted_at = run.interrupted_at
