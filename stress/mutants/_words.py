"""The word that says what a thread is asked for and whether it stands: who changes it, and how.

Where a rule is about what comes between two steps there is a short sleep between them. To be late
there hurts nobody, if nothing else is wrong.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from typing import Any

from freezethreads._controller.controller import Controller
from freezethreads._ground.original import sleep
from freezethreads._refrigerator.blocking import Blocking
from freezethreads._refrigerator.refrigerator import tell, visit
from freezethreads._registry import status
from freezethreads._registry.places import Place
from freezethreads._registry.record import Record
from freezethreads._registry.registry import Registry
from freezethreads._registry.requests import Freeze
from freezethreads._registry.status import Status, Stay, Word, calling, listed, settled
from stress.mutants._mutant import breaks, put, replace


def dawdle() -> None:
    """Be preempted here."""
    sleep(random.expovariate(5000))


def ask_one_by_one() -> None:
    """Have a controller ask each thread by `Word.change`, so that a rule which is broken there is
    broken for it too."""

    def ask_all(words: Iterable[Word], asked: Status) -> list[Status]:
        return [word.change(listed, asked.freezes[0]) for word in words]

    replace(status.ask_all, ask_all)


@breaks("a thread is let go in one step", "overlaps", explored="overlap")
def let_go_in_two_steps() -> None:
    change = Word.change

    def change_in_two(self: Word, step: Callable[..., Status], *args: Any) -> Status:
        """A thread reads that nobody holds it, and then writes that it is gone."""
        if step is not settled:
            return change(self, step, *args)
        old = self.value
        dawdle()
        self._last = (old, {})
        return old

    ask_one_by_one()
    put(Word, "change", change_in_two)


@breaks("of two who change the same word at once one begins again", "overlaps", explored="overlap")
def changed_by_force() -> None:
    def change(self: Word, step: Callable[..., Status], *args: Any) -> Status:
        new = step(self.value, *args)
        sleep(0)
        self._last = (new, {})
        return new

    ask_one_by_one()
    put(Word, "change", change)


@breaks(
    "a thread is let go when nobody holds it any more, and not before",
    "overlaps",
    explored="hold-and-world",
)
def first_thaw_lets_go() -> None:
    def settled_at_once(old: Status) -> Status:
        new = settled(old)
        if len(new.freezes) == len(old.freezes):
            return new
        return Status(new.freezes, None, False, new.commands)

    replace(settled, settled_at_once)


@breaks(
    "a freeze that comes while a thread stands keeps it there",
    "overlaps",
    explored="hold-and-world",
)
def newcomer_keeps_nobody() -> None:
    first: dict[Stay, tuple[Freeze, ...]] = {}

    def is_held_by(self: Stay, freeze: Freeze) -> bool:
        """By those alone for which it was begun."""
        return freeze in first.setdefault(self, (freeze,)) and not freeze.done

    put(Stay, "is_held_by", is_held_by)


@breaks(
    "who stops tells those alone whom it has found when it stopped",
    "controllers",
    explored="time-out",
)
def told_by_a_fresh_look() -> None:
    def tell_all(
        registry: Registry, record: Record, status: Status, place: Place, closed: tuple[object, ...]
    ) -> None:
        dawdle()
        tell(registry, record, record.parking.word.value, place, closed)

    replace(tell, tell_all)


@breaks("who makes a world's call does not count as stopped", "freezers", explored="call-for-two")
def caller_counts_as_standing() -> None:
    def stands_for(self: Status, freeze: Freeze) -> bool:
        stay = self.stay
        counts = stay is not None and not freeze.spares(stay.closed)
        return counts and not self.commands_in(freeze.registry)

    put(Status, "stands_for", stands_for)


@breaks("a thread that another freezer holds makes no call", "freezers", explored="call-for-two")
def called_while_others_hold() -> None:
    def call_all_the_same(old: Status, stay: Stay, world: Freeze) -> Status:
        old = settled(old)
        if old.stay is not stay or old.calling or world not in old.freezes:
            return old
        return Status(old.freezes, stay, True, old.commands)

    replace(calling, call_all_the_same)


@breaks("who comes back clears `away`, and then looks whether it may", "regions", explored="region")
def looks_before_it_is_back() -> None:
    def leave(self: Blocking, *exc_info: object) -> None:
        record = self._registry.own.record
        if record is None or record.depth != 1 or record.shut or record.parking.shut:
            return leave_as_it_should(self, *exc_info)
        record.depth = 0
        record.last = place = record.away
        is_asked = record.is_asked
        dawdle()
        record.away = None
        if place is not None and is_asked:
            visit(self._registry, record, place)

    leave_as_it_should: Callable[..., None] = Blocking.__exit__
    put(Blocking, "__exit__", leave)


@breaks("a controller asks, and then looks who has stopped", "controllers", explored="region")
def looks_before_it_asks() -> None:
    def arm(self: Controller, freeze: Freeze) -> None:
        registry = self._registry
        registry.announce(freeze)
        registry.active[freeze] = None
        for record in list(registry.records.values()):
            if freeze.covers(record.group) and not freeze.asked.is_by(record) and not record.exited:
                freeze.awaited[record] = None
                freeze.members[record] = None
        for record in list(freeze.members):
            has_stopped = record.has_stopped(record.parking.word.value, freeze)
            dawdle()
            record.parking.word.ask(Status((freeze,)))
            if has_stopped:
                freeze.arrive(record)
            if record.exited or not freeze.covers(record.group):
                registry.withdraw(freeze, record)

    put(Controller, "_arm", arm)
