"""The kernel's freezer of 2005, before there were todo lists: flags, a count, and hope.

Each thread has a word of flags. The controller sets one in everybody's, without a lock ("FIXME: smp
problem here: we may not access other process' flags without locking" it said), and counts those
that do not stand until there are none. So of two who change the same word at once one has changed
nothing, and a thread that has left its region is still counted as being there.
"""

from __future__ import annotations

from time import monotonic
from types import FrameType
from typing import Any

from freezethreads import State
from freezethreads._controller.controller import Controller
from freezethreads._controller.timeout import timeout_of
from freezethreads._ground.deadline import Deadline
from freezethreads._ground.original import sleep
from freezethreads._refrigerator.blocking import Blocking
from freezethreads._refrigerator.refrigerator import visit_safepoint
from freezethreads._refrigerator.waits import Waiter, Waiting
from freezethreads._registry.record import Record
from freezethreads._registry.registry import Registry
from freezethreads._registry.requests import Ending, Freeze
from stress.mutants._mutant import breaks, put, replace

FREEZE, FROZEN, AWAY = 1, 2, 4
LOOK_EVERY = 0.0002

words: dict[Record, int] = {}


def change(record: Record, clear: int, set: int) -> None:
    """Read the word, then write it."""
    word = words.get(record, 0)
    sleep(0)  # here the other processor does the same
    words[record] = word & ~clear | set


def refrigerator(record: Record) -> None:
    """Stand while the flag says so, if it says so."""
    if words.get(record, 0) & FREEZE:
        change(record, FREEZE, FROZEN)
        while words[record] & FROZEN:
            sleep(LOOK_EVERY)


def go_away(record: Record) -> None:
    change(record, 0, AWAY)


def come_back(record: Record) -> None:
    change(record, AWAY, 0)
    refrigerator(record)


def state(record: Record) -> State:
    if record.exited:
        return State.EXITED
    word = words.get(record, 0)
    if word & FROZEN or (word & FREEZE and word & AWAY):
        return State.FROZEN
    return State.BLOCKED if word & AWAY else State.RUNNING


def ask(freeze: Freeze) -> int:
    """Ask those who do not stand yet, and count them."""
    asked = 0
    for record in list(freeze.members):
        if not (record.exited or words.get(record, 0) & FROZEN):
            asked += not words.get(record, 0) & AWAY
            change(record, 0, FREEZE)
    return asked


@breaks(
    "what two threads change is changed in one step: the freezer of 2005",
    "bank",
    explored="park",
)
def flags_of_2005() -> None:
    put(Record, "state", property(state))
    put(Controller, "_arm", _arm)
    put(Controller, "_wait", _wait)
    original = Controller.thaw

    def thaw(self: Controller, freeze: Freeze, ending: Ending = "thaw") -> bool:
        first = original(self, freeze, ending)
        for record in list(freeze.members) if first else ():
            change(record, FREEZE | FROZEN, 0)
        return first

    put(Controller, "thaw", thaw)
    _open_doors()


def _arm(self: Controller, freeze: Freeze) -> None:
    self._registry.announce(freeze)
    self._registry.active[freeze] = None
    for record in list(self._registry.records.values()):
        if freeze.covers(record.group) and not freeze.asked.is_by(record):
            freeze.members[record] = None


def _wait(self: Controller, freeze: Freeze, deadline: Deadline) -> None:
    while ask(freeze):
        if deadline.passed():
            raise timeout_of(freeze)
        sleep(LOOK_EVERY)
    freeze.stood_at = monotonic()
    self._registry.recorder.stood(freeze.stood_at - freeze.asked.at)


def records_of(wait: Waiting) -> list[Record]:
    """Of the thread that waits, if that wait counts."""
    parking = wait._parking
    return [] if parking is None else [record for _, record in parking.members]


def _open_doors() -> None:
    """A safepoint, a region and a wait: each looks at the word alone."""

    def visit(registry: Registry, label: str | None, frame: FrameType) -> None:
        if registry.own.record is not None:
            refrigerator(registry.own.record)

    def enter(self: Blocking) -> None:
        if self._registry.own.record is not None:
            go_away(self._registry.own.record)

    def leave(self: Blocking, *exc_info: object) -> None:
        if self._registry.own.record is not None:
            come_back(self._registry.own.record)

    def wait(self: Waiting, *_: Any) -> Waiting:
        for record in records_of(self):
            go_away(record)
        return self

    def return_from_it(self: Waiting, *exc_info: object) -> None:
        for record in records_of(self):
            come_back(record)

    def sleep_once(self: Waiter, timeout: float) -> None:
        with self:
            self.bell.wait(timeout)

    replace(visit_safepoint, visit)
    put(Blocking, "__enter__", enter)
    put(Blocking, "__exit__", leave)
    put(Waiting, "__enter__", wait)
    put(Waiting, "__exit__", return_from_it)
    put(Waiter, "sleep", sleep_once)
