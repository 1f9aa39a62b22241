"""Who belongs to a freeze, and to a process."""

from __future__ import annotations

from freezethreads._controller.controller import Controller
from freezethreads._registry.record import Lifeline, Record
from freezethreads._registry.registry import Registry
from freezethreads._registry.requests import Freeze
from freezethreads._threads import enrol
from stress.mutants._mutant import breaks, put, replace


@breaks("membership is fixed while the world is stopped", "churn", explored="register")
def newcomers_run() -> None:
    def submit(self: Registry, record: Record) -> None:
        """Whoever comes later is not asked."""

    put(Registry, "submit_to_active", submit)


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
