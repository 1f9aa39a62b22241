"""What may interrupt an actor between two bytecodes: an exception, or a signal handler.

CPython looks for both at its *eval breaker*: at the beginning of a function, at a jump backwards,
and when a call has returned. So these are the sites, in the order in which the actor comes to them.
The handler is called in the trace function, as a signal's is called by the interpreter, and is not
traced itself.
"""

from __future__ import annotations

import dis
import sys
from collections.abc import Callable
from types import CodeType, FrameType
from typing import TYPE_CHECKING, Any

from stress.exploration._points import Points, Table

if TYPE_CHECKING:
    from stress.exploration._actor import Actor
    from stress.exploration._run import Run

_BREAKERS = ("CALL", "RESUME", "JUMP_BACKWARD")
_offsets: dict[CodeType, frozenset[int]] = {}


class Interruption(BaseException):
    """What an asynchronous exception is here."""


class Sites:
    """Counts the sites of one actor, and interrupts it at the one that was chosen."""

    def __init__(self, target: str, chosen: int, interrupt: Callable[[], object]) -> None:
        self.count = 0
        self.reached = ""
        self._closed = False
        self._target = target
        self._chosen = chosen
        self._interrupt = interrupt

    def covers(self, actor: Actor | None, code: CodeType, points: Points) -> bool:
        """Whether an interruption may come to that actor in that code."""
        return (
            actor is not None
            and actor.name == self._target
            and not (self.reached or self._closed)
            and points.covers(code)
        )

    def close(self, actor: Actor | None) -> None:
        """If it is the target that calls this, no interruption comes to it any more."""
        if actor is not None and actor.name == self._target:
            self._closed = True

    def enter(self, frame: FrameType, run: Run, table: Table) -> Any:
        """Watch a frame of the target that has just begun."""
        frame.f_trace_lines = False
        frame.f_trace_opcodes = True
        sites = _sites_of(frame.f_code)

        def trace(frame: FrameType, event: str, arg: object) -> Any:
            if event == "opcode":
                offset = frame.f_lasti
                if offset in sites:
                    self._visit(frame, run)
                if accesses := table.get(offset):
                    run.touch(frame, accesses)
            return trace

        return trace

    def _visit(self, frame: FrameType, run: Run) -> None:
        number = self.count
        self.count += 1
        if number != self._chosen or self.reached or self._closed:
            return
        self.reached = f"{frame.f_code.co_qualname}, line {frame.f_lineno}"
        run.step(((id(self), "interrupted"), True))
        again = sys.gettrace()

        def resume(*_: object) -> None:
            """Trace again: an exception in a trace function ends the tracing."""
            sys.setprofile(None)
            sys.settrace(again)

        try:
            self._interrupt()
        except BaseException:
            sys.setprofile(resume)
            raise


def _sites_of(code: CodeType) -> frozenset[int]:
    """The offsets of the instructions before which the eval breaker is looked at."""
    found = _offsets.get(code)
    if found is None:
        offsets = []
        after = False
        for instruction in dis.get_instructions(code):
            if after or instruction.is_jump_target:
                offsets.append(instruction.offset)
            after = (
                instruction.opname.startswith(_BREAKERS) and "INTRINSIC" not in instruction.opname
            )
        _offsets[code] = found = frozenset(offsets)
    return found
