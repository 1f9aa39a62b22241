"""A schedule: who runs for how many steps, as it is printed and as it is read again."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Segment:
    """One actor runs for `steps` accesses and is preempted, or until it cannot go on (None)."""

    actor: str
    steps: int | None = None

    def __str__(self) -> str:
        return self.actor if self.steps is None else f"{self.actor}:{self.steps}"


@dataclass(frozen=True)
class Schedule:
    """The segments in their order, and at which visits of an actor interruptions come.

    What is not said any more goes by the rule: an actor runs until it cannot, and then the first
    of those that can. `sites` count the places where CPython may interrupt the scenario's target.
    """

    segments: tuple[Segment, ...] = ()
    sites: tuple[int, ...] = ()

    def __str__(self) -> str:
        return " ".join([*map(str, self.segments), *(f"!{site}" for site in self.sites)])


def parse(text: str) -> Schedule:
    """The contrary of `str`. Raises ValueError."""
    segments: list[Segment] = []
    sites: list[int] = []
    for word in text.split():
        if word.startswith("!") and word[1:].isdigit():
            sites.append(int(word[1:]))
        elif found := re.fullmatch(r"([A-Za-z]\w*)(?::(\d+))?", word):
            segments.append(Segment(found[1], None if found[2] is None else int(found[2])))
        else:
            raise ValueError(f"{word!r} is no part of a schedule such as 'T:12 C !3'")
    return Schedule(tuple(segments), tuple(sites))
