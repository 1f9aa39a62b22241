"""Calls of worlds and forks: which process makes one, and which waits for one."""

from __future__ import annotations

from freezethreads._refrigerator.waits import Waiting
from freezethreads._registry.requests import Freeze
from freezethreads._registry.todos import Todo
from stress.mutants._mutant import breaks, put


@breaks(
    "what a thread had not begun when it forked, the child does not make", explored="fork-and-call"
)
def made_in_the_child() -> None:
    put(Todo, "orphan", lambda self: None)


@breaks(
    "who does something else in the middle of a wait is handed nothing", explored="fork-in-call"
)
def handed_to_the_busy() -> None:
    put(Waiting, "occupied", property(lambda self: False, lambda self, value: None))


@breaks("a call in a thread that is gone ends in the child", explored="fork-of-caller")
def waits_for_who_is_gone() -> None:
    end_in_child = Freeze.end_in_child

    def end_but_for_calls(self: Freeze) -> None:
        self.calls.clear()
        end_in_child(self)

    put(Freeze, "end_in_child", end_but_for_calls)
