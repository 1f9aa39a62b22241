"""Frozen dataclasses as JSON, and back: the one description of what is sent and what is accepted.

`to_json` makes dicts, lists and plain values of them. `from_json` makes them of what has come, and
raises `Unfit` for what does not fit: their fields say what has to be there, and `__post_init__` may
refuse more. What an object has beyond its fields is nobody's concern: a later version may add some.
A field whose default is None, or an empty tuple, may be missing; the former is left out while it is
None.
"""

from __future__ import annotations

import typing
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from functools import cache
from itertools import count, repeat
from types import UnionType
from typing import Any, Final, Literal, TypeAlias, TypeVar, Union

T = TypeVar("T")

_Read: TypeAlias = Callable[[Any], Any]

_NOTHING: Final = (None, ())
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


def to_json(value: Any) -> Any:
    """Return what JSON can carry of a dataclass, and of all that is in it."""
    if isinstance(value, (list, tuple)):
        return [to_json(entry) for entry in value]
    if not is_dataclass(value):
        return value
    told = ((field, getattr(value, field.name)) for field in fields(value))
    return {
        field.name: to_json(entry)
        for field, entry in told
        if entry is not None or field.default is not None
    }


def from_json(kind: Callable[..., T], value: object) -> T:
    """Return the dataclass `kind` of what JSON has carried. Raises `Unfit`."""
    made: T = _reader(kind)(value)
    return made


@cache
def _reader(kind: Any) -> _Read:
    """What makes a value of that type."""
    origin, parts = typing.get_origin(kind), typing.get_args(kind)
    if kind in _PLAIN:
        return _PLAIN[kind]
    if origin in (Union, UnionType):
        read = _reader(parts[0])
        return lambda value: None if value is None else read(value)
    if origin is Literal:
        return _PLAIN[str]  # a later version may have more of these words
    if origin is tuple:
        return _tuple(*parts)
    return _object(kind)


def _plain(problem: str, fits: Callable[[Any], bool]) -> _Read:
    def read(value: Any) -> Any:
        if not fits(value):
            raise Unfit(problem)
        return value

    return read


_PLAIN: Final[dict[Any, _Read]] = {
    str: _plain("is no string", lambda value: type(value) is str),
    bool: _plain("is neither true nor false", lambda value: type(value) is bool),
    int: _plain(
        "is no whole number", lambda value: type(value) is int and -_WIDEST < value < _WIDEST
    ),
    float: _plain(
        "is no number", lambda value: type(value) in (int, float) and -LARGEST < value < LARGEST
    ),
}


def _tuple(*parts: Any) -> _Read:
    any_length = parts[-1] is ...
    reads = repeat(_reader(parts[0])) if any_length else [*map(_reader, parts)]
    problem = "is no list" if any_length else f"is no list of {len(parts)}"

    def read_tuple(value: Any) -> tuple[Any, ...]:
        if type(value) is not list or not (any_length or len(value) == len(parts)):
            raise Unfit(problem)
        return tuple(map(_read_at, count(), reads, value))

    return read_tuple


def _object(kind: type) -> _Read:
    # By the names of the module that made it: a public class says that it is from elsewhere.
    hints = typing.get_type_hints(kind, vars(kind)["__init__"].__globals__)
    reads = [(field.name, field.default, _reader(hints[field.name])) for field in fields(kind)]

    def read_object(value: Any) -> Any:
        if type(value) is not dict:
            raise Unfit("is no object")
        made = {}
        for name, default, read in reads:
            if name in value:
                made[name] = _read_at(name, read, value[name])
            elif default not in _NOTHING:
                raise Unfit(f"has no {name!r}")
        return kind(**made)

    return read_object


def _read_at(where: object, read: _Read, value: Any) -> Any:
    try:
        return read(value)
    except Unfit as unfit:
        unfit.path.insert(0, str(where))
        raise
