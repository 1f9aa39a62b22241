"""The second engine without one of its rules."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

from freezethreads._machine import bar, monitoring, stacks
from freezethreads._machine.bar import Bar
from stress.mutants._mutant import breaks, put, replace

HAS_GIL: bool = getattr(sys, "_is_gil_enabled", lambda: True)()

if sys.version_info >= (3, 12):

    @breaks("a thread in a section is not stopped", "engine")
    def section_forgotten() -> None:
        replace(stacks.sections_of, lambda code: ())

    @breaks("a thread that waits for a condition has given its lock back", "engine")
    def lock_not_given_back() -> None:
        replace(stacks._given_back_by, lambda frame: [])

    @breaks("who may yet be given a lock has not arrived", "engine")
    def waiters_counted_too_soon() -> None:
        put(Bar, "_all_wait", lambda self, waiting: True)

    def looked_once() -> None:
        original = Bar._glance

        def glance(self: Bar) -> dict[int, float | None]:
            return dict.fromkeys(original(self))

        put(Bar, "_glance", glance)
        replace(bar._want_to_run, lambda idents: False)
        put(bar, "sleep", lambda seconds: None)  # in which they would have run

    if HAS_GIL:  # without one, who was given a lock runs before anybody looks
        breaks("nobody counts as waiting who has only been kept from the GIL", "engine")(
            looked_once
        )

    @breaks("a thread that has arrived meets the bar when its call of C returns", "engine")
    def way_back_not_barred() -> None:
        original: Callable[[Bar, int, FrameType], bool] = Bar.stops

        def stops(self: Bar, ident: int, frame: FrameType) -> bool:
            return not self.freeze.stands and original(self, ident, frame)

        put(Bar, "stops", stops)

    @breaks("the code to which a call of C comes back is watched while all stand", "engine")
    def code_not_watched() -> None:
        def watch(idents: list[int]) -> Any:
            return iter(())

        replace(bar._codes_to_watch, watch)

    @breaks("after the last thaw nothing is left in the interpreter", "engine")
    def events_left() -> None:
        replace(monitoring._switch_off, lambda: None)
