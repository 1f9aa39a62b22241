"""What may interrupt an actor between two bytecodes: an exception, or a signal handler.

CPython looks for both at its *eval breaker*: at the beginning of a function, at a jump backwards,
and when a call has returned. So these are the sites, in the order in which the actor comes to them.
The handler is called in an event of the interpreter, as a signal's is called. Others may come in
while it runs; it is not interrupted itself.
"""

from __future__ import annotations

import dis
import sys
from _thread import get_ident
from collections.abc import Callable
from types import CodeType, FrameType
from typing import Any, Final

from stress.exploration._actor import OF_THE_RUN
from stress.exploration._points import instrumented_codes, is_put_in
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
        self.ident = 0
        self._run = run
        self._chosen = chosen
        stop_listening()  # to the run before, should it not have come to its site

    def watch(self) -> None:
        """From now on, in the frames that it is in as well."""
        self.ident = get_ident()
        _listen(self, sys._getframe(1))

    def visit(self, frame: FrameType) -> None:
        """The thread is at a site."""
        if self.reached or self.closed or _is_in_finalizer(frame):
            return
        number = self.count
        self.count += 1
        if number == self._chosen:
            self.reached = f"{frame.f_code.co_qualname}, line {frame.f_lineno}"
            self._run.step(((OF_THE_RUN, 0), "interrupted"))
            self.interrupt()


def _is_in_finalizer(frame: FrameType | None) -> bool:
    """Whether the interpreter called this to finalize something, and would lose an exception."""
    while frame is not None:
        if frame.f_code.co_name == "__del__":
            return True
        frame = frame.f_back
    return False


if sys.version_info >= (3, 12):
    # Of `sys.settrace` a thread gets no events there while others end their tracing.
    _monitoring: Final = sys.monitoring
    _TOOL: Final = 4
    _listener: Sites | None = None

    def _listen(sites: Sites, frame: FrameType) -> None:
        global _listener
        _listener = sites
        if _monitoring.get_tool(_TOOL) is None:
            _monitoring.use_tool_id(_TOOL, "the explorer")
            event = _monitoring.events.INSTRUCTION
            _monitoring.register_callback(_TOOL, event, _hear)
            for code in instrumented_codes():
                _monitoring.set_local_events(_TOOL, code, event)

    def _hear(code: CodeType, offset: int) -> object:
        if offset not in _sites_of(code):
            return _monitoring.DISABLE
        if _listener is not None and _listener.ident == get_ident():
            _listener.visit(sys._getframe(1))
        return None

    def stop_listening() -> None:
        """Interrupt nobody any more."""
        global _listener
        _listener = None

    def free() -> None:
        """After the last run."""
        stop_listening()
        if _monitoring.get_tool(_TOOL) is not None:
            _monitoring.free_tool_id(_TOOL)

else:

    def _listen(sites: Sites, frame: FrameType) -> None:
        def enter(frame: FrameType, event: str, arg: object) -> Any:
            if sites.reached or sites.closed or frame.f_code not in instrumented_codes():
                return None
            frame.f_trace_lines = False
            frame.f_trace_opcodes = True
            offsets = _sites_of(frame.f_code)

            def trace(frame: FrameType, event: str, arg: object) -> Any:
                if event == "opcode" and frame.f_lasti in offsets:
                    sites.visit(frame)
                return trace

            return trace

        while frame.f_back is not None:
            frame = frame.f_back
            frame.f_trace = enter(frame, "call", None)
        sys.settrace(enter)

    def stop_listening() -> None:
        """Interrupt nobody any more. A thread's tracing ends with it."""

    def free() -> None:
        """After the last run."""


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
