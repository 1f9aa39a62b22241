"""What a random program is: for each of its threads, where it is enrolled, and what it does.

An operation is a tuple: the name of a method of `Player`, and its arguments. A body is a tuple of
operations. So a program is a literal of Python, and is printed and read again as one.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import Any, TypeAlias

Op: TypeAlias = tuple[Any, ...]
Body: TypeAlias = tuple[Op, ...]

THREADS = 6
FREEZERS = 2
GROUPS = ("io", "io.disk", "cpu")


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
        return sum(_count(part.body) for part in self.parts)

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


def _count(body: Body) -> int:
    inner = [argument for op in body for argument in op if _is_body(argument)]
    return len(body) + sum(map(_count, inner))


def _show(op: Op) -> str:
    name, *arguments = op
    plain = ", ".join(repr(argument) for argument in arguments if not _is_body(argument))
    bodies = [
        "{ " + " ".join(map(_show, argument)) + " }" for argument in arguments if _is_body(argument)
    ]
    return " ".join([f"{name}({plain})", *bodies])
