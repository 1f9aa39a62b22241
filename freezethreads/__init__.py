"""Bring all threads of a program to a place that the program has marked as safe.

::

    import freezethreads

    def worker():
        with freezethreads.register():
            while work():
                freezethreads.safepoint()      # stop here, if asked to

    with freezethreads.freeze():               # returns when all stand at their safepoints
        take_a_consistent_snapshot()

See `Freezer` for what each function does; the module's functions are those of `default_freezer`.

Each interpreter of a process (``concurrent.interpreters``) has freezers of its own, for its own
threads.

PYTEST_DONT_REWRITE: pytest, which has a plugin here, is not to warn where this was imported before.
"""

import typing as _typing

from freezethreads._controller.hooks import Hook
from freezethreads._controller.world import HeldLock, Hold, Pending, World
from freezethreads._default import (
    atomic,
    blocking,
    deadlocks,
    default_freezer,
    dump,
    freezable,
    freeze,
    group,
    guard_forks,
    hold,
    hook,
    no_freeze,
    outstanding,
    pending,
    register,
    run_frozen,
    safepoint,
    serve,
    sites,
    statistics,
    threads,
    todo,
    todo_all,
    unregister,
)
from freezethreads._freezer import Freezer
from freezethreads._ground.elsewhere import where_is as _where_is
from freezethreads._ground.errors import (
    AlreadyRegistered,
    ForkUnsafe,
    FreezeError,
    FreezeTimeout,
    HookFailed,
    LeaseExpired,
    NotRegistered,
    SafepointViolation,
    ThreadBlocked,
    ThreadExited,
)
from freezethreads._ground.exports import Docstring as _Docstring
from freezethreads._ground.exports import export as _export
from freezethreads._ground.foreign import ForeignThread
from freezethreads._install import ForkGuard, GuardedFork, Installation, install
from freezethreads._pool import ThreadPoolExecutor
from freezethreads._refrigerator.membership import Registration
from freezethreads._registry.outstanding import Outstanding
from freezethreads._registry.states import State
from freezethreads._report.deadlocks import Deadlock, Edge
from freezethreads._report.statistics import Histogram, HookTimes, Site, Statistics
from freezethreads._report.stragglers import Straggler, ThreadInfo
from freezethreads._signals import register_signal, unregister_signal
from freezethreads._threads import Thread

__all__ = [
    "AlreadyRegistered",
    "Deadlock",
    "Edge",
    "ForeignThread",
    "ForkGuard",
    "ForkUnsafe",
    "FreezeError",
    "FreezeTimeout",
    "Freezer",
    "GuardedFork",
    "HeldLock",
    "Histogram",
    "Hold",
    "Hook",
    "HookFailed",
    "HookTimes",
    "Installation",
    "LeaseExpired",
    "NotRegistered",
    "Outstanding",
    "Pending",
    "Registration",
    "SafepointViolation",
    "Site",
    "State",
    "Statistics",
    "Straggler",
    "Thread",
    "ThreadBlocked",
    "ThreadExited",
    "ThreadInfo",
    "ThreadPoolExecutor",
    "World",
    "atomic",
    "blocking",
    "deadlocks",
    "default_freezer",
    "dump",
    "freezable",
    "freeze",
    "group",
    "guard_forks",
    "hold",
    "hook",
    "install",
    "no_freeze",
    "outstanding",
    "pending",
    "register",
    "register_signal",
    "run_frozen",
    "safepoint",
    "serve",
    "sites",
    "statistics",
    "threads",
    "todo",
    "todo_all",
    "unregister",
    "unregister_signal",
]

_export(__name__)
__doc__ = __doc__ and _Docstring(__doc__)  # whose last line is for pytest alone

__version__: str
"""That of the installed package; ``0+unknown`` where it runs from a folder and is not installed."""

if not _typing.TYPE_CHECKING:  # a type checker would believe in every name

    def __getattr__(name: str) -> str:
        """Look the version up when somebody asks for it, which takes a while."""
        if name != "__version__":
            # Loads nothing: who asks each module of `sys.modules` for a name may be going through
            # that dict itself.
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}{_where_is(name)}")
        from importlib.metadata import PackageNotFoundError, version

        try:
            return version(__name__)
        except PackageNotFoundError:
            return "0+unknown"
