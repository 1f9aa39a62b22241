"""The tasks of loops of asyncio whose threads stand: which there are, and where each awaits.

From CPython 3.14 on ``python -m asyncio ps PID`` reads as much from outside, while they run. Here
the loop stands, so what is told belongs to one moment, and to that of the threads. Only with a GIL:
without one nobody else may touch the frame in which a loop is found.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterator
from inspect import CORO_CREATED, getcoroutinestate
from types import AsyncGeneratorType, CodeType, CoroutineType, FrameType, GeneratorType
from typing import TYPE_CHECKING, Any, Final

from freezethreads._ground.frames import HAS_GIL, current_frames, uncollected
from freezethreads._report.reports import CodeLine, TaskReport
from freezethreads._report.stacks import Call

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Task

_DEEPEST: Final = 1000  # coroutines that await each other


def tasks_of(idents: Collection[int]) -> dict[int, tuple[TaskReport, ...]]:
    """The tasks of the loop that each of these threads runs, if it runs one. They have to stand."""
    asyncio = sys.modules.get("asyncio")
    all_tasks = getattr(asyncio, "all_tasks", None)
    if asyncio is None or all_tasks is None or not HAS_GIL:
        return {}  # there is no loop, or it is just being imported
    code = getattr(asyncio.BaseEventLoop.run_forever, "__code__", None)
    loops = uncollected(lambda: _loops_of(idents, code))
    return {
        ident: tuple(sorted(map(_report, all_tasks(loop)), key=lambda task: task.name))
        for ident, loop in loops.items()
    }


def _loops_of(idents: Collection[int], code: CodeType | None) -> dict[int, AbstractEventLoop]:
    frames = current_frames()  # the own one is in there, and keeps what it refers to alive
    try:
        found = {ident: _loop_in(frames.pop(ident, None), code) for ident in idents}
    finally:
        frames.clear()
    return {ident: loop for ident, loop in found.items() if loop is not None}


def _loop_in(frame: FrameType | None, code: CodeType | None) -> AbstractEventLoop | None:
    while frame is not None and frame.f_code is not code:
        frame = frame.f_back
    return None if frame is None else frame.f_locals.get("self")


def _report(task: Task[Any]) -> TaskReport:
    coroutine = task.get_coro()
    state = _state_of(coroutine)
    calls = () if state == "running" else tuple(_calls_of(coroutine))
    return TaskReport(
        name=task.get_name(),
        state=state,
        line=CodeLine.of(calls[::-1]),
        inside=CodeLine.of(calls[-1:]),
    )


def _state_of(coroutine: object) -> str:
    if not isinstance(coroutine, CoroutineType):
        return "awaiting"  # one that was compiled, say: nobody can tell
    if coroutine.cr_running:
        return "running"
    is_new = getcoroutinestate(coroutine) == CORO_CREATED
    return "new" if is_new else "awaiting"


def _calls_of(awaited: object) -> Iterator[Call]:
    """What a coroutine that does not run has called, the outermost first. What it awaits in the end
    is not asked for anything: that may be code of the program."""
    for _ in range(_DEEPEST):
        if isinstance(awaited, CoroutineType):
            frame, awaited = awaited.cr_frame, awaited.cr_await
        elif isinstance(awaited, GeneratorType):
            frame, awaited = awaited.gi_frame, awaited.gi_yieldfrom
        elif isinstance(awaited, AsyncGeneratorType):
            frame, awaited = awaited.ag_frame, awaited.ag_await
        else:
            return
        if frame is not None:
            code = frame.f_code
            yield Call(code.co_filename, code.co_name, frame.f_lineno or 0, code, frame.f_lasti)
