"""Counting what happened: sites, freezes, and how long they took.

Threads on their way into the refrigerator only append to a deque, which is atomic; the counting
is done by controllers and by those who look, under one re-entrant lock (a `__del__` that thaws may
run in the middle of it). Nothing else is done under that lock.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from types import CodeType
from typing import TYPE_CHECKING

from freezethreads._ground.original import RLock
from freezethreads._ground.uninterruptible import call_with
from freezethreads._registry.places import Kind, Place

if TYPE_CHECKING:
    from freezethreads._registry.record import Record

_MOST_HOOKS = 1000  # names of hooks, of a program that makes them up
_FOLD_AT = 4096  # visits noted before a controller counts them, to bound the memory


@dataclass(frozen=True)
class Site:
    """A place that leads to the refrigerator.

    ``kind`` is ``"safepoint"``, ``"blocking"`` (a blocking region), ``"wait"`` (a freezable wait),
    ``"freezable"`` (code that was marked as a safepoint), ``"anywhere"`` (between two bytecodes) or
    ``"call"`` (a call of C, which nothing but the bar after it stops). ``hits`` is how often a
    thread was stopped there. A ``"hook"`` is not a place where threads stop, but where a hook was
    added, and ``hits`` is how many freezes have called it. ``fork_safe`` is what a blocking region
    says of itself; a safepoint always is, and a call never.
    """

    label: str | None
    kind: Kind
    filename: str
    lineno: int
    function: str
    hits: int = 0
    fork_safe: bool = True

    def __str__(self) -> str:
        label = f" {self.label!r}" if self.label is not None else ""
        return f"{self.kind}{label} at {self.filename}:{self.lineno} in {self.function}"


@dataclass(frozen=True)
class Histogram:
    """Durations in buckets that double in width.

    ``buckets`` are pairs of an upper bound in seconds and a count, in order, without empty ones;
    ``total`` and ``worst`` are in seconds.
    """

    count: int = 0
    total: float = 0.0
    worst: float = 0.0
    buckets: tuple[tuple[float, int], ...] = ()


@dataclass(frozen=True)
class HookTimes:
    """How long the hooks of one name took: the befores, and the afters, in seconds."""

    name: str
    before: Histogram
    after: Histogram


@dataclass(frozen=True)
class Statistics:
    """What a freezer has done since it was made. Durations in seconds; None: there was none yet.

    ``freezes`` counts those that stood, holds included; ``timeouts`` those given up;
    ``lease_expiries`` those that a lease ended; ``todos_run`` the todos made, refrigerator aside.
    ``time_to_stop`` is from the request until all stood, ``frozen_time`` from then to the thaw.
    ``hooks`` are those that were called, by name: the first thousand.
    """

    freezes: int
    timeouts: int
    lease_expiries: int
    todos_run: int
    last_time_to_stop: float | None
    last_frozen_time: float | None
    time_to_stop: Histogram
    frozen_time: Histogram
    hooks: tuple[HookTimes, ...] = ()


class _Durations:
    """A histogram that grows. Called with the recorder's lock held."""

    def __init__(self) -> None:
        self.last: float | None = None
        self.count = 0
        self.total = 0.0
        self.worst = 0.0
        self.buckets: Counter[int] = Counter()

    def add(self, seconds: float) -> None:
        self.last = seconds
        self.count += 1
        self.total += seconds
        self.worst = max(self.worst, seconds)
        self.buckets[math.frexp(seconds)[1]] += 1

    def histogram(self) -> Histogram:
        buckets = tuple((math.ldexp(1.0, e), n) for e, n in sorted(self.buckets.items()))
        return Histogram(self.count, self.total, self.worst, buckets)


class Recorder:
    """One freezer's counts."""

    def __init__(self) -> None:
        self._lock = RLock()
        self._note_anew()
        self._hits: Counter[Site] = Counter()
        self._stop = _Durations()
        self._frozen = _Durations()
        self._counts: Counter[str] = Counter()
        self._hooks: dict[str, dict[str, _Durations]] = {}

    def _note_anew(self) -> None:
        self._places: deque[Place] = deque()
        # A thread was stopped at this place, or threads were at these. From any thread; takes no
        # lock. (The deque's own methods: whoever arrives in the refrigerator makes no call more.)
        self.visited: Callable[[Place], None] = self._places.append
        self.visited_all: Callable[[Iterable[Place]], None] = self._places.extend
        self._ran: deque[int] = deque()

    def stood(self, seconds: float) -> None:
        """All threads of a freeze have stopped, after `seconds`."""

        def count() -> None:
            self._stop.add(seconds)
            if len(self._places) + len(self._ran) > _FOLD_AT:
                self._fold()

        call_with(self._lock, count)

    def thawed(self, seconds: float) -> None:
        """A freeze was thawed, which stood for `seconds`."""
        call_with(self._lock, lambda: self._frozen.add(seconds))

    def hooked(self, name: str, which: str, seconds: float) -> None:
        """A `before` or an `after` has returned, or raised, after `seconds`."""

        def count() -> None:
            if name in self._hooks or len(self._hooks) < _MOST_HOOKS:
                of = self._hooks.setdefault(name, {"before": _Durations(), "after": _Durations()})
                of[which].add(seconds)

        call_with(self._lock, count)

    def timed_out(self) -> None:
        """A freeze was given up."""
        call_with(self._lock, lambda: self._counts.update(timeouts=1))

    def expired(self) -> None:
        """A lease ran out."""
        call_with(self._lock, lambda: self._counts.update(expiries=1))

    def todos_run(self, record: Record) -> None:
        """Take over the count of a thread which leaves. May be repeated; takes no lock.

        For it is called when a thread's locals die, which may be in the interpreter's last moments,
        when a daemon thread has been stopped for good with the lock in its hands.
        """
        self._ran.append(record.ran)
        record.ran = 0

    def sites(self) -> tuple[Site, ...]:
        """Every place so far, the busiest first."""

        def count() -> list[tuple[Site, int]]:
            self._fold()
            return self._hits.most_common()

        return tuple(replace(site, hits=hits) for site, hits in call_with(self._lock, count))

    def statistics(self, records: Iterable[Record]) -> Statistics:
        """All counts."""

        def count() -> Statistics:
            self._fold()
            return Statistics(
                freezes=self._stop.count,
                timeouts=self._counts["timeouts"],
                lease_expiries=self._counts["expiries"],
                todos_run=self._counts["todos"] + sum(record.ran for record in records),
                last_time_to_stop=self._stop.last,
                last_frozen_time=self._frozen.last,
                time_to_stop=self._stop.histogram(),
                frozen_time=self._frozen.histogram(),
                hooks=tuple(
                    HookTimes(name, of["before"].histogram(), of["after"].histogram())
                    for name, of in self._hooks.items()
                ),
            )

        return call_with(self._lock, count)

    def reset(self) -> None:
        """In the child of a fork: another thread may have held the lock, or that of what was noted.

        (See `inherited`.) What nobody has counted yet is lost.
        """
        self._lock = RLock()
        self._note_anew()

    def _fold(self) -> None:
        """Called with _lock held: count what was noted."""
        for _ in range(len(self._ran)):
            self._counts["todos"] += self._ran.popleft()
        # By what makes their sites, of which there are few: these are made once for each. The place
        # that is kept keeps its code alive, so no other one has that code's identity.
        places: dict[tuple[object, ...], Place] = {}
        hits: Counter[tuple[object, ...]] = Counter()
        for _ in range(len(self._places)):
            place = self._places.popleft()
            kind, label, code, offset, _, fork_safe, *_ = place
            key = (kind, label, id(code), offset, fork_safe)
            places.setdefault(key, place)
            hits[key] += 1
        for each, place in places.items():
            self._hits[site_of(place)] += hits[each]


def site_of(place: Place) -> Site:
    """The site of a place, with no hits counted."""
    kind, label, code, offset, _, fork_safe, *_ = place
    lineno = _line_of(code, offset)
    return Site(label, kind, code.co_filename, lineno, code.co_qualname, 0, fork_safe)


def _line_of(code: CodeType, offset: int) -> int:
    for start, end, line in code.co_lines():
        if start <= offset < end and line is not None:
            return line
    return code.co_firstlineno
