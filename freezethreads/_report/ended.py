"""Threads that an exception has ended: remembered, since nothing else shows that they are gone.

`threading` calls its `excepthook` for each of them, in the thread itself. As long as anybody wants
to know, ours is there, and calls the one that it found. A program that puts its own there
afterwards, and does not call ours, has taken over what becomes of such threads. Of a thread that
`threading` did not start nothing is known.
"""

from __future__ import annotations

import os
import threading
import traceback
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any, Final, NamedTuple

from freezethreads._ground.original import RLock, Thread, get_ident, monotonic
from freezethreads._ground.uninterruptible import call_with
from freezethreads._report.stacks import nearest

__all__ = ["Ended", "ended", "forget_ended", "note_ended"]

_MOST: Final = 100  # of which more is known than their number
_DEEPEST: Final = 100  # innermost calls, among which one of the program is looked for
_LONGEST: Final = 200  # characters of what an exception says
_NAME: Final = vars(Thread)["name"]


class Ended(NamedTuple):
    """A thread that an exception has ended, which one, when (on the monotonic clock), and at which
    line of the program: file, number and function, or None."""

    name: str
    error: str
    at: float
    line: tuple[str, int, str] | None


class _Hook:
    """What stands in the place of `threading.excepthook`. Once `on` is down it only passes on."""

    def __init__(self, before: Callable[[Any], object]) -> None:
        self.before = before
        self.on = False

    def __call__(self, arguments: Any) -> None:
        try:
            if self.on and arguments.exc_type is not SystemExit:
                _ended.append(_of(arguments))
        finally:
            self.before(arguments)


# The newest last. To append to a deque, and to copy it, is atomic with and without a GIL.
_ended: deque[Ended] = deque(maxlen=_MOST)
_lock = RLock()
_users: dict[object, None] = {}  # guarded by the lock, as what follows
_hook: _Hook | None = None


def note_ended(user: object) -> None:
    """Remember such threads from now on, until `user` wants that no longer. From any thread."""
    call_with(_lock, partial(_note, user))


def _note(user: object) -> None:
    global _hook
    _users[user] = None
    if _hook is None:
        _hook = _Hook(threading.excepthook)
    if not _hook.on:  # it is still to be put there
        threading.excepthook = _hook
        _hook.on = True


def forget_ended(user: object) -> None:
    """`user` wants that no longer. May be repeated. With the last one all is forgotten."""
    call_with(_lock, partial(_forget, user))


def _forget(user: object) -> None:
    """Called with the lock held; may be repeated, also where an exception has cut it short."""
    global _hook
    _users.pop(user, None)
    if not _users and _hook is not None:
        _hook.on = False
        if threading.excepthook is _hook:  # else somebody's may call it
            threading.excepthook = _hook.before
        _ended.clear()
        _hook = None


def ended() -> list[Ended]:
    """Those of which anything is known, the newest last. From any thread."""
    return list(_ended.copy())


def _of(arguments: Any) -> Ended:
    calls = traceback.walk_tb(arguments.exc_traceback)
    stack = traceback.StackSummary.extract(calls, limit=-_DEEPEST, lookup_lines=False)
    call = nearest(stack)
    thread = arguments.thread
    return Ended(
        f"thread {get_ident()}" if thread is None else _NAME.__get__(thread),
        _in_words(arguments.exc_type, arguments.exc_value),
        monotonic(),
        None if call is None else (call.filename, call.lineno or 0, call.name),
    )


def _in_words(kind: type[BaseException], value: BaseException | None) -> str:
    """Its type, and the first line of what it says, which is the program's own code."""
    try:
        text = str(value or "")
    except Exception:  # noqa: BLE001 - what comes after this tells the program of the first one
        text = "its str() raises"
    first = text.partition("\n")[0][:_LONGEST]
    return f"{kind.__qualname__}: {first}" if first else kind.__qualname__


def _after_fork_in_child() -> None:
    _ended.clear()  # they were the parent's
    _lock.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_after_fork_in_child
    )
