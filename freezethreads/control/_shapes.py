"""What a value of JSON has to look like: small checks, and how larger ones are made of them.

A check takes a value, and raises `Unfit` if it is not what it says. What a table has beyond its
fields is nobody's concern: a later version may add some.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeAlias

__all__ = [
    "LARGEST",
    "Check",
    "Unfit",
    "either",
    "flag",
    "list_of",
    "number",
    "optional",
    "positive",
    "row",
    "table",
    "text",
    "where",
    "whole",
]

Check: TypeAlias = Callable[[Any], None]

_WIDEST: Final = 2**64  # what counts threads and bytes, and what names them, is less
LARGEST: Final = 1e300
"""What a number is less than, so that one can go on to count with it."""


class Unfit(ValueError):
    """A value is not what it should be. `path` leads to it, from the outermost one."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem
        self.path: list[str] = []

    def __str__(self) -> str:
        return f"{'.'.join(self.path) or 'it'} {self.problem}"


def _plain(problem: str, fits: Callable[[Any], bool]) -> Check:
    def check(value: Any) -> None:
        if not fits(value):
            raise Unfit(problem)

    return check


text = _plain("is no string", lambda value: type(value) is str)
flag = _plain("is neither true nor false", lambda value: type(value) is bool)
whole = _plain(
    "is no whole number", lambda value: type(value) is int and -_WIDEST < value < _WIDEST
)
number = _plain(
    "is no number", lambda value: type(value) in (int, float) and -LARGEST < value < LARGEST
)
positive = _plain(
    "is no number above 0", lambda value: type(value) in (int, float) and 0 < value < LARGEST
)


def either(*words: str) -> Check:
    """One of these strings."""
    return _plain(f"is none of {', '.join(words)}", lambda value: value in words)


def optional(check: Check) -> Check:
    """The same, or null."""

    def check_unless_null(value: Any) -> None:
        if value is not None:
            check(value)

    return check_unless_null


def list_of(check: Check) -> Check:
    """A list of any length of what the check is for."""

    def check_each(value: Any) -> None:
        if type(value) is not list:
            raise Unfit("is no list")
        for index, entry in enumerate(value):
            try:
                check(entry)
            except Unfit as unfit:
                unfit.path.insert(0, str(index))
                raise

    return check_each


def row(*checks: Check) -> Check:
    """A list of as many entries, each of which fits its own check."""
    whole_row = table(**{str(index): check for index, check in enumerate(checks)})

    def check_row(value: Any) -> None:
        if type(value) is not list or len(value) != len(checks):
            raise Unfit(f"is no list of {len(checks)}")
        whole_row({str(index): entry for index, entry in enumerate(value)})

    return check_row


def table(**fields: Check) -> Check:
    """An object that has at least these fields."""

    def check_fields(value: Any) -> None:
        if type(value) is not dict:
            raise Unfit("is no object")
        for name, check in fields.items():
            if name not in value:
                raise Unfit(f"has no {name!r}")
            try:
                check(value[name])
            except Unfit as unfit:
                unfit.path.insert(0, name)
                raise

    return check_fields


def where(check: Check, problem: str, holds: Callable[[Any], bool]) -> Check:
    """What fits the check, and of which something more holds."""

    def check_both(value: Any) -> None:
        check(value)
        if not holds(value):
            raise Unfit(problem)

    return check_both
