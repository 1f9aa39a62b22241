"""The public class: when checkpoints are made, one at a time, and what is known of the last one."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal

from freezethreads import Freezer
from freezethreads._ground.arguments import check_groups, check_settled, check_where
from freezethreads._ground.deadline import Deadline, check_seconds
from freezethreads._ground.original import allocate_lock, monotonic
from freezethreads._ground.unique import Unique
from freezethreads.checkpoint._forking import watch
from freezethreads.checkpoint._modes import ForkMode, InlineMode, Mode
from freezethreads.checkpoint._schedule import Schedule
from freezethreads.checkpoint._store import Store
from freezethreads.checkpoint._turn import Turn

__all__ = ["Checkpoint", "Checkpointer"]

logger = logging.getLogger("freezethreads.checkpoint")


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint that was made and is durable. Durations are in seconds."""

    sequence: int
    """1 for the first that this `Checkpointer` made, then counting on."""
    waited: float
    """From the request to stop until all stood; in mode ``"fork"``, of the last try."""
    frozen: float
    """From then until they were let go."""
    saving: float
    """From then until it was durable. Nobody stood still for this."""
    size: int | None
    """Bytes of the payload; None if the store does not know."""


class Checkpointer(Unique):
    """Makes consistent checkpoints of a running program: stop, take, let go, save.

    `take()` is called while all threads that `freezer` stops stand still, and returns what
    `store` is to save, anything but None. It runs in the thread that makes the checkpoint (in mode
    ``"fork"``, in a child process) and must not wait for a lock that a stopped thread may own, nor
    forget what it has returned before that is known to be saved: see `last`.

    * ``mode="inline"``: what `take()` returns is detached from the program's live objects, normally
      by pickling it, while all stand still; it is saved after the thaw.
    * ``mode="fork"``: the world stands for one `os.fork()` only. The child, a copy of the process,
      takes and saves; the pause does not depend on how long that lasts. The child has no other
      threads, ignores Ctrl-C, runs no exit handlers, and what it prints to standard output is
      dropped. What it changes, it changes in its copy alone. `save_timeout` seconds after the
      fork (None: for ever) it is killed. No thread may stand in a blocking region without
      ``fork_safe=True``: tried again until `timeout`, then `ForkUnsafe`.

    `every` is in seconds: how often the background thread makes one (None: there is no such
    thread). `timeout`, in seconds (None: for ever), bounds the time from the request until all
    stand, waiting for another checkpoint to end included. `lease`, `settled` and `group` are those
    of `Freezer.freeze`: with ``group=("makers", "")`` and a kind that is settled nothing is on its
    way in what is taken. In mode ``"fork"`` one of the groups has to be ``""``.

    `where` is that of `Freezer.freeze` as well (None: what that takes for None), but not
    ``"anywhere"``: what is half done there would be saved. With ``"unlocked"``, which needs CPython
    3.12, nobody has to be registered, and `take()` may acquire the locks for which that looks; a
    thread in a call of C counts as in a region that is not fork-safe.

    As a context manager it runs the background thread, if `every` is given; its end does what
    `stop` does, but raises nothing if an exception is on its way already. No final checkpoint is
    made unless asked for, with ``stop(final=True)`` in the block: only the program knows
    whether its state at that point is one to begin from.

    TypeError or ValueError for bad arguments. May be used from any thread, registered or not, and
    inside a world of one's own. A process that the program forks itself makes a new one.
    """

    _IS = "one that stops the threads of this process"

    def __init__(
        self,
        freezer: Freezer,
        store: Store,
        take: Callable[[], Any],
        *,
        every: float | None = None,
        mode: Literal["inline", "fork"] = "inline",
        timeout: float | None = 20.0,
        lease: float | None = None,
        save_timeout: float | None = 300.0,
        settled: str | Iterable[str] = (),
        group: str | Sequence[str] = "",
        where: Literal["safepoint", "unlocked"] | None = None,
    ) -> None:
        if not isinstance(freezer, Freezer):
            raise TypeError(f"freezer must be a Freezer, not {freezer!r}")
        if not isinstance(store, Store):
            raise TypeError(f"store must have detach, save and load, which {store!r} does not")
        if not callable(take):
            raise TypeError(f"take must be callable, not {take!r}")
        self._freezer = freezer
        self._store = store
        self._every = check_seconds("every", every, positive=True)
        self._timeout = check_seconds("timeout", timeout)
        lease = check_seconds("lease", lease, positive=True)
        save_timeout = check_seconds("save_timeout", save_timeout, positive=True)
        groups = check_groups(group)
        if check_where(where, "safepoint") == "anywhere":
            raise ValueError("where must be 'safepoint' or 'unlocked': anywhere work is half done")
        what = {
            "lease": lease,
            "settled": check_settled(settled),
            "group": groups,
            "where": where,
        }
        self._mode: Mode
        if mode == "inline":
            self._mode = InlineMode(freezer, store, take, what)
        elif mode == "fork":
            if not hasattr(os, "fork"):
                raise ValueError('mode="fork" needs os.fork, which this platform has not')
            if "" not in groups:
                raise ValueError(
                    'mode="fork" copies the whole process, so that all have to stand: '
                    f"write group=[..., ''], not {group!r}"
                )
            self._mode = ForkMode(freezer, store, take, what, save_timeout)
        else:
            raise ValueError(f'mode must be "inline" or "fork", not {mode!r}')
        self._lock = allocate_lock()  # its rule: see Turn
        self._last: Checkpoint | None = None
        self._error: BaseException | None = None
        self._schedule: Schedule | None = None
        watch(self)

    @property
    def last(self) -> Checkpoint | None:
        """The newest checkpoint that this object made; None if none yet. From any thread.

        `take()` that returns increments looks here: as long as the number is the same as the last
        time it was called, what it returned then was not saved.
        """
        return self._last

    @property
    def error(self) -> BaseException | None:
        """What the latest checkpoint in the background raised; None if one was made since.

        From any thread. It was logged, and the next checkpoint is tried when it is due.
        """
        return self._error

    def checkpoint(self) -> Checkpoint:
        """Make a checkpoint now and return when it is durable. From any thread; takes turns.

        A registered caller is not stopped, so its own part of the state must be in order. While it
        waits or saves, it counts as stopped for others.

        Raises `FreezeTimeout` and `LeaseExpired` as `Freezer.freeze` does, `StoreError`,
        ValueError if `take()` returns None, and whatever `take()` and the store raise; in mode
        ``"fork"`` `CheckpointError` for all that happens in the child, and `ForkUnsafe`. In each
        case nobody is left frozen, and the last good checkpoint stays.
        """
        deadline = Deadline(self._timeout)
        with Turn(self._freezer, self._lock) as turn, ExitStack() as at_end:
            snapshot = self._mode.snap(turn, deadline, at_end)
            begun = monotonic()
            region = self._freezer.blocking("checkpoint: saving", fork_safe=self._mode.fork_safe)
            with region, turn:
                size = snapshot.save()
                sequence = self._last.sequence + 1 if self._last else 1
                saving = monotonic() - begun
                made = Checkpoint(sequence, snapshot.waited, snapshot.frozen, saving, size)
                self._last = made
                self._error = None
            return made

    def load(self) -> Any | None:
        """Return the payload of the newest good checkpoint in the store; None if there is none.

        From any thread. Raises what the store raises: `StoreError` if nothing whole is left.
        """
        with self._freezer.blocking("checkpoint: loading"):
            return self._store.load()

    def start(self) -> None:
        """Begin to make a checkpoint every `every` seconds, in a daemon thread.

        The first comes after `every` seconds; one that is due while another is under way is left
        out. From any thread. ValueError without `every`; RuntimeError if it is running already;
        `FreezeError` if there is no daemon thread to be had.
        """
        if self._every is None:
            raise ValueError("this Checkpointer was made without every=seconds")
        if self._schedule is not None:
            raise RuntimeError("the background thread is running already")
        self._schedule = Schedule(self._every, self._checkpoint_in_background)

    def stop(self, *, final: bool = False) -> None:
        """End the background thread, after the checkpoint under way; `final`: then make one more.

        Without `final`, raises what the latest checkpoint in the background raised, unless one was
        made since; with it, what the final one raises. From any thread but the background one;
        the wait counts as stopped. May be repeated, and called without `start`.
        """
        self._end_schedule()
        if final:
            self.checkpoint()
        elif self._error is not None:
            raise self._error

    def _checkpoint_in_background(self) -> None:
        try:
            self.checkpoint()
        except BaseException as error:  # a SystemExit of take() would end the thread in silence
            self._error = error
            logger.exception("a checkpoint in the background failed")

    def _forked(self, expected: bool) -> None:
        """The turn, and the background thread, are the parent's."""
        self._lock = allocate_lock()
        self._schedule = None

    def _end_schedule(self) -> None:
        if self._schedule is not None:
            # Fork-safe: it waits for a thread, and owns nothing.
            with self._freezer.blocking("checkpoint: stopping", fork_safe=True):
                self._schedule.stop()
            self._schedule = None

    def __enter__(self) -> Checkpointer:
        if self._every is not None:
            self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._end_schedule()
        if error is None and self._error is not None:
            raise self._error
