"""All of the interpreter's monitoring that the second engine uses: its events, on or off.

On, every thread of the interpreter calls the trap before its next instruction, also one that is in
a call of C, and one that begins later. Off, nothing is left: no tool, no callback, no event.

What is assumed of CPython 3.12 and newer (sys.monitoring's page, and Python/instrumentation.c):
`set_events` changes the code of all frames of all threads before it returns, and code that begins
later when it begins; with the GIL nobody executes anything meanwhile, and without one it stops the
world. While a thread is in a callback no event of anybody occurs in it: so one of another tool (a
tracer, a profiler) that waits goes on when its wait is over, up to its end. An exception that a
callback raises is raised there.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Mapping
from types import CodeType
from typing import Any, Final

from freezethreads._ground.errors import FreezeError

_NAME: Final = "freezethreads"
_PREFERRED: Final = (3, 4, 5, 2, 1, 0)  # those that no convention has given to anybody come first
BEFORE_EACH_INSTRUCTION: Final = (
    "INSTRUCTION",
    "PY_START",
    "PY_RESUME",
    "PY_THROW",
    "PY_UNWIND",
    "RAISE",
    "RERAISE",
)
AT_ENTRIES_AND_LOOPS: Final = ("PY_START", "JUMP")
_ALL: Final = (*BEFORE_EACH_INSTRUCTION, "JUMP")
_ROOM: Final = 200  # calls that the trap may need below the program's last one

_tool: int | None = None
_limit: int | None = None
_local: list[CodeType] = []  # those with events of their own


def is_available() -> bool:
    """Whether this interpreter can do that at all."""
    return sys.version_info >= (3, 12)


def check_available(where: str) -> None:
    """Raise `FreezeError` where threads cannot be stopped in this way, before anything is done."""
    if sys.version_info < (3, 12):
        version = ".".join(map(str, sys.version_info[:2]))
        raise FreezeError(
            f"where={where!r} needs CPython 3.12 or newer, and this is {version}: use "
            "where='safepoint'"
        )
    jit = getattr(sys, "_jit", None)
    if jit is not None and jit.is_enabled():
        raise FreezeError(
            f"where={where!r} is not reliable while CPython's JIT is on (python/cpython#156319): "
            "start the program with PYTHON_JIT=0"
        )
    _choose_tool()


def _choose_tool() -> int:
    monitoring: Any = sys.monitoring  # type: ignore[attr-defined, unused-ignore]
    if _tool is not None:
        return _tool
    names = {tool: monitoring.get_tool(tool) for tool in _PREFERRED}
    free = next((tool for tool, name in names.items() if name in (None, _NAME)), None)
    if free is None:
        owners = ", ".join(repr(name) for name in names.values())
        raise FreezeError(
            "all ids of sys.monitoring are taken, so that no thread can be stopped between two "
            f"instructions; they belong to {owners}: switch one of these off"
        )
    return free


def switch(
    traps: Mapping[str, Callable[..., object]], codes: Collection[CodeType] | None = None
) -> None:
    """Have every thread call the trap of each of these events, and of no other. May be repeated.

    `codes` is the code in which that of each instruction is called; None: it is in all there is.

    Called with the engine's lock held. Raises `FreezeError` if all ids are taken.
    """
    if traps:
        _switch_on(traps, codes)
    else:
        _switch_off()


def _switch_on(
    traps: Mapping[str, Callable[..., object]], codes: Collection[CodeType] | None
) -> None:
    global _tool, _limit
    monitoring: Any = sys.monitoring  # type: ignore[attr-defined, unused-ignore]
    if _tool is None:
        tool = _choose_tool()
        if monitoring.get_tool(tool) is None:  # else an exception came in between, the last time
            monitoring.use_tool_id(tool, _NAME)
        _tool = tool
    if _limit is None:
        # A trap must find room at any depth, and not raise RecursionError there.
        limit = sys.getrecursionlimit()
        _limit = limit
        sys.setrecursionlimit(limit + _ROOM)
    events = 0
    for name in _ALL:
        event = getattr(monitoring.events, name)
        monitoring.register_callback(_tool, event, traps.get(name))
        is_everywhere = name in traps and (name != "INSTRUCTION" or codes is None)
        events |= event if is_everywhere else 0
    for code in codes or ():  # before the next step, which changes the code of all frames
        _local.append(code)
        monitoring.set_local_events(_tool, code, monitoring.events.INSTRUCTION)
    monitoring.set_events(_tool, events)
    if codes is None:
        _clear_local()


def _clear_local() -> None:
    monitoring: Any = sys.monitoring  # type: ignore[attr-defined, unused-ignore]
    while _local:
        monitoring.set_local_events(_tool, _local[-1], 0)
        _local.pop()


def _switch_off() -> None:
    """Leave nothing behind."""
    global _tool, _limit
    monitoring: Any = sys.monitoring  # type: ignore[attr-defined, unused-ignore]
    if _tool is not None:
        monitoring.set_events(_tool, 0)
        _clear_local()
        for name in _ALL:
            monitoring.register_callback(_tool, getattr(monitoring.events, name), None)
        monitoring.free_tool_id(_tool)
        _tool = None
    if _limit is not None:
        if sys.getrecursionlimit() == _limit + _ROOM:  # else the program has set another one
            try:
                sys.setrecursionlimit(_limit)
            except RecursionError:
                return  # this thread is too deep for it just now: the next time does it
        _limit = None
