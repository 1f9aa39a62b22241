"""Hooks: what is called, in which order, and how often."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from freezethreads._controller import hooks
from freezethreads._controller.hooks import Hook, Unwinding, take_and_call
from stress.mutants._mutant import breaks, put, replace

Call = Callable[[], object]


@breaks("an `after` is called once", "hooks", explored="hooks-and-lease")
def after_twice() -> None:
    def take_and_call_again(owed: dict[Hook, Call], hook: Hook) -> None:
        after = owed.get(hook, int)
        after()
        take_and_call(owed, hook)

    replace(take_and_call, take_and_call_again)


@breaks("an `after` is called if its `before` has returned", "hooks", explored="hooks-and-lease")
def after_forgotten() -> None:
    leave_all = Unwinding._leave_all

    def leave_most(self: Unwinding, errors: list[BaseException]) -> None:
        for hook in list(self._owed)[:1]:
            self._owed.pop(hook)
        leave_all(self, errors)

    put(Unwinding, "_leave_all", leave_most)


@breaks("`after`s are called in reverse", "hooks")
def afters_in_order() -> None:
    def leave_all(self: Unwinding, errors: list[BaseException]) -> None:
        while owed := list(self._owed):
            self._leave(owed[0], errors)

    put(Unwinding, "_leave_all", leave_all)


@breaks("hooks are undone before the first thread runs", "hooks", explored="hooks-and-thaw")
def undone_after_the_thaw() -> None:
    def end(
        self: Unwinding, ending: str, errors: list[BaseException], let_go: Callable[[], bool]
    ) -> bool:
        first = let_go()
        self._leave_all(errors)
        return first

    put(Unwinding, "end", end)


@breaks("one thread undoes, and no other meanwhile", "hooks", explored="hooks-and-thaw")
def undone_by_two() -> None:
    def end_at_once(
        self: Unwinding, ending: str, errors: list[BaseException], let_go: Callable[[], bool]
    ) -> bool:
        self._leave_all(errors)
        return let_go()

    put(Unwinding, "_end_once", end_at_once)


@breaks("`before`s are called by phase", "hooks")
def no_phases() -> None:
    def unsorted(found: Any, key: object) -> list[Hook]:
        return list(found)

    vars(hooks)["sorted"] = unsorted
