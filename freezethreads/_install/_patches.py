"""Putting a table of replacements in place, and taking it away again.

A replacement is made by a *maker*, which gets the original, a switch, and a label for the places
where threads stop. What it makes calls the original and adds something, and that only while the
switch is on: so it may stay in somebody's hands for ever, and is a straight call then. That is why
what somebody else has put over ours can stay, when it would break to take ours away.
"""

from __future__ import annotations

import functools
import importlib
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeAlias

from freezethreads._registry.todos import ABSENT

Function: TypeAlias = Callable[..., Any]


class Switch:
    """Whether an installation is in force. Written by `install()` and `uninstall()` alone."""

    def __init__(self) -> None:
        self.on = False


Maker: TypeAlias = Callable[[Function, Switch, str], Function]


@dataclass(frozen=True)
class Row:
    """One line of the table: a name in a module or in a class of it, and what goes in its place.

    Where the module, the class or the name does not exist, there is nothing to replace: not every
    platform has every one.
    """

    module: str
    owner: str
    name: str
    make: Maker

    @property
    def path(self) -> str:
        """The name as seen from its module."""
        return f"{self.owner}.{self.name}" if self.owner else self.name

    @property
    def label(self) -> str:
        """What a thread that waits there shows: `Thread.join`, `signal.pause`, `socket.accept`."""
        name = self.name.lstrip("_")
        return f"{self.owner.lstrip('_') or self.module}.{name}"

    def find_owner(self) -> Any:
        """The module or class that has the name, or None."""
        try:
            owner: Any = importlib.import_module(self.module)
        except ImportError:
            return None
        for part in filter(None, self.owner.split(".")):
            owner = getattr(owner, part, None)
        return owner if hasattr(owner, self.name) else None


class Patch:
    """A row of the table for the Python at hand, to be put in place and taken away.

    `copies` are other modules that have the same under some name, and what they call it.
    """

    __slots__ = ("_copies", "_made", "_owner", "_places", "_row")

    def __init__(self, row: Row, owner: Any, copies: Iterable[tuple[Any, str]] = ()) -> None:
        self._row = row
        self._owner = owner
        self._copies = copies
        self._places: list[tuple[Any, str, object]] = []  # with what was there before
        self._made: object = ABSENT

    def apply(self, switch: Switch) -> None:
        """Put the replacement in place."""
        original: Function = getattr(self._owner, self._row.name)
        made = self._row.make(original, switch, self._row.label)
        places = {(self._owner, self._row.name), *self._copies}
        if isinstance(made, type):
            places |= _home_of(original)
        elif callable(original):
            _disguise(made, original, self._row)
        self._places = [(owner, name, vars(owner).get(name, ABSENT)) for owner, name in places]
        self._made = made
        for owner, name in places:
            setattr(owner, name, made)

    def undo(self) -> bool:
        """Put back what was there. Returns False, and leaves it, if it is somebody else's by now.

        May be repeated.
        """
        return all([self._put_back(*place) for place in self._places])

    def _put_back(self, owner: Any, name: str, before: object) -> bool:
        now = vars(owner).get(name, ABSENT)
        if now is before:
            return True
        if now is not self._made:
            return False
        if before is ABSENT:  # it was inherited
            delattr(owner, name)
        else:
            setattr(owner, name, before)
        return True

    def is_of(self, other: Patch) -> bool:
        """Whether it replaces the same name in the very same module or class."""
        return self._owner is other._owner and self._row.name == other._row.name

    @property
    def is_in_place(self) -> bool:
        """Whether that name is still what this has put there."""
        return vars(self._owner).get(self._row.name) is self._made

    @property
    def name(self) -> str:
        """The full name of what is replaced."""
        return f"{self._row.module}.{self._row.path}"


def _home_of(original: Any) -> set[tuple[Any, str]]:
    """Where a class says that it is, if it is there: by that name it is pickled."""
    module, name = sys.modules.get(original.__module__), original.__qualname__
    return {(module, name)} if getattr(module, name, None) is original else set()


def _disguise(made: Any, original: Function, row: Row) -> None:
    """Have `made` look like the original, and pickle by the name where it is put."""
    functools.update_wrapper(made, original)
    made.__name__ = row.name
    made.__module__ = row.module
    made.__qualname__ = row.path


def find_patches(table: Iterable[Row]) -> list[Patch]:
    """The rows that there are on this Python. Imports what they are in, and changes nothing."""
    found = [(row, row.find_owner()) for row in table]
    return [Patch(row, owner) for row, owner in found if owner is not None]
