"""Threads that wait for each other, as they are told to a program."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from freezethreads._report.statistics import Site

THE_END_OF: Final = "the end of "
THE_THAW_OF: Final = "the thaw of "
THE_TURN_AFTER: Final = "the turn after "
THE_RESULT_OF: Final = "the result of "
A_SIGN_BY: Final = "a sign by way of "
"""What is awaited then is nothing that somebody holds."""

TIME_OUT: Final = "it may have a time-out"
UNSEEN: Final = "nobody can tell whether it still lasts"
SIGNAL: Final = "a signal handler of the program may run in it"
ANYBODY: Final = "any other thread may release that lock"
THAW: Final = "another thread may thaw it"
CANCELLED: Final = "any other thread may set or cancel it"
BY_REFERENCES: Final = "what refers to it is not all seen"
NO_THREAD: Final = "code that is in no thread may give it"
FOREIGN: Final = "a thread that Python does not know may have it"

ENDS_BY_ITSELF: Final = (TIME_OUT, UNSEEN, BY_REFERENCES)
"""The ways out that nobody has to take: such a wait may be over by itself, or be over already, or
may not be what it looks like."""


@dataclass(frozen=True)
class Edge:
    """One thread of a `Deadlock`, and what it waits for.

    ``awaited`` says what that is: a lock, the end of a thread, the result of a job, a sign (by way
    of an event, a condition, a queue), an import, a thaw, or one's turn to freeze. ``owner`` is the
    name of the thread that has it, or is to thaw; or of those who could do the job, or give the
    sign, or "nobody". ``site`` is where this thread waits, and ``acquired`` where the owner has
    acquired it; each is None if nobody can tell, the second also if there is nothing to acquire.
    ``way_out`` says in words what may end this wait all the same; None: nothing but the owner.
    """

    name: str
    ident: int
    awaited: str
    owner: str
    site: Site | None
    acquired: Site | None
    way_out: str | None

    def __str__(self) -> str:
        held = f", held by {self.owner}"
        if self.acquired is not None:
            held += f", acquired{_at(self.acquired)}"
        if self.awaited.startswith((THE_END_OF, THE_THAW_OF, THE_TURN_AFTER)):
            held = ""
        elif self.awaited.startswith(THE_RESULT_OF):
            held = f", which is to come from {self.owner}"
        elif self.awaited.startswith(A_SIGN_BY):
            held = f", which could be given by {self.owner}"
        unless = "" if self.way_out is None else f" ({self.way_out})"
        return f"{self.name} waits{_at(self.site)} for {self.awaited}{held}{unless}"


@dataclass(frozen=True)
class Deadlock:
    """Threads each of which waits for the next one, and the last one for the first; or one that
    waits for what a thread had when it ended, or for what none can do who will ever go on.

    ``edges`` has these threads, in the order of the circle, and ``behind`` those that wait for one
    of them, perhaps by way of others. Where any of several could end a wait, all of these are in
    ``edges``. ``owner_ended`` is whether a thread has ended that had what is awaited.
    """

    edges: tuple[Edge, ...]
    behind: tuple[Edge, ...]
    owner_ended: bool

    @property
    def certain(self) -> bool:
        """Whether no thread of ``edges`` can ever go on: none of these waits has a ``way_out``.

        What a todo, `World.call` or Ctrl-C makes one of them do does not count, and a program is
        taken not to bind the name of a lock anew while somebody waits for that lock.
        """
        return all(edge.way_out is None for edge in self.edges)

    def __str__(self) -> str:
        behind = [f"behind it, {edge}" for edge in self.behind]
        return "\n  ".join([f"{self.kind}:", *map(str, self.edges), *behind])

    @property
    def kind(self) -> str:
        """What it is, in words."""
        count, last = len(self.edges), self.edges[-1]
        kind = f"a deadlock of {count} thread{'' if count == 1 else 's'}"
        if self.owner_ended:
            kind = "a wait for what a thread had that has ended"
        elif count == 1 and last.awaited.startswith(A_SIGN_BY):
            kind = "a wait for a sign that nobody can give"
        return kind if self.certain else f"probably {kind}"


def _at(site: Site | None) -> str:
    return "" if site is None else f" at {site.filename}:{site.lineno} in {site.function}"
