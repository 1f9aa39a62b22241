"""The second engine without one of its rules."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

from freezethreads._machine import bar, monitoring, sections, stacks
from freezethreads._machine.bar import Bar
from freezethreads._machine.sections import Section
from freezethreads._report import ownership
from stress.mutants._mutant import breaks, put, replace

HAS_GIL: bool = getattr(sys, "_is_gil_enabled", lambda: True)()


def breaks_if(
    can_fail: bool, rule: str, scenario: str = "engine"
) -> Callable[[Callable[[], None]], Callable[[], None]]:
    """`breaks`, if there is a second engine here, and the rule can be seen to be broken."""
    if can_fail and sys.version_info >= (3, 12):
        return breaks(rule, scenario)
    return lambda apply: apply


@breaks_if(True, "a thread in a section is not stopped")
def section_forgotten() -> None:
    replace(sections.sections_of, lambda code: ())


@breaks_if(True, "a thread that waits for a condition has given its lock back")
def lock_not_given_back() -> None:
    replace(stacks._given_back_by, lambda frame: [])


@breaks_if(True, "who may yet be given a lock has not arrived")
def waiters_counted_too_soon() -> None:
    put(Bar, "_all_wait", lambda self, waiting: True)


@breaks_if(True, "a thread that owns a lock of freezethreads.sync is not stopped")
def owner_forgotten() -> None:
    replace(ownership.owned, dict)


# Without a GIL, who was given a lock runs before anybody looks.
@breaks_if(HAS_GIL, "nobody counts as waiting who has only been kept from the GIL")
def looked_once() -> None:
    original = Bar._glance

    def glance(self: Bar) -> dict[int, float | None]:
        return dict.fromkeys(original(self))

    put(Bar, "_glance", glance)
    replace(bar._want_to_run, lambda idents: False)
    put(bar, "sleep", lambda seconds: None)  # in which they would have run


@breaks_if(True, "a thread that has arrived meets the bar when its call of C returns")
def way_back_not_barred() -> None:
    original: Callable[[Bar, int, FrameType], bool] = Bar.stops

    def stops(self: Bar, ident: int, frame: FrameType) -> bool:
        return not self.freeze.stands and original(self, ident, frame)

    put(Bar, "stops", stops)


@breaks_if(True, "the code to which a call of C comes back is watched while all stand")
def code_not_watched() -> None:
    def watch(frame: Any) -> Any:
        return iter(())

    replace(bar._codes_to_watch, watch)


@breaks_if(True, "what comes after a block, up to its `__exit__`, belongs to it", "sections")
def way_out_forgotten() -> None:
    put(sections._Reader, "_call_of_exit", lambda self, i: None)


@breaks_if(True, "what is left by a jump is left where that leads", "sections")
def jump_out_forgotten() -> None:
    put(sections._Reader, "_jumps_out", lambda self, covered: set())


@breaks_if(True, "the call that acquires belongs to it", "sections")
def way_in_forgotten() -> None:
    put(sections._Reader, "_entering", lambda self, i, *args: Section(0, 0, *args))


@breaks_if(True, "a lock is held in what handles an exception, too", "sections")
def handlers_forgotten() -> None:
    original = sections._Reader._next

    def following(self: sections._Reader, i: int) -> Iterator[int]:
        handlers = {self._index[entry.target] for entry in self._entries}
        return (k for k in original(self, i) if k not in handlers)

    put(sections._Reader, "_next", following)


@breaks_if(True, "what leads to another acquire has not acquired it before", "sections")
def second_acquire_forgotten() -> None:
    original = sections._Reader._held_from

    def held_from(self: sections._Reader, *args: Any) -> set[int]:
        acquiring, self._acquiring = self._acquiring, {}
        try:
            return original(self, *args)
        finally:
            self._acquiring = acquiring

    put(sections._Reader, "_held_from", held_from)


@breaks_if(True, "who waits in the call of `acquire` has not got the lock", "sections")
def waiting_taken_for_holding() -> None:
    original = Section.covers
    put(Section, "covers", lambda self, offset, running: original(self, offset, True))


@breaks_if(True, "after the last thaw nothing is left in the interpreter")
def events_left() -> None:
    replace(monitoring._switch_off, lambda: None)
