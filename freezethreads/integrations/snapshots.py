"""Pictures of the whole process: by AWS Lambda's SnapStart, by CRIU, of a virtual machine.

::

    from freezethreads.integrations import snapshots

    snapshots.use_snapstart()           # in a function of AWS Lambda, when it is imported

    snapshots.before_snapshot()         # elsewhere: whoever has the picture taken calls these two
    ...                                 # the picture is taken; from here on, perhaps, many go on
    snapshots.after_restore()

Between the two all registered threads of the freezer stand, and its hooks are in force
(`freezethreads.hook`): what is in a cache was flushed, connections were closed. After a restoration
the hooks are undone before the first thread runs: the place to open connections anew, and to have
new random numbers.

The monotonic clock may have jumped meanwhile. Leases, and the time-outs of `freezethreads.sync`, of
freezes and of those who wait for their turn, that were running before do not run out for that: for
them the time between the two calls does not count. What is begun between the two does see the clock
as it is.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from functools import partial

from freezethreads import FreezeError, Freezer, World, default_freezer
from freezethreads._controller.clock import start_clock, stop_clock
from freezethreads._ground.arguments import Where

__all__ = ["after_restore", "before_snapshot", "use_snapstart"]

_worlds: dict[Freezer, World] = {}


def before_snapshot(
    freezer: Freezer | None = None,
    *,
    timeout: float | None = 20.0,
    reason: str = "snapshot",
    group: str | Sequence[str] = "",
    where: Where | None = None,
) -> None:
    """Stop all threads but the calling one, call the hooks, and stop the clock of time-outs.

    From any thread, which has to live until `after_restore`. `freezer` None is the default freezer;
    the other arguments and their errors are those of `Freezer.freeze`. Raises `FreezeError` if that
    was called before and `after_restore` was not, or inside a world of the thread's own. If it
    raises, everything is as before, and no picture is to be taken. There is no lease: while the
    picture is taken no clock can be trusted. Whoever takes it calls `after_restore` also if that
    failed.
    """
    freezer = default_freezer if freezer is None else freezer
    if freezer in _worlds:
        raise FreezeError(f"{freezer!r} is stopped for a snapshot: call after_restore() first")
    why, stops = object(), []

    def stop() -> None:
        stops.append(why)
        stop_clock(why)

    # Last before the picture, and first after it. It is there for this one freeze, which owes its
    # `after` when it has been called.
    name = "the clock of time-outs"
    with freezer.hook(stop, partial(start_clock, why), phase=math.inf, name=name):
        world = freezer.freeze(timeout=timeout, reason=reason, group=group, where=where)
    _worlds[freezer] = world
    if not stops:
        after_restore(freezer)
        raise FreezeError("before_snapshot() was called inside a world of the calling thread")


def after_restore(freezer: Freezer | None = None) -> None:
    """Start the clock of time-outs, undo the hooks, and let all threads go.

    From any thread, in the process of which the picture was taken and in each that was restored
    from it. Does nothing if `before_snapshot` was not called, or has failed. Raises what afters
    have raised, in an `ExceptionGroup`, when all go on; and `FreezeError` if the freezer had to
    thaw before, as the thread of `before_snapshot` has ended: the picture may be torn then.
    """
    world = _worlds.pop(default_freezer if freezer is None else freezer, None)
    if world is not None:
        with world:
            pass  # whose end says whether it stood


def use_snapstart(
    freezer: Freezer | None = None,
    *,
    timeout: float | None = 20.0,
    reason: str = "SnapStart",
    group: str | Sequence[str] = "",
    where: Where | None = None,
) -> None:
    """Have AWS Lambda's runtime call the two at its snapshots: in the module of the handler.

    The arguments are those of `before_snapshot`. Runtime hooks that were registered before this is
    called run while all threads stand, and those that are registered later while they run: Lambda
    calls the last one first before a snapshot, and the first one first after it. If not all stop
    in time the runtime fails to initialize, and no snapshot is taken. Raises ImportError without
    the package snapshot-restore-py, which Lambda has and elsewhere the extra ``snapstart`` brings.
    """
    try:
        import snapshot_restore_py as runtime
    except ImportError:
        raise ImportError(
            "use_snapstart() needs snapshot-restore-py, which AWS Lambda has; elsewhere: "
            "pip install snapshot-restore-py"
        ) from None
    runtime.register_before_snapshot(
        before_snapshot, freezer, timeout=timeout, reason=reason, group=group, where=where
    )
    runtime.register_after_restore(after_restore, freezer)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_worlds.clear)  # whose threads are not there
