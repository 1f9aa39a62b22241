"""Threads that wait for each other, as they are told to a program."""

from __future__ import annotations

from dataclasses import dataclass

from freezethreads._report.statistics import Site


@dataclass(frozen=True)
class Edge:
    """One thread of a `Deadlock`, and what it waits for.

    ``awaited`` says what that is: a lock, the end of a thread, or an import. ``site`` is where the
    thread waits, and ``acquired`` where the next thread of the cycle has acquired it; each is None
    if nobody can tell, the second also if there is nothing to acquire.
    """

    name: str
    ident: int
    awaited: str
    site: Site | None
    acquired: Site | None

    def __str__(self) -> str:
        return f"{self.name} waits{_at(self.site)} for {self.awaited}"

    def held(self, owner: str) -> str:
        """Who has what it waits for, and since where: nothing of a thread, which nobody has."""
        if self.awaited.startswith("the end of "):
            return ""
        since = "" if self.acquired is None else f", acquired{_at(self.acquired)}"
        return f", held by {owner}{since}"


@dataclass(frozen=True)
class Deadlock:
    """Threads each of which waits for the next one, and the last one for the first.

    ``certain`` is whether none of them can ever go on by itself: no wait among them has a time-out,
    and each has lasted from one look to the next. ``edges`` has them in the order of the cycle.
    """

    edges: tuple[Edge, ...]
    certain: bool

    def __str__(self) -> str:
        nexts = (*self.edges[1:], *self.edges[:1])
        lines = [
            f"{edge}{edge.held(other.name)}" for edge, other in zip(self.edges, nexts, strict=True)
        ]
        return "\n  ".join([f"{self.kind}:", *lines])

    @property
    def kind(self) -> str:
        """What it is, in words."""
        count = len(self.edges)
        kind = "a deadlock" if self.certain else "probably a deadlock"
        return f"{kind} of {count} thread{'' if count == 1 else 's'}"


def _at(site: Site | None) -> str:
    return "" if site is None else f" at {site.filename}:{site.lineno} in {site.function}"
