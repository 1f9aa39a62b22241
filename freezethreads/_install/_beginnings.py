"""Enrolling each thread that starts, with nothing replaced: for `install(patch=False)`.

`sys.monitoring` tells when `Thread._bootstrap_inner` begins, which every thread of `threading`
calls in itself, before its `run()`. There that one thread gets a `run` of its own, which enrols it.
It is the only code of the program that has an event, so nothing else takes longer than before.
"""

from __future__ import annotations

import sys
from types import CodeType
from typing import Any, Final

from freezethreads._ground.errors import FreezeError
from freezethreads._ground.original import OwnThread, Thread
from freezethreads._install._members import Members
from freezethreads._machine.monitoring import check_available
from freezethreads._refrigerator.waits import plumbing
from freezethreads._threads import enter_before_run

plumbing.add(__file__)

_NAME: Final = "freezethreads.install"
_PREFERRED: Final = (5, 4, 3, 2, 1, 0)  # those that no convention has given to anybody come first
_CODE: Final[CodeType] = Thread._bootstrap_inner.__code__  # type: ignore[attr-defined]


def check_beginnings() -> None:
    """Raise `FreezeError` where threads cannot be enrolled or stopped without a patch."""
    if sys.version_info < (3, 12):
        version = ".".join(map(str, sys.version_info[:2]))
        raise FreezeError(
            f"install(patch=False) needs CPython 3.12 or newer, and this is {version}: "
            "use install(), which replaces the waits of the standard library"
        )
    check_available("unlocked")


class Beginnings:
    """Has the members of an installation be enrolled, from `watch()` until `leave()`."""

    def __init__(self) -> None:
        self._tool: int | None = None

    def watch(self, members: Members) -> None:
        """From here on each thread that starts is enrolled.

        Raises `FreezeError` unless two of the interpreter's ids for tools are free: this keeps one,
        and a freeze takes another.
        """
        monitoring: Any = sys.monitoring  # type: ignore[attr-defined, unused-ignore]
        free = [tool for tool in _PREFERRED if monitoring.get_tool(tool) is None]
        if len(free) < 2:
            raise FreezeError(
                "install(patch=False) needs two of the six ids of sys.monitoring, and "
                f"{len(free)} is free: switch off a debugger, coverage or profiler"
            )
        self._tool = tool = free[0]
        monitoring.use_tool_id(tool, _NAME)
        event = monitoring.events.PY_START

        def begin(code: CodeType, offset: int) -> None:
            thread = sys._getframe(1).f_locals["self"]
            if not isinstance(thread, OwnThread):
                members.expect()
                enter_before_run(thread, members.enrolled)

        monitoring.register_callback(tool, event, begin)
        monitoring.set_local_events(tool, _CODE, event)

    def leave(self) -> None:
        """Leave nothing of this in the interpreter. May be repeated."""
        monitoring: Any = getattr(sys, "monitoring", None)
        tool = self._tool
        if tool is None or monitoring.get_tool(tool) != _NAME:
            return  # an exception came in between, or somebody else has taken it away
        monitoring.set_local_events(tool, _CODE, 0)
        monitoring.register_callback(tool, monitoring.events.PY_START, None)
        monitoring.free_tool_id(tool)
        self._tool = None
