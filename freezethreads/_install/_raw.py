"""Threads that `_thread` starts without `threading`: enrolled, which is all that one notices.

What such a thread raises is reported by the C code that has called its function, in the name of
that function. Here our own object is called, so it is reported from here, in the same words.
"""

from __future__ import annotations

import sys
import threading
from typing import Any

from freezethreads._ground.original import get_ident
from freezethreads._install._members import Members
from freezethreads._install._patches import Function, Switch
from freezethreads._refrigerator.waits import plumbing

plumbing.add(__file__)


def start_raw(original: Function, switch: Switch, label: str) -> Function:
    """`_thread.start_new_thread` and its relatives. The function is the first argument."""
    assert isinstance(switch, Members)
    members = switch

    def start(*args: Any, **kwargs: Any) -> Any:
        if members.on:
            if args and callable(args[0]):
                args = (_Enrolled(args[0], members), *args[1:])
            elif callable(kwargs.get("function")):
                kwargs["function"] = _Enrolled(kwargs["function"], members)
        return original(*args, **kwargs)

    return start


class _Enrolled:
    """What the thread calls instead of the function. It shows itself as that."""

    __slots__ = ("_function", "_members")

    def __init__(self, function: Function, members: Members) -> None:
        self._function = function
        self._members = members

    def __repr__(self) -> str:
        return repr(self._function)

    def __call__(self, *args: Any, **kwargs: Any) -> None:
        known = get_ident() in threading._active  # type: ignore[attr-defined]
        try:
            with self._members.enrolled():
                if not known:
                    _hide_dummy()
                self._function(*args, **kwargs)
        except SystemExit:
            raise  # no error, for the C code either
        except BaseException as error:
            if not _report(error, self._function):
                raise


def _hide_dummy() -> None:
    """Take from `threading` the object that stands there for this thread since it is enrolled.

    It would be listed, and named as the main thread in the child of a fork. Should the program ask
    for one, it gets one of its own.
    """
    with threading._active_limbo_lock:  # type: ignore[attr-defined]
        dummy = threading._active.pop(get_ident(), None)  # type: ignore[attr-defined]
    if dummy is not None:  # none if the installation has ended meanwhile
        threading._dangling.discard(dummy)  # type: ignore[attr-defined]


def _report(error: BaseException, function: Function) -> bool:
    """Tell `sys.unraisablehook`; returns False if this Python has no such report."""
    kinds: list[Any] = tuple.__subclasses__()
    kind = next((kind for kind in kinds if kind.__name__ == "UnraisableHookArgs"), None)
    if kind is None:
        return False
    error.__traceback__ = error.__traceback__ and error.__traceback__.tb_next  # without our frame
    message = "Exception ignored in thread started by"
    what = (f"{message} {function!r}", None) if sys.version_info >= (3, 13) else (message, function)
    sys.unraisablehook(kind((type(error), error, error.__traceback__, *what)))
    return True
