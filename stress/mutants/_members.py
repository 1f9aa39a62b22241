"""Who belongs to a freeze, and to a process."""

from __future__ import annotations

from freezethreads._controller.controller import Controller
from freezethreads._registry.record import Lifeline, Record
from freezethreads._registry.registry import Registry
from freezethreads._registry.requests import Freeze
from freezethreads._registry.status import listed_anew
from freezethreads._threads import enrol
from stress.mutants._mutant import breaks, put, replace


@breaks("membership is fixed while the world is stopped", "churn", explored="register")
def newcomers_run() -> None:
    def submit(self: Registry, record: Record) -> None:
        """Whoever comes later is not asked."""

    put(Registry, "submit_to_active", submit)


@breaks("one thread is moved by one at a time", explored="moved-by-two")
def moves_at_once() -> None:
    put(Registry, "move", lambda self, record, group: self._move(record, group))


@breaks("a thread that is moved in is not said to stand before it does", explored="moved")
def comers_stand() -> None:
    def submit(self: Registry, record: Record) -> None:
        for freeze in list(self.active):
            if self._is_meant(freeze, record):
                record.parking.word.change(listed_anew, freeze)
                freeze.members[record] = None

    put(Registry, "submit_to_active", submit)


@breaks("a thread that is moved out and back is listed where it is asked", explored="moved-back")
def moved_back_unlisted() -> None:
    put(Registry, "_list", lambda self, freeze, record: freeze.members.pop(record, None))


@breaks("a group is frozen with all that are below it", "churn")
def groups_are_flat() -> None:
    put(Freeze, "covers", lambda self, group: self.group in ("", group))


@breaks("the child of a fork has one thread, and nothing is asked in it", "forks")
def child_inherits() -> None:
    put(Controller, "reset", lambda self: None)


@breaks("a thread that has ended is waited for by nobody", "churn", explored="leave-and-time-out")
def dead_awaited() -> None:
    put(Lifeline, "__del__", lambda self: None)
    put(Controller, "_drop_dead", lambda self, freeze: False)


@breaks("a pool's workers are frozen like others", "pools")
def workers_not_enrolled() -> None:
    replace(enrol, lambda freezer, group: None)
