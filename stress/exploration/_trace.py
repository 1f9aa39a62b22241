"""What is known of a run when it is over, and what of it could have gone another way.

Two steps *conflict* if they are of different actors and touch the same thing, one of them writing.
A step comes *after* another one if it is the same actor's, or conflicts with it, or by a chain of
such. Two that conflict, of which the later one comes after the other for no other reason, are in a
*race*: they might have come the other way about.

Two runs are in the same state if the same steps were made so far, and those that conflict in the
same order.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from stress.exploration._actor import OF_THE_RUN, Cell, Step, Stretch
from stress.exploration._schedule import Segment


@dataclass
class Trace:
    """The steps of one run, its stretches, and which of these is the first to be explored."""

    steps: list[Step] = field(default_factory=list)
    stretches: list[Stretch] = field(default_factory=list)
    opened: int = 0
    actors: list[str] = field(default_factory=list)

    def until(self, stretch: int, step: int) -> Trace:
        """The beginning of it."""
        return Trace(self.steps[:step], self.stretches[:stretch], self.opened)

    def segments(self) -> tuple[Segment, ...]:
        """Its schedule."""
        segments = []
        for number, stretch in enumerate(self.stretches):
            following = self.stretches[number + 1 : number + 2]
            is_preempted = bool(following) and not following[0].forced
            steps = following[0].start - stretch.start if is_preempted else None
            segments.append(Segment(self.actors[stretch.actor], steps))
        return tuple(segments)


@dataclass(slots=True)
class Race:
    """Two steps, by their numbers, and for each actor how many of its steps the second one comes
    after."""

    first: int
    second: int
    clock: list[int]


@dataclass
class Analysis:
    """Of one trace. `states` is a number for the state before each step, and for the last one.

    `counts` says for each step which of its actor's it is, from 1 on. `conflicting` are the steps
    that touch what others touch as well, in this run or in another one; and where an actor may
    pause, has waited, or was interrupted, since another may be chosen there.
    """

    states: list[int]
    counts: list[int]
    conflicting: list[int]
    races: list[Race]


class Analyst:
    """Analyses the traces of one scenario: knows what its actors have in common."""

    def __init__(self) -> None:
        self._owners: dict[Cell, int] = {}
        self._written: set[Cell] = set()
        self._shared: set[Cell] = set()

    def analyse(self, steps: list[Step], actors: int, known: int) -> Analysis:
        """Of a run whose first `known` steps were those of another one, analysed before."""
        self._learn(steps[known:])
        found = Analysis([0], [], [], [])
        clocks = [[0] * actors for _ in range(actors)]
        writes: dict[Cell, _Access] = {}
        reads: dict[Cell, dict[int, _Access]] = {}
        made = [0] * actors
        state = 0
        shared, states, counts = self._shared, found.states, found.counts
        for at, step in enumerate(steps):
            actor = step.actor
            count = made[actor] = made[actor] + 1
            counts.append(count)
            if not shared.isdisjoint(step.cells):
                found.conflicting.append(at)
                clock = clocks[actor]
                access = _Access(at, actor, count, [])
                others: list[_Access] = []
                for cell in step.cells:
                    if cell not in shared:
                        continue
                    if cell in writes:
                        others.append(writes[cell])
                    if step.writes:
                        if cell in reads:
                            others.extend(reads.pop(cell).values())
                        writes[cell] = access
                    else:
                        reads.setdefault(cell, {})[actor] = access
                new = list(clock)
                new[actor] = count
                before = hash((actor, count))
                for one in others:
                    before += hash((actor, count, one.actor, one.count))
                    if clock[one.actor] < one.count and one.actor != actor:
                        new = [*map(max, new, one.clock)]
                        if at >= known:
                            found.races.append(Race(one.at, at, new))
                for race in reversed(found.races):
                    if race.second != at:
                        break
                    race.clock = new
                access.clock = clocks[actor] = new
                state += before
            states.append(state)
        return found

    def _learn(self, steps: list[Step]) -> None:
        for step in steps:
            for cell in step.cells:
                if self._owners.setdefault(cell, step.actor) != step.actor:
                    self._owners[cell] = -1
                if step.writes:
                    self._written.add(cell)
                is_by_many = self._owners[cell] == -1 and cell in self._written
                if is_by_many or cell[0][0] == OF_THE_RUN:
                    self._shared.add(cell)


@dataclass(slots=True)
class _Access:
    at: int
    actor: int
    count: int
    clock: list[int]


def bits(number: int) -> Iterator[int]:
    """Which bits are set."""
    return (index for index in range(number.bit_length()) if number >> index & 1)
