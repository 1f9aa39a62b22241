"""Trees of groups: the kernel's tree, and LTP's cgroup_fj_stress."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from queue import SimpleQueue

from fork_helpers import check_works
from freezethreads import Freezer, State
from freezethreads._ground.arguments import Where
from helpers import WAIT, start, wait_until
from peers.looking import freezer_of, frozen_groups, take, witness


def names_of(wide: int, deep: int) -> list[str]:
    """The groups of a tree in which each has so many below it, to such a depth; parents first."""
    levels: list[list[str]] = [[""]]
    for _ in range(deep):
        below = itertools.product(levels[-1], range(wide))
        levels.append([f"{parent}.{index}".lstrip(".") for parent, index in below])
    return list(itertools.chain(*levels[1:]))


def ancestors_of(group: str) -> list[str]:
    """The group itself, and all that it is in, the outermost first."""
    return list(itertools.accumulate(group.split("."), "{}.{}".format))


class Steppers:
    """One registered thread in each group. It waits, and makes a step for each ticket it gets."""

    def __init__(self, freezer: Freezer, groups: list[str]) -> None:
        self.groups = groups
        self.steps = dict.fromkeys(groups, 0)
        self.stepped = threading.Semaphore(0)
        self._freezer = freezer
        self._ready = threading.Semaphore(0)
        self._tickets: dict[str, SimpleQueue[bool]] = {group: SimpleQueue() for group in groups}
        self._threads = [start(self._run, group) for group in groups]
        take(self._ready, len(groups))

    def give_tickets(self, last: bool = False) -> None:
        """Let each make a step; with `last`, end instead."""
        for tickets in self._tickets.values():
            tickets.put(not last)

    def finish(self) -> None:
        """End them."""
        self.give_tickets(last=True)
        for thread in self._threads:
            thread.finish()

    def _run(self, group: str) -> None:
        with self._freezer.register(group=group):
            self._ready.release()
            while self._has_ticket(group):
                self.steps[group] += 1
                self.stepped.release()

    def _has_ticket(self, group: str) -> bool:
        with self._freezer.blocking():
            return self._tickets[group].get(timeout=6 * WAIT)


@contextmanager
def stepping(freezer: Freezer, groups: list[str]) -> Iterator[Steppers]:
    """Steppers that end with the block."""
    steppers = Steppers(freezer, groups)
    try:
        yield steppers
    finally:
        steppers.finish()


def stress_empty(wide: int, deep: int, where: Where = "safepoint") -> None:
    """Nobody is in any group, each is held, and who comes at last finds that out."""
    freezer = freezer_of("fj_none", where)
    groups = names_of(wide, deep)
    entered = threading.Event()

    def enter() -> None:
        with freezer.register(group=groups[-1]):
            entered.set()

    with ExitStack() as held:
        for group in groups:
            hold = held.enter_context(freezer.hold(group=group, timeout=WAIT))
            assert hold.threads == ()
        freezer.freeze(timeout=WAIT).thaw()
        late = start(enter)
        wait_until(lambda: frozen_groups(freezer) == [groups[-1]])
        assert not entered.is_set()
    late.finish()
    assert not freezer.armed


def stress_one(wide: int, deep: int, where: Where = "safepoint") -> None:
    """One thread visits all groups, and is held in each: by a hold of it, or of one above it."""
    freezer = freezer_of("fj_one", where)
    groups = names_of(wide, deep)
    arrived: SimpleQueue[str] = SimpleQueue()
    leave = threading.Semaphore(0)

    def visit_all() -> None:
        with freezer.register() as registration:
            for group in groups:
                registration.move(group)
                with freezer.blocking():
                    arrived.put(group)
                    take(leave, 1)

    visitor = start(visit_all)
    for number, group in enumerate(groups):
        assert arrived.get(timeout=WAIT) == group
        above = ancestors_of(group)
        with freezer.hold(group=above[number // 2 % len(above)], timeout=WAIT):
            leave.release()
            with freezer.hold(group=group + ".below", timeout=WAIT) as beside:
                assert beside.threads == ()
            assert frozen_groups(freezer) == [group]
            assert arrived.empty(), "it went on although its group was held"
    visitor.finish()
    assert not freezer.armed


def stress_each(wide: int, deep: int, where: Where = "safepoint") -> None:
    """A thread in each group, and each group held; they are thawed from above, and from below."""
    freezer = freezer_of("fj_each", where)
    groups = names_of(wide, deep)
    with stepping(freezer, groups) as steppers:
        thaw_in_order(freezer, steppers, groups)
        thaw_in_order(freezer, steppers, groups[::-1])
    check_works(freezer, registered=False)


def thaw_in_order(freezer: Freezer, steppers: Steppers, order: list[str]) -> None:
    """Hold each group, and thaw them in this order: a thread runs when nobody holds it."""
    steps = dict(steppers.steps)
    holds = {group: freezer.hold(group=group, timeout=WAIT) for group in order}
    try:
        steppers.give_tickets()
        check_steps(freezer, steppers, steps, set())
        for group in order[: len(order) // 2]:
            holds.pop(group).thaw()
        free = {group for group in order if not holds.keys() & set(ancestors_of(group))}
        take(steppers.stepped, len(free))
        check_steps(freezer, steppers, steps, free)
    finally:
        for hold in holds.values():
            hold.thaw()
    take(steppers.stepped, len(order) - len(free))
    check_steps(freezer, steppers, steps, set(order))


def check_steps(
    freezer: Freezer, steppers: Steppers, before: dict[str, int], free: set[str]
) -> None:
    """All who are free have made one step more than before, and all the others are frozen."""
    with witness() as others:
        others.progress()
        assert steppers.steps == {group: n + (group in free) for group, n in before.items()}
    states = {info.group: info.state for info in freezer.threads()}
    assert [group for group in states if states[group] is not State.FROZEN] == [
        group for group in states if group in free
    ]
