"""What may interrupt an actor between two bytecodes: an exception, or a signal handler.

CPython looks for both at its *eval breaker*: at the beginning of a function, at a jump backwards,
and when a call has returned. So these are the sites, in the order in which the actor comes to them.
The handler is called in the trace function, as a signal's is called by the interpreter. Others may
come in while it runs; it is not interrupted itself.
"""

from __future__ import annotations

import dis
import sys
from collections.abc import Callable
from types import CodeType, FrameType
from typing import Any

from stress.exploration._actor import OF_THE_RUN
from stress.exploration._points import is_instrumented, is_put_in
from stress.exploration._run import Run

_BREAKERS = ("CALL", "RESUME", "JUMP_BACKWARD")
_offsets: dict[CodeType, frozenset[int]] = {}


class Interruption(BaseException):
    """What an asynchronous exception is here."""


class Sites:
    """Counts the sites of the thread that calls `watch`, and interrupts it at the chosen one.

    `closed`: no interruption comes to it any more.
    """

    def __init__(self, run: Run, target: str, chosen: int) -> None:
        self.count = 0
        self.reached = ""
        self.closed = False
        self.target = target
        self.interrupt: Callable[[], object] = lambda: None
        self._run = run
        self._chosen = chosen

    def watch(self) -> None:
        """From now on, in the frames that it is in as well."""
        frame = sys._getframe(1)
        while frame.f_back is not None:
            frame = frame.f_back
            frame.f_trace = self._enter(frame, "call", None)
        sys.settrace(self._enter)

    def _enter(self, frame: FrameType, event: str, arg: object) -> Any:
        if self.reached or self.closed or not is_instrumented(frame.f_code):
            return None
        frame.f_trace_lines = False
        frame.f_trace_opcodes = True
        sites = _sites_of(frame.f_code)

        def trace(frame: FrameType, event: str, arg: object) -> Any:
            if event == "opcode" and frame.f_lasti in sites:
                self._visit(frame)
            return trace

        return trace

    def _visit(self, frame: FrameType) -> None:
        number = self.count
        self.count += 1
        if number != self._chosen or self.reached or self.closed:
            return
        self.reached = f"{frame.f_code.co_qualname}, line {frame.f_lineno}"
        self._run.step(((OF_THE_RUN, 0), "interrupted"))
        self.interrupt()


def _sites_of(code: CodeType) -> frozenset[int]:
    """The offsets of the instructions before which the eval breaker is looked at."""
    found = _offsets.get(code)
    if found is None:
        offsets = []
        after = False
        for instruction in dis.get_instructions(code):
            if after or instruction.is_jump_target:
                offsets.append(instruction.offset)
            name = instruction.opname
            after = name.startswith(_BREAKERS) and "INTRINSIC" not in name
            if after and name.startswith("CALL"):
                after = not is_put_in(instruction)
        _offsets[code] = found = frozenset(offsets)
    return found
