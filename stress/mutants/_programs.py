"""Programs around the freezer: loops, installations, and the end of all."""

from __future__ import annotations

from freezethreads._install._patches import Function, Switch
from freezethreads._install._wrappers import Wait
from stress.mutants._mutant import breaks, put
from stress.scenarios import exits

KEEP_ALL = """
from freezethreads._controller.controller import Controller
Controller.thaw_all
Controller.thaw_all = lambda self, why: None
"""
"""What the programs begin with, which are processes of their own."""


@breaks("nobody is left frozen when the main thread ends", "exits")
def frozen_at_the_end() -> None:
    put(exits, "PROGRAM", KEEP_ALL + exits.PROGRAM)


@breaks("an idle loop is woken when something is asked of its thread", "loops")
def loop_not_woken() -> None:
    from freezethreads.integrations.asyncio_loop import Enrolment  # asyncio, for this one alone

    put(Enrolment, "_wake", lambda self: None)


@breaks("under an installation the standard library's waits count as stopped", "installed")
def waits_not_replaced() -> None:
    def leave_alone(self: Wait, original: Function, switch: Switch, label: str) -> Function:
        return lambda *args, **kwargs: original(*args, **kwargs)

    put(Wait, "__call__", leave_alone)
