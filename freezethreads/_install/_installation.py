"""`install()`, and what it returns.

One lock orders beginning and ending: a fork waits for it, so that no child finds half a table in
place. It can be acquired again by its owner, for a signal handler that forks. What is done under it
calls no code of the application and logs nothing. Who has it is not stopped, by a signal handler
that calls `safepoint()`, since who forks waits for it, perhaps in the world that stops the other.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from importlib.abc import MetaPathFinder
from types import TracebackType
from typing import Self, TypeVar

from freezethreads import sync
from freezethreads._default import default_freezer
from freezethreads._freezer import Freezer, check_freezer
from freezethreads._ground.arguments import check_group
from freezethreads._ground.errors import FreezeError
from freezethreads._ground.original import RLock, Thread, enumerate_threads
from freezethreads._ground.uninterruptible import call_with
from freezethreads._ground.unique import Given
from freezethreads._install._beginnings import Beginnings, check_beginnings
from freezethreads._install._members import Members
from freezethreads._install._patches import Patch, find_patches
from freezethreads._refrigerator.waits import plumbing
from freezethreads._registry.doors import call_shut, open_doors, shut_doors
from freezethreads._registry.record import logger
from freezethreads._report.ended import forget_ended, note_ended

plumbing.add(__file__)

T = TypeVar("T")

_lock = RLock()
_in_force: list[Installation] = []  # one or none; guarded by the lock


def install(freezer: Freezer | None = None, *, group: str = "", patch: bool = True) -> Installation:
    """Make the threads and waits of a program that knows nothing of freezing freezable.

    From now on, until the end of the `Installation` that this returns:

    * every `threading.Thread` that starts is enrolled with `freezer` (None: the default one) in
      `group`, a dotted name, while it runs; and so is what `_thread.start_new_thread` starts. A
      thread that registers with that freezer by itself is enrolled as it says, for as long as it
      says.
    * the waits of `threading`, `queue`, `time.sleep`, `concurrent.futures`, `selectors`, `select`,
      `socket`, `ssl`, `subprocess` and `signal`, of the connections and pools of `multiprocessing`,
      and of `os.read`, `os.wait` and its relatives are freezable, in every thread that is enrolled
      with any freezer. So are those of pyzmq and psycopg 3, and a loop of uvloop stops between two
      callbacks, if the program imports these, now or later. A record that is logged is a place to
      stop at, except inside a handler: no lock of `logging` is held there. What waits anywhere else
      is not: the read or write of a file object that is a pipe or a terminal (`sys.stdin`; the
      read of ``process.stdout`` is), `os.write`, a lock of `multiprocessing` or of a file, the
      look-up of a host's name, any other database.

    From any thread, which is not enrolled by this; nor are those that run already: see
    `Installation.enrol` and `Installation.missed`. To be called before the program's own modules
    are imported, since a name that was copied before is the old one (``from time import sleep``, or
    `Lock`, `RLock`, `SimpleQueue`, what is in `select`, `signal`, `os`), and a lock, `SimpleQueue`,
    `poll` or `epoll` that was made before waits as it did.

    A thread that an exception ends is remembered, for ``freezethreads stuck``: `threading` calls
    our ``excepthook``, which calls the one that was there.

    With `patch` False nothing else is replaced, so that the program is as fast as without this,
    until somebody freezes it. Each `threading.Thread` that starts is enrolled all the same, and a
    freeze with that freezer that does not say `where` is one with ``where="unlocked"``: it stops
    every thread of the process, also one that ran before. It does not matter then when this is
    called.
    Needs CPython 3.12, and keeps one of the ids that ``sys.monitoring`` has for tools.

    Raises `FreezeError` if another installation is in force, or nobody could be stopped without a
    patch; TypeError or ValueError if an argument is wrong. Whatever is raised, nothing was changed.
    """
    members = Members(check_freezer(freezer) or default_freezer, check_group(group))
    if not isinstance(patch, bool):
        raise TypeError(f"patch must be True or False, not {patch!r}")
    if patch:
        # All import what nobody else needs, and so must not be done under the lock.
        from freezethreads._install._foreign import Finder, patches_so_far
        from freezethreads._install._table import PLUMBING, TABLE

        installation = Installation(members, find_patches(TABLE), None, Finder)
        plumbing.update(str(getattr(sys.modules.get(name), "__file__", "")) for name in PLUMBING)
    else:
        check_beginnings()
        installation = Installation(members, [], Beginnings(), None)
    try:
        call_locked(installation._begin)
        if patch:
            installation._add(patches_so_far())
        return installation
    except BaseException:
        installation.uninstall()
        raise


class Installation(Given):
    """What `install()` has put in place; a context manager that takes it away when it is left."""

    _IS = "what is in force in this process"
    _WRITE = "freezethreads.install()"

    def __init__(
        self,
        members: Members,
        patches: list[Patch],
        beginnings: Beginnings | None,
        make_finder: Callable[[Callable[[list[Patch]], object]], MetaPathFinder] | None,
    ) -> None:
        self._members = members
        self._patches = patches
        self._beginnings = beginnings
        self._finder = None if make_finder is None else make_finder(self._add)

    def __repr__(self) -> str:
        state = "in force" if self._members.on else "ended"
        return f"<Installation of {len(self._patches)} names, {state}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.uninstall()

    @property
    def missed(self) -> tuple[Thread, ...]:
        """The live threads that are not enrolled because they ran before. From any thread.

        The one that called `install()` is among them, until it registers itself, or calls `enrol`;
        and so are the workers of a `ThreadPoolExecutor` that was made before. Threads that
        `threading` does not know are not.
        """
        return self._members.missed

    def enrol(self) -> None:
        """Enrol the calling thread, as if it had started now: for one that ran before.

        It is struck off when it ends, or the installation does. Does nothing if it is registered
        with the freezer, or the installation has ended. During a freeze of the group this returns
        after the thaw.
        """
        self._members.enrol()

    def uninstall(self) -> None:
        """Put everything back, and strike off the threads that this has enrolled. They go on.

        From any thread, also while threads stand frozen, who stand until their thaw. May be
        repeated, and does nothing then. A name that somebody else has replaced since is left alone,
        with a warning in the log: what is there calls ours, and ours only passes calls on. The
        same holds for what was copied meanwhile (``from time import sleep``). Locks and queues that
        were made meanwhile stay what they are.
        """
        for name in call_locked(self._end):
            logger.warning("%s was replaced by somebody else since install(), and is left so", name)

    def _begin(self) -> None:
        """Called with the lock held."""
        if _in_force:
            raise FreezeError(
                f"{_in_force[0]!r} is in force already: use that one, or uninstall() it first"
            )
        _in_force.append(self)
        for patch in self._patches:
            patch.apply(self._members)
        if self._finder is not None:
            sys.meta_path.insert(0, self._finder)
        if self._beginnings is not None:
            self._beginnings.watch(self._members)
            self._members.set_where("unlocked")
        note_ended(self)
        self._members.on = True
        self._members.miss(enumerate_threads())

    def _add(self, patches: list[Patch]) -> None:
        """A library is there that waits in C of its own: put these in place as well, unless another
        thread has just done so.

        It may have been there before: who imports it anew, or reloads it, has its own again.
        """

        def add() -> None:
            for patch in patches if self in _in_force else ():
                former = [one for one in self._patches if one.is_of(patch)]
                if any([one.is_in_place for one in former]):
                    continue
                for one in former:
                    self._patches.remove(one)
                self._patches.append(patch)
                patch.apply(self._members)

        call_locked(add)

    def _end(self) -> list[str]:
        """Called with the lock held; may be repeated. Returns the names that stay as they are."""
        if self not in _in_force:
            return []
        self._members.on = False
        if self._finder in sys.meta_path:
            sys.meta_path.remove(self._finder)
        left = [patch.name for patch in reversed(self._patches) if not patch.undo()]
        if self._beginnings is not None:
            self._beginnings.leave()
            self._members.set_where("safepoint")
        forget_ended(self)
        self._members.unregister_all()
        _in_force.clear()
        return left


def call_locked(call: Callable[[], T]) -> T:
    """Return `call()`, made with the lock held and the doors shut, and leave both as they were."""
    return call_shut(call_with, _lock, call)


def _mend_threading_in_child() -> None:
    # The standard library makes itself a new lock here, by a name that is replaced. It is used by
    # this library as well, and wherever a thread is known: no place to stop at.
    if isinstance(threading._active_limbo_lock, sync.RLock):  # type: ignore[attr-defined]
        threading._active_limbo_lock = RLock()  # type: ignore[attr-defined]


if hasattr(os, "register_at_fork"):
    # Before a fork the last is called first: who forks shuts its doors, then gets the lock.
    os.register_at_fork(
        before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release
    )
    os.register_at_fork(after_in_child=_mend_threading_in_child)
    os.register_at_fork(before=shut_doors, after_in_parent=open_doors, after_in_child=open_doors)
