"""What may interrupt an actor between two bytecodes: an exception, or a signal handler.

CPython looks for both at its *eval breaker*: at the beginning of a function, at a jump backwards,
and when a call has returned. So these are the sites, in the order in which the actor comes to them.
For one interruption there are some more: any place that is jumped to, and where a function of the
core has returned. Of two in a row the second one could come there after all that Python code can do
about the first. So they come where CPython looks, and nowhere else.

A handler is called in an event of the interpreter, as a signal's is called. Others may come in
while it runs; it is not interrupted itself.
"""

from __future__ import annotations

import dis
import sys
from _thread import get_ident
from collections.abc import Callable
from dataclasses import dataclass, field
from types import CodeType, FrameType
from typing import Any, Final

from stress.exploration._actor import OF_THE_RUN
from stress.exploration._points import instrumented_codes, is_put_in
from stress.exploration._run import Run

_BREAKERS = ("CALL", "RESUME", "JUMP_BACKWARD")
_offsets: dict[CodeType, _Offsets] = {}


class Interruption(BaseException):
    """What an asynchronous exception is here."""


class Sites:
    """Counts the sites of the thread that calls `watch`, and interrupts it at those chosen.

    `closed`: no interruption comes to it any more.
    """

    def __init__(self, run: Run, target: str, chosen: tuple[int, ...]) -> None:
        self.count = 0
        self.reached: list[str] = []
        self.closed = False
        self.target = target
        self.interrupt: Callable[[], object] = lambda: None
        self.ident = 0
        self._run = run
        self._left = list(chosen)
        self._are_exact = len(chosen) > 1
        self._returned: tuple[FrameType | None, int] = None, 0
        stop_listening()  # to the run before, should it not have come to its site

    def watch(self) -> None:
        """From now on, in the frames that it is in as well."""
        self.ident = get_ident()
        _listen(self, sys._getframe(1))

    @property
    def over(self) -> bool:
        """Whether no interruption is to come any more."""
        return self.closed or not self._left

    def visit(self, frame: FrameType) -> None:
        """The thread is before an instruction of those in `_offsets_of`."""
        if self.over or not self._is_site(frame) or _is_in_finalizer(frame):
            return
        number = self.count
        self.count += 1
        if number == self._left[0]:
            del self._left[0]
            self.reached.append(f"{frame.f_code.co_qualname}, line {frame.f_lineno}")
            self._run.step(((OF_THE_RUN, 0), "interrupted"))
            if self._left:
                go_on_listening(self)
            self.interrupt()

    def _is_site(self, frame: FrameType) -> bool:
        offsets = _offsets_of(frame.f_code)
        at = frame.f_lasti
        if not self._are_exact:
            return at in offsets.sites
        (caller, called_at), self._returned = self._returned, (None, 0)
        if at in offsets.returns and frame.f_back is not None:
            self._returned = frame.f_back, frame.f_back.f_lasti
        if at in offsets.calls:
            return caller is not frame or not offsets.calls[at] <= called_at < at
        return at in offsets.exact


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
        if offset not in _offsets_of(code).all:
            return _monitoring.DISABLE
        if _listener is not None and _listener.ident == get_ident():
            _listener.visit(sys._getframe(1))
        return None

    def go_on_listening(sites: Sites) -> None:
        """After an exception that is about to be raised."""

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
            if sites.over or frame.f_code not in instrumented_codes():
                return None
            frame.f_trace_lines = False
            frame.f_trace_opcodes = True
            offsets = _offsets_of(frame.f_code).all

            def trace(frame: FrameType, event: str, arg: object) -> Any:
                if event == "opcode" and frame.f_lasti in offsets:
                    sites.visit(frame)
                return trace

            return trace

        while frame.f_back is not None:
            frame = frame.f_back
            frame.f_trace = enter(frame, "call", None)
        sys.settrace(enter)

    def go_on_listening(sites: Sites) -> None:
        """After an exception that is about to be raised, for which the tracing ends."""

        def bring_back(frame: FrameType, event: str, arg: object) -> None:
            sys.setprofile(None)
            _listen(sites, sys._getframe())

        sys.setprofile(bring_back)

    def stop_listening() -> None:
        """Interrupt nobody any more. A thread's tracing ends with it."""

    def free() -> None:
        """After the last run."""


@dataclass
class _Offsets:
    """Of the instructions of one code before which something is to be done.

    `sites`: the eval breaker may be looked at. `exact`: it is looked at; and so it is at `calls` if
    it was no function of the core that returned there, each with the offset of its call. `returns`:
    a function is about to return.
    """

    sites: set[int] = field(default_factory=set)
    exact: set[int] = field(default_factory=set)
    calls: dict[int, int] = field(default_factory=dict)
    returns: set[int] = field(default_factory=set)
    all: set[int] = field(default_factory=set)


def _offsets_of(code: CodeType) -> _Offsets:
    found = _offsets.get(code)
    if found is None:
        _offsets[code] = found = _Offsets()
        before: dis.Instruction | None = None
        for instruction in dis.get_instructions(code):
            at, name = instruction.offset, instruction.opname
            if before is not None or instruction.is_jump_target:
                found.sites.add(at)
            if before is not None and before.opname.startswith("CALL"):
                found.calls[at] = before.offset
            elif before is not None and before.opname.startswith("RESUME"):
                found.exact.add(at)
            if "JUMP_BACKWARD" in name and "NO_INTERRUPT" not in name:
                found.exact.add(at)
            if name.startswith("RETURN_") and name != "RETURN_GENERATOR":
                found.returns.add(at)
            is_breaker = name.startswith(_BREAKERS) and "INTRINSIC" not in name
            if is_breaker and name.startswith("CALL"):
                is_breaker = not is_put_in(instruction)
            before = instruction if is_breaker else None
        found.all = found.sites | found.exact | found.returns
    return found
