"""What comes from outside is checked here, before anything is touched."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from functools import wraps
from typing import Any, Literal, TypeAlias, TypeVar, cast, get_args

from freezethreads._ground.deadline import Deadline, check_seconds
from freezethreads._ground.errors import FreezeError
from freezethreads._ground.uninterruptible import need_depth

F = TypeVar("F", bound=Callable[..., Any])

Where: TypeAlias = Literal["safepoint", "unlocked", "anywhere"]
"""Where a freeze may stop a thread: at its doors, outside sections, or wherever it is."""

_WHERE = ", ".join(map(repr, get_args(Where)))


def check_debug(debug: bool | None) -> bool:
    """Whether a freezer is to be in debug mode; None: what the environment says."""
    if debug is None:
        return os.environ.get("FREEZETHREADS_DEBUG", "0") not in ("", "0")
    if not isinstance(debug, bool):
        raise TypeError(f"debug must be True, False or None, not {debug!r}")
    return debug


def check_group(group: object) -> str:
    """Return `group` if it is a dotted name or "", else raise TypeError or ValueError."""
    return "" if group == "" else _check_dotted("group", group, "io.disk")


def check_groups(group: object) -> tuple[str, ...]:
    """The groups to be stopped, in order: one, or several. Raises TypeError or ValueError."""
    if isinstance(group, str):
        return (check_group(group),)
    if not isinstance(group, Sequence) or isinstance(group, bytes):
        raise TypeError(
            "group must be a dotted name such as 'io.disk', or a list of such names in the order "
            f"in which they are to stop, not {group!r}"
        )
    groups = tuple([check_group(each) for each in group])
    if not groups:
        raise ValueError("group must name a group at least: leave it out for all threads")
    for number, each in enumerate(groups):
        covering = next((first for first in groups[:number] if covers(first, each)), None)
        if covering is not None:
            raise ValueError(
                f"group {each!r} stops with {covering!r}, which comes before it: put it first, or "
                "leave it out"
            )
    return groups


def covers(group: str, other: str) -> bool:
    """Whether `other` is `group` or below it; "" is above all."""
    return not group or other == group or other.startswith(group + ".")


def check_kind(kind: object) -> str:
    """Return `kind` if it is a dotted name, else raise TypeError or ValueError."""
    return _check_dotted("kind", kind, "tx")


def _check_dotted(name: str, value: object, example: str) -> str:
    advice = f"{name} must be a dotted name such as {example!r}, not {value!r}"
    if not isinstance(value, str):
        raise TypeError(advice)
    if not all(part and part == part.strip() for part in value.split(".")):
        raise ValueError(advice)
    return value


def check_label(label: object, called: str) -> None:
    """Raise TypeError unless `label` is a string or None. `called` is what the program calls the
    freezer whose region it is."""
    if label is not None and not isinstance(label, str):
        raise TypeError(
            f"label must be a string or None, not {label!r}: write `with {called}.blocking():`, "
            "and make the call that waits in that block"
        )


def check_callable(name: str, fn: object) -> None:
    """Raise TypeError unless `fn` can be called."""
    if not callable(fn):
        raise TypeError(f"{name} must be callable, not {fn!r}")


def by_name(method: F) -> F:
    """A decorator: the method takes arguments by name alone, and says so in words of the caller.

    Its caller is two frames out. For a type checker, and for `inspect`, it is as it was. A
    `FreezeError` is completed by the object, which is a freezer.
    """
    return _by_name_after(0, method, _advice_on)


def by_name_but_first(method: F) -> F:
    """The same for a method whose first argument need not be named."""
    return _by_name_after(1, method, _advice_on_second)


def _by_name_after(count: int, method: F, advice: Callable[..., str]) -> F:
    """The same for one that takes so many without their names. `advice` is about these, and the
    next one."""

    @wraps(method)
    def call(self: Any, *unnamed: object, **named: object) -> object:
        if len(unnamed) > count:
            raise TypeError(advice(method.__name__, *unnamed[: count + 1]))
        try:
            return method(self, *unnamed, **named)
        except FreezeError as error:
            self._complete(error)
            raise

    return call  # type: ignore[return-value]


def _advice_on_second(name: str, first: object, second: object) -> str:
    """What to write instead. The second is likely a group."""
    return (
        f"{name}() takes its arguments by name, but for the first: write "
        f"{name}({first!r}, group={second!r})"
    )


def _advice_on(name: str, value: object) -> str:
    """What to write instead. A string is likely a group, and a number a time-out."""
    advice = "timeout, reason, group, lease"
    if isinstance(value, str):
        advice = f"write {name}(group={value!r})"
    elif value is None or (isinstance(value, (int, float)) and not isinstance(value, bool)):
        advice = f"write {name}(timeout={value!r})"
    return f"{name}() takes its arguments by name: {advice}"


def check_request(
    timeout: float | None, reason: str, group: str | Sequence[str], lease: float | None
) -> tuple[Deadline, str, tuple[str, ...], float | None]:
    """Check a controller's arguments, and that the stack has room for what it does."""
    need_depth()
    seconds = check_seconds("timeout", timeout)
    if not isinstance(reason, str):
        raise TypeError(f"reason must be a string, not {reason!r}")
    groups = check_groups(group)
    lease = check_seconds("lease", lease, positive=True)
    return Deadline(seconds), reason, groups, lease


def check_where(where: object, usual: Where) -> Where:
    """Return `where` if it says where threads may be stopped, or `usual` for None; else raise
    TypeError or ValueError."""
    if where is None:
        return usual
    if not isinstance(where, str):
        raise TypeError(f"where must be one of {_WHERE}, not {where!r}")
    if where not in get_args(Where):
        raise ValueError(f"where must be one of {_WHERE}, not {where!r}")
    return cast("Where", where)


def check_flag(name: str, value: object) -> None:
    """Raise TypeError unless `value` is True or False."""
    if not isinstance(value, bool):
        raise TypeError(f"{name} must be True or False, not {value!r}")


def check_hook(before: object, after: object, phase: object, name: object) -> None:
    """Raise TypeError or ValueError unless these make a hook."""
    if before is None and after is None:
        raise ValueError("a hook needs a function to be called: before, after, or both")
    for which, fn in (("before", before), ("after", after)):
        if fn is not None:
            check_callable(which, fn)
    _check_number("phase", phase)
    if not (name is None or isinstance(name, str)):
        raise TypeError(f"name must be a string or None, not {name!r}")


def check_todo(fn: object, priority: object) -> None:
    """Raise TypeError unless `fn` can be called, and `priority` is a number. Also RecursionError
    unless the stack has room for posting it."""
    need_depth()
    check_callable("fn", fn)
    _check_number("priority", priority)


def _check_number(name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value != value:
        raise TypeError(f"{name} must be a number, not {value!r}")


def check_count(name: str, value: object, of: str = "") -> int:
    """Return `value` if it is a whole number from 1 on, else raise TypeError or ValueError. `of`
    says what is counted."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be a whole number{of and f' of {of}'}, not {value!r}")
    if value < 1:
        raise ValueError(f"{name} must be 1 or more{of and f' {of}'}, not {value}")
    return value


def check_settled(settled: object) -> frozenset[str]:
    """The kinds that are to be settled: one, or several. Raises TypeError or ValueError."""
    if isinstance(settled, str):
        return frozenset((check_kind(settled),))
    if not isinstance(settled, Iterable):
        raise TypeError(f"settled must be a kind such as 'tx', or several, not {settled!r}")
    return frozenset([check_kind(kind) for kind in settled])
