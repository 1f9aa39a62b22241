"""The default freezer, and the module's functions that are bound to it.

Its flag is kept in this module's globals as well, so that `safepoint()` is one look at a global.
"""

from __future__ import annotations

import sys
from typing import Any, cast

from freezethreads._freezer import Freezer
from freezethreads._refrigerator.refrigerator import visit_safepoint

default_freezer = Freezer("default")
armed = default_freezer.armed
default_freezer._registry.flagged.append(cast("Any", sys.modules[__name__]))


def safepoint(label: str | None = None) -> None:
    """Stop here if a freeze asks for it, until the thaw; then make this thread's todos.

    From any thread, also in a signal handler or `__del__`. Costs next to nothing while nothing
    is asked. `label` names the place for people. Inside `no_freeze()` or a todo it does
    nothing; in a blocking region the thread leaves the region for as long as it takes.
    A thread that is not registered stops too, while the root group ``""`` is frozen. What a
    todo raises goes to its future; in debug mode this raises `SafepointViolation` instead of
    stopping with a lock.
    """
    if armed:  # as `Freezer.safepoint`, by the quickest way
        visit_safepoint(default_freezer._registry, label, sys._getframe(1))


register = default_freezer.register
unregister = default_freezer.unregister
blocking = default_freezer.blocking
no_freeze = default_freezer.no_freeze
pending = default_freezer.pending
outstanding = default_freezer.outstanding
group = default_freezer.group
atomic = default_freezer.atomic
freezable = default_freezer.freezable
freeze = default_freezer.freeze
run_frozen = default_freezer.run_frozen
guard_forks = default_freezer.guard_forks
hold = default_freezer.hold
hook = default_freezer.hook
todo = default_freezer.todo
todo_all = default_freezer.todo_all
threads = default_freezer.threads
sites = default_freezer.sites
serve = default_freezer.serve
statistics = default_freezer.statistics
deadlocks = default_freezer.deadlocks
dump = default_freezer.dump
