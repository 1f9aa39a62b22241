"""What a mutant is, the table of all, and how one function is put in the place of another."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Mutant:
    """One rule that is broken: which, how, and the scenarios of which one has to notice.

    ``apply`` is called in a process of its own, before the scenario is made. ``explored`` is the
    explorer's scenario that has to find it; "" if none of these is about that.
    """

    name: str
    rule: str
    apply: Callable[[], None]
    scenarios: tuple[str, ...]
    explored: str = ""


MUTANTS: dict[str, Mutant] = {}
"""All of them, by name, in the order of their definition."""


def breaks(
    rule: str, *scenarios: str, explored: str = ""
) -> Callable[[Callable[[], None]], Callable[[], None]]:
    """Add the function to `MUTANTS`, under its own name, as the one that breaks `rule`.

    The scenarios are tried in this order, until one has noticed.
    """

    def add(apply: Callable[[], None]) -> Callable[[], None]:
        name = apply.__name__.replace("_", "-")
        MUTANTS[name] = Mutant(name, rule, apply, scenarios, explored)
        return apply

    return add


def put(owner: Any, name: str, new: object) -> None:
    """Put `new` in the place of what the class `owner` has under that name.

    Raises AttributeError if there is nothing of that name: the mutant is older than the freezer.
    """
    getattr(owner, name)
    setattr(owner, name, new)


def replace(old: Callable[..., object], new: Callable[..., object]) -> None:
    """Put `new` in the place of a function, wherever in the library it is known by its name."""
    name = old.__name__
    for module in list(sys.modules.values()):
        if module.__name__.startswith("freezethreads") and vars(module).get(name) is old:
            setattr(module, name, new)
