"""Fork and exit: what happens to every freezer when the process is copied, or ends.

The child of a fork has one thread, and gets freezers that know only that one. CPython 3.12+ warns
about a fork with threads, since the child of a thread that is *anywhere* deadlocks. Inside a world
they stand at places of their choice. So there, and for the world's own thread alone, the warning is
kept away; but not if any thread goes on, or was stopped anywhere.
Where a guard has looked at the fork, it says itself whether it deserves the warning.
"""

from __future__ import annotations

import concurrent.futures.thread  # noqa: F401 - its hook for the end has to be there before ours
import os
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

from freezethreads._controller.controller import Controller
from freezethreads._ground.deadline import reset_clock
from freezethreads._ground.living import Living
from freezethreads._ground.original import get_ident
from freezethreads._machine import bar, trap
from freezethreads._registry.registry import armed, registries
from freezethreads._report import ownership
from freezethreads._report.stragglers import other_threads

controllers: Living[Controller] = Living()
# Who forks just now and was looked at, by ident: whether no lock is held that can be seen.
looked_at: dict[int, bool] = {}


def adopt(controller: Controller) -> None:
    """Look after this controller's registry at a fork and at the end of the main thread."""
    controllers.add(controller)


@contextmanager
def unwarned() -> Iterator[None]:
    """In this block a fork by the calling thread is not warned of: whoever makes it says what there
    is to say."""
    try:
        looked_at[get_ident()] = True
        yield
    finally:
        looked_at.pop(get_ident(), None)


class _Undeserved:
    """Stands for the message in a warnings filter, which asks it: `message.match(text)`."""

    def match(self, text: str) -> bool:
        return "multi-threaded, use of" in text and _is_undeserved()


_FILTER = ("ignore", _Undeserved(), DeprecationWarning, None, 0)


def _all_stand() -> bool:
    """Whether the calling thread has stopped all others, and none of them anywhere."""
    found = [controller.standing_world() for controller in controllers]
    worlds = [world for world in found if world is not None and world.where != "anywhere"]
    covered = {record.ident for world in worlds for record in world.all_members()}
    return bool(worlds) and not other_threads({*covered, get_ident()})


def _is_undeserved() -> bool:
    is_safe = looked_at.get(get_ident())
    return _all_stand() if is_safe is None else is_safe


def _before_fork() -> None:
    # The warning comes after the last hook, so nothing here could take a passing filter away
    # again. This one stays, and matches nothing but such a fork. Filters may have been
    # added or replaced since the last fork (`warnings.catch_warnings`), hence each time.
    filters = cast("list[Any]", warnings.filters)
    if _is_undeserved() and filters[:1] != [_FILTER]:
        if _FILTER in filters:
            filters.remove(_FILTER)
        filters.insert(0, _FILTER)
    trap.before_fork()
    ownership.share()
    controllers.share()
    registries.share()
    for controller in controllers:
        controller.share()


def _after_fork_in_child() -> None:
    looked_at.clear()  # which those who fork change alone
    armed.registries = {}
    bar.reset()
    ownership.reset()
    reset_clock()
    controllers.reset()
    registries.reset()
    for controller in controllers:
        controller.reset()


def _at_end_of_main_thread() -> None:
    for controller in controllers:
        controller.thaw_all("the main thread has ended")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork,
        after_in_parent=trap.after_fork_in_parent,
        after_in_child=_after_fork_in_child,
    )

# `atexit` would be too late: the interpreter joins the threads that are not daemons before, and a
# frozen one would never end. This hook, which `concurrent.futures` uses for the same purpose, runs
# at the end of the main thread, before that; the last one registered comes first, and the pools'
# hook waits for their workers. It has no public name.
threading._register_atexit(_at_end_of_main_thread)  # type: ignore[attr-defined]
