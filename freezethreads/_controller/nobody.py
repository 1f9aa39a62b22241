"""A freeze that stops nobody, and was not meant to: what there is to say of it, once.

A misspelled group stops nobody, and a program whose threads have not registered has nobody to
stop. Both look like a world, and what is read there is torn. A program may also be right to do so:
threads begin while it freezes, or have all ended. So this is a line in the log, never an error, and
nothing is said of a group in which somebody was once, or that a thread which was started comes to.

A misspelled kind is settled at once, and looks like one that is. Nothing is said of it as long as
nothing of any kind was pending: a program may freeze before its first transaction.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from freezethreads._ground.arguments import covers
from freezethreads._ground.files import is_own
from freezethreads._machine.marks import of_kinds, warn_of_marks
from freezethreads._registry.places import Place, code_of
from freezethreads._registry.registry import MOST_GROUPS, Registry, warn_if_quiet
from freezethreads._registry.requests import Freeze
from freezethreads._report.ownership import where
from freezethreads._report.stragglers import other_threads

_MOST = 100
"""Warnings that one freezer gives. A program that makes up the names of its groups gets no more."""


def warn_of_mistakes(registry: Registry, freeze: Freeze, place: Place) -> None:
    """Before `freeze` is asked for at `place`: log a warning for each name in it, and each mark
    that it heeds, that names nothing."""
    for part in freeze.parts:
        _warn_of_nobody(registry, part, place)
    _warn_of_kinds(registry, freeze, place)
    warn_of_marks(freeze)


def _warn_of_nobody(registry: Registry, freeze: Freeze, place: Place) -> None:
    """If it cannot stop anybody."""
    groups = registry.groups
    if freeze.bar is not None and not freeze.group:
        return  # it stops all there are
    if freeze.group in groups or is_own(code_of(place).co_filename):
        return
    seen = list(groups)
    if any(covers(freeze.group, group) for group in seen) or len(seen) == MOST_GROUPS:
        return
    key = freeze.group if seen else ""
    if key in registry.warned or len(registry.warned) == _MOST:
        return
    problem = (
        _name_groups(registry, freeze.group, seen)
        if seen
        else name_threads(registry, {freeze.asked.ident})
    )
    if problem and warn_if_quiet(f"{freeze!r} at {where(place)} stops nobody: {problem}"):
        registry.warned[key] = None


def _warn_of_kinds(registry: Registry, freeze: Freeze, place: Place) -> None:
    """For each kind that it is to find settled and of which nothing was ever pending or counted, if
    something was of others."""
    seen = kinds_seen(registry) if freeze.asked.settled else ()
    if not seen or len(seen) >= MOST_GROUPS:
        return
    for kind in unknown_kinds(freeze.asked.settled, seen):
        key = f"pending({kind!r})"  # no group is named so
        if key in registry.warned or len(registry.warned) == _MOST:
            continue
        names = ", ".join(map(repr, seen))
        was = f"nothing of {kind!r} was ever pending or outstanding; there is {names}"
        if warn_if_quiet(f"{freeze!r} at {where(place)} waits for nothing to be settled: {was}"):
            registry.warned[key] = None


def kinds_seen(registry: Registry) -> tuple[str, ...]:
    """The kinds of which something was ever pending or counted, or that code is atomic of."""
    return tuple(sorted({*registry.kinds.copy(), *of_kinds.copy()}))


def unknown_kinds(settled: Iterable[str], seen: Collection[str]) -> tuple[str, ...]:
    """Which of these are none of the kinds that were seen, nor include any."""
    return tuple(kind for kind in sorted(settled) if not any(covers(kind, one) for one in seen))


def _name_groups(registry: Registry, group: str, seen: list[str]) -> str:
    """Which groups there are, or were, if none is left."""
    now = {record.group for record in list(registry.records.values())} or set(seen)
    nobody = f"nobody is in group {group!r}, or ever was"
    if now == {""}:
        return f"{nobody}; all threads are in the group '', and register(group=...) names another"
    names = ", ".join(map(repr, sorted(now)))
    return f"{nobody}; there {'are' if len(now) > 1 else 'is'} {names}"


def name_threads(registry: Registry, left_out: Collection[int]) -> str:
    """Who goes on, as nobody has registered. Nothing, if there is no other thread than these."""
    others = other_threads(left_out)
    if not others:
        return ""
    freezer: Any = registry.flagged[0]  # a freezer, of which the registry knows the flag alone
    who = f"{len(others)} other threads go on, {others[0].name!r} among them"
    if len(others) == 1:
        who = f"the other thread, {others[0].name!r}, goes on"
    nobody = f"no thread has registered with the freezer {freezer.name!r}"
    return f"{nobody}; {who}: {registry.how_to_register}"
