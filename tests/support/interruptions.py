"""Raise exceptions where CPython itself looks for one that is asynchronous, one or two in a row.

Those *sites* are the beginning of a function, a jump backwards, and the return of a function of C.
A signal handler that raises and `PyThreadState_SetAsyncExc` are heard there and nowhere else, so
what breaks here can break by a Ctrl-C. `injection` is harsher, at each bytecode, but for a second
exception in a handler nothing in Python would be proof against that.
"""

from __future__ import annotations

import dis
import functools
import gc
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import CodeType, FrameType
from typing import Any

from injection import DISABLE, Boom, core_codes, of_code

FURTHER = 4
"""A second exception comes at each of so many sites after the first: as its handler runs."""


class Interruptions:
    """Within `with`, the calling thread raises Boom at its sites of these numbers, from 0.

    `hits` says where that was. It has fewer than `numbers` if the code was through before.
    """

    def __init__(self, *numbers: int) -> None:
        self.hits: list[str] = []
        self._left = list(numbers)
        self._passed = 0
        self._ident = 0

    def __enter__(self) -> Interruptions:
        self._ident = threading.get_ident()
        _Watch.current = self
        _set_tracing(True)
        return self

    def __exit__(self, *exc_info: object) -> None:
        _Watch.current = None
        _set_tracing(False)

    def pass_site(self, code: CodeType) -> None:
        """The thread has come to a site in `code`."""
        if not self._left or threading.get_ident() != self._ident:
            return
        self._passed += 1
        if self._passed > self._left[0]:
            del self._left[0]
            self.hits.append(code.co_qualname)
            raise Boom(f"in {code.co_qualname}")


def pairs() -> Iterator[Interruptions]:
    """All of two that are near to each other, until the first one comes after the last site.

    Which that is may differ from one time to the next, so it is tried a few times.
    """
    first = misses = 0
    while misses < FURTHER:
        for further in range(FURTHER):
            interruptions = Interruptions(first, first + 1 + further)
            yield interruptions
            misses = 0 if interruptions.hits else misses + 1
            if len(interruptions.hits) < 2:
                break
        first += 1


class _Watch:
    """Who is told of sites, and of those in which code. One at a time in a process."""

    current: Interruptions | None = None
    codes: dict[int, CodeType] = {}  # noqa: RUF012 - by id, as in of_code


def _reach(code: CodeType) -> None:
    current = _Watch.current
    if current is not None and id(code) in _Watch.codes:
        current.pass_site(code)


@contextmanager
def interrupting(*functions: Callable[..., Any]) -> Iterator[None]:
    """Within this block interruptions come in the core, and in these functions.

    Not in what the garbage collector calls, where CPython itself would lose them: what is there
    is collected before, and nothing meanwhile. Nor while an exception is reported that one of the
    core's finalizers has let out.
    """
    watched = (*core_codes(), *(function.__code__ for function in functions))
    _Watch.codes = {id(code): code for code in watched if code.co_name != "_forget"}
    report = sys.unraisablehook
    collects = gc.isenabled()
    gc.collect()
    gc.disable()
    sys.unraisablehook = functools.partial(_report_unwatched, report)
    try:
        with _sites_reached():
            yield
    finally:
        sys.unraisablehook = report
        if collects:
            gc.enable()


def _report_unwatched(
    report: Callable[[sys.UnraisableHookArgs], object], unraisable: sys.UnraisableHookArgs
) -> None:
    current, _Watch.current = _Watch.current, None
    try:
        report(unraisable)
    finally:
        _Watch.current = current


@contextmanager
def _sites_reached() -> Iterator[None]:
    """Within this block `_reach` is called at each site of the codes that are watched."""
    if sys.version_info < (3, 12):
        yield
        return
    monitoring = sys.monitoring
    tool, events = monitoring.PROFILER_ID, monitoring.events
    monitoring.use_tool_id(tool, "interruptions")
    monitoring.register_callback(tool, events.PY_START, lambda code, _: _reach(code))
    monitoring.register_callback(tool, events.C_RETURN, lambda code, *_: _reach(code))
    monitoring.register_callback(tool, events.INSTRUCTION, _reach_jump)
    for code in _Watch.codes.values():  # what C returned is reported with what is called
        jumps = events.INSTRUCTION if _jumps_in(code) else 0
        monitoring.set_local_events(tool, code, events.PY_START | events.CALL | jumps)
    try:
        yield
    finally:
        for code in _Watch.codes.values():
            monitoring.set_local_events(tool, code, 0)
        monitoring.free_tool_id(tool)


def _reach_jump(code: CodeType, offset: int) -> object:
    # Not by the event of a jump: what that raises is raised where the jump leads to.
    if offset not in _jumps_in(code):
        return DISABLE
    _reach(code)
    return None


# CPython 3.11: what C returned is seen by a profiler, the rest by a tracer. One that raises is not
# called again, so the other one brings it back.


def _set_tracing(on: bool) -> None:
    if sys.version_info < (3, 12):
        sys.settrace(_trace_call if on else None)
        sys.setprofile(_profile if on else None)


def _profile(frame: FrameType, event: str, arg: object) -> None:
    if _Watch.current is not None and sys.gettrace() is None:
        outer: FrameType | None = frame
        while outer is not None:
            if id(outer.f_code) in _Watch.codes:
                outer.f_trace = _trace
                outer.f_trace_opcodes = True
            outer = outer.f_back
        sys.settrace(_trace_call)
    if event == "c_return":
        _reach(frame.f_code)


def _trace_call(frame: FrameType, event: str, arg: object) -> Any:
    if id(frame.f_code) not in _Watch.codes:
        return None
    frame.f_trace_opcodes = True
    return _trace


def _trace(frame: FrameType, event: str, arg: object) -> Any:
    if sys.getprofile() is None and _Watch.current is not None:
        sys.setprofile(_profile)
    if event == "opcode" and frame.f_lasti in _traced_in(frame.f_code):
        _reach(frame.f_code)
    return _trace


@of_code
def _jumps_in(code: CodeType) -> Iterator[int]:
    return _offsets(code, "JUMP_BACKWARD")


@of_code
def _traced_in(code: CodeType) -> Iterator[int]:
    return _offsets(code, "RESUME", "JUMP_BACKWARD", "POP_JUMP_BACKWARD")


def _offsets(code: CodeType, *names: str) -> Iterator[int]:
    for each in dis.get_instructions(code):
        if each.opname.startswith(names) and not each.opname.endswith("NO_INTERRUPT"):
            yield each.offset
