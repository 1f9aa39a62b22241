"""What a random program is: for each of its threads, where it is enrolled, and what it does.

An operation is a tuple: the name of a method of `Player`, and its arguments. A body is a tuple of
operations. So a program is a literal of Python, and is printed and read again as one.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

Op: TypeAlias = tuple[Any, ...]
Body: TypeAlias = tuple[Op, ...]

THREADS = 6
FREEZERS = 2
GROUPS = ("io", "io.disk", "cpu")
WORLDS = ("freeze", "run_frozen")
"""The operations that take a freezer's turn."""


@dataclass(frozen=True)
class Part:
    """One thread: its group in each freezer (None: not registered), and what it does."""

    groups: tuple[str | None, ...]
    body: Body


@dataclass(frozen=True)
class Program:
    """All threads, in the order of their numbers."""

    parts: tuple[Part, ...]

    @property
    def size(self) -> int:
        """The number of its operations, those in bodies as well."""
        return sum(len(list(_flat(part.body))) for part in self.parts)

    def can_always_stop(self, freezer: int) -> bool:
        """Whether a freeze of that freezer stands if it has the time.

        It need not if one thread can be in its `no_freeze()` and stand there for another freezer's
        world, while the owner of that world stands for this freeze: no freezer knows of both.
        """
        ops = [op for part in self.parts for op in _flat(part.body)]
        is_shut = any(op[:2] == ("no_freeze", freezer) for op in ops)
        return not is_shut or all(op[1] == freezer for op in ops if op[0] in WORLDS)

    def __str__(self) -> str:
        return repr([(part.groups, part.body) for part in self.parts])

    @classmethod
    def parse(cls, text: str) -> Program:
        """The way back. Raises ValueError if it is nothing of the kind."""
        try:
            return cls(tuple([Part(groups, body) for groups, body in ast.literal_eval(text)]))
        except (SyntaxError, TypeError, ValueError) as error:
            raise ValueError(f"this is no program: {text!r}") from error

    def story(self) -> list[str]:
        """One line for each thread that does something, or is enrolled."""
        return [
            f"t{number} {part.groups}: {' '.join(map(_show, part.body)) or 'nothing'}"
            for number, part in enumerate(self.parts)
            if part.body or any(group is not None for group in part.groups)
        ]


def _is_body(argument: object) -> bool:
    return isinstance(argument, tuple)


def _flat(body: Body) -> Iterator[Op]:
    """All operations in it, those in bodies as well."""
    for op in body:
        yield op
        for argument in filter(_is_body, op):
            yield from _flat(argument)


def _show(op: Op) -> str:
    name, *arguments = op
    plain = ", ".join(repr(argument) for argument in arguments if not _is_body(argument))
    bodies = [
        "{ " + " ".join(map(_show, argument)) + " }" for argument in arguments if _is_body(argument)
    ]
    return " ".join([f"{name}({plain})", *bodies])
