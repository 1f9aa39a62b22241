"""What a controller holds in its hands while others stand still: a `World`, or a `Hold`."""

from __future__ import annotations

import operator
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn, Self, TypeVar, TypeVarTuple

from freezethreads._controller.controller import Controller
from freezethreads._controller.hooks import run_befores, together
from freezethreads._ground.arguments import Where, check_callable
from freezethreads._ground.deadline import Deadline
from freezethreads._ground.errors import FreezeError, LeaseExpired, ThreadBlocked
from freezethreads._ground.original import Thread
from freezethreads._ground.uninterruptible import covered, need_depth
from freezethreads._ground.unique import Given
from freezethreads._machine.bar import Bar
from freezethreads._registry.places import Place, bell_of, kind_of
from freezethreads._registry.record import Record
from freezethreads._registry.registry import Registry
from freezethreads._registry.requests import Freeze
from freezethreads._registry.todos import Todo
from freezethreads._report.ownership import where
from freezethreads._report.statistics import Site, site_of
from freezethreads._report.stragglers import ThreadInfo, info_of, infos_of, other_threads

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


@dataclass(frozen=True)
class HeldLock:
    """A lock that a stopped thread holds: the thread, the lock itself, and where it acquired it.

    `site` is None where nobody can tell: for a lock of `freezethreads.sync` that was acquired in a
    function that has returned since, as by ``stack.enter_context(lock)``, while nobody notes where
    such locks are acquired (a freezer in debug mode does, and a guard of forks).
    """

    thread: ThreadInfo
    lock: object
    site: Site | None


@dataclass(frozen=True)
class Pending:
    """What a stopped thread has unfinished: the thread, the kind, and where its region began."""

    thread: ThreadInfo
    kind: str
    site: Site


def remedy(registry: Registry, freeze: Freeze, place: Place | None, otherwise: str) -> str:
    """What to write at `place` to have it thawed, or else; nothing where no place is known."""
    if place is None:
        return ""
    written = f"with {registry.called}.{freeze.asked.kind}():"
    return f"; it was made at {where(place)}: write `{written}`, or {otherwise}"


def bars_of(freeze: Freeze) -> list[Bar]:
    """Of a whole: what stops threads between two bytecodes for it, for each group."""
    return [part.bar for part in freeze.parts if isinstance(part.bar, Bar)]


class _Stopped(Given):
    """Threads that were stopped, and their thaw."""

    _IS = "the hold on threads of this process, which its end lets go"

    def __init__(
        self,
        registry: Registry,
        controller: Controller,
        freeze: Freeze,
        user: object,
        lease: float | None,
        place: Place | None = None,
    ) -> None:
        self._registry = registry
        self._controller = controller
        self._user = user
        self._freeze = freeze
        freeze.users[user] = place
        if lease is not None:
            controller.start_lease(freeze, user, lease)

    def _prepare(self, deadline: Deadline) -> None:
        """Have the hooks called, if there are any. By the controller, as soon as all stand.

        Raises what a `before` does, and what the end of the block would if somebody else has ended
        it meanwhile.
        """
        if self._registry.hooks:
            run_befores(self._registry, self._freeze, deadline)
            self._check_that_it_stood()

    def __repr__(self) -> str:
        freeze: Freeze | None = vars(self).get("_freeze")  # an exception may have cut `__init__`
        state = "thawed" if freeze is None or freeze.done else "standing"
        return f"<{type(self).__name__} of {freeze!r}, {state}>"

    @property
    def reason(self) -> str:
        """Why this was asked for: the argument of that name. From any thread."""
        return self._freeze.asked.reason

    @property
    def threads(self) -> tuple[ThreadInfo, ...]:
        """The threads that this stopped, as they are now. From any thread."""
        return infos_of(self._freeze.all_members())

    @property
    def where(self) -> Where:
        """Where the threads were stopped: the argument of that name. From any thread."""
        return self._freeze.where

    @property
    def locks(self) -> tuple[HeldLock, ...]:
        """The locks that the stopped threads hold, as far as their stacks tell, or those of
        `freezethreads.sync` themselves. From any thread.

        Those of ``where="unlocked"`` and ``"anywhere"``; in the first it is empty, unless the
        controller has released a lock that one of them was waiting for. At safepoints the program
        itself says what is held: there it is empty too.
        """
        if self._freeze.done:
            return ()
        held = {
            (record, id(lock)): HeldLock(info_of(record), lock, None if at is None else site_of(at))
            for bar in bars_of(self._freeze)
            for record, lock, at in bar.held()
        }
        return tuple(held.values())

    @property
    def pending(self) -> tuple[Pending, ...]:
        """What the stopped threads have unfinished: their `pending()` regions of this freezer, and
        with ``where="unlocked"`` and ``"anywhere"`` what is `atomic` of some kind.

        From any thread. None is of a kind that this was to find settled. How much is outstanding,
        in no thread's hands, `Freezer.outstanding` tells.
        """
        if self._freeze.done:
            return ()
        found = [
            (record, region.kind, region.place)
            for record in self._freeze.all_members()
            for region in record.unfinished
            if region.registry is self._registry
        ]
        # Who is in two of the groups has arrived twice, in the same code.
        caught = {
            (record, kind): at
            for bar in bars_of(self._freeze)
            for record, kind, at in bar.pending()
        }
        found += [(record, kind, at) for (record, kind), at in caught.items()]
        return tuple(Pending(info_of(record), kind, site_of(at)) for record, kind, at in found)

    @property
    def waited(self) -> float:
        """Seconds from the request until all stood. From any thread."""
        return (self._freeze.stood_at or self._freeze.asked.at) - self._freeze.asked.at

    @property
    def expired(self) -> bool:
        """Whether the lease ran out, and its watchdog thawed. From any thread."""
        return self._freeze.ended_by == "lease"

    def thaw(self) -> None:
        """Let the threads go on, each if nothing else stops it. From any thread; may be repeated.

        A world that was got inside another one of the same thread leaves the thaw to that one.
        """
        try:
            self._controller.drop_user(self._freeze, self._user)
        except BaseException:
            self._controller.drop_user(self._freeze, self._user)
            raise
        vars(self)["_drop"] = int  # nothing is left to do for the finalizer

    @covered
    def __enter__(self) -> Self:
        try:
            self._check_that_it_stands()
            return self
        except BaseException:
            self.thaw()  # nobody else would
            raise

    @covered
    def __exit__(self, kind: type[BaseException] | None = None, *_: object) -> None:
        try:
            self.thaw()
        except BaseException:
            self.thaw()
            raise
        if kind is None or issubclass(kind, Exception):
            self._check_that_it_stood()

    if not TYPE_CHECKING:  # for a type checker there is nothing to enter so

        def __aenter__(self) -> NoReturn:
            self.thaw()
            raise TypeError(
                f"{self._freeze.asked.kind}() blocks, and is entered with `with`. In a coroutine "
                "write `async with asyncio_loop.freeze()`, of freezethreads.integrations"
            )

        __await__ = __aenter__

        def __aexit__(self, *_: object) -> None:
            """Never called: nobody enters it so."""

    def _check_that_it_stands(self) -> None:
        """Before a block: nobody would notice that all run in it."""
        freeze = self._freeze
        self._check_that_it_stood()
        if self._user not in freeze.users or (freeze.done and freeze.ended_by == "thaw"):
            raise FreezeError(
                f"{freeze!r} was thawed before this block, and holds nobody any more: ask for "
                f"another one with `with {self._registry.called}.{freeze.asked.kind}():`"
            )

    def _check_that_it_stood(self) -> None:
        freeze = self._freeze
        torn = "the threads have been running since, so what was read here may not be consistent"
        if freeze.ended_by == "lease":
            error = LeaseExpired(f"the lease of {freeze!r} ran out before it was thawed; {torn}")
            if freeze.unwinding is not None and freeze.unwinding.errors:
                error.__cause__ = together(freeze, freeze.unwinding.errors)
            raise error
        if freeze.ended_by in ("thread gone", "given up"):  # at an exit or in a fork nobody minds
            raise FreezeError(f"{freeze!r} was ended by the freezer ({freeze.ended_by}); {torn}")

    @covered
    def _drop(self, _is_over: Callable[[], bool] = sys.is_finalizing) -> object:
        # At the interpreter's end nobody is left to be let go, and what is global is gone.
        try:
            if not _is_over():
                self._thaw_abandoned()
        except BaseException:
            if not _is_over():
                self._thaw_abandoned()
            raise
        return None

    def _thaw_abandoned(self) -> None:
        freeze: Freeze | None = vars(self).get("_freeze")
        if freeze is not None and not freeze.done and self._user in freeze.users:
            place = freeze.users.get(self._user)
            keep = f"keep what {freeze.asked.kind}() returns until you thaw it"
            why = f"nobody refers to it any more{remedy(self._registry, freeze, place, keep)}"
            freeze.users.pop(self._user, None)
            if not freeze.users:
                self._controller.thaw_abandoned(freeze, "dropped", why)

    # What was thawed has a function of C for `_drop`. So no exception arrives in the finalizer,
    # where it would be printed and lost.
    __del__ = property(operator.attrgetter("_drop"))


class World(_Stopped):
    """The threads of a group, stopped for the calling thread, which may change what it likes.

    Got from `Freezer.freeze`. A context manager: leaving the block thaws, and raises
    `LeaseExpired` if the lease had run out before (an exception that is already on its way becomes
    its context). A block over one that was thawed is not entered: FreezeError. Should it be dropped
    without a thaw, or its thread end, the freezer thaws and logs a warning; a block that somebody
    is still in then ends in `FreezeError`.
    """

    _WRITE = "with freezethreads.freeze() as world:"

    @property
    def unregistered(self) -> tuple[Thread, ...]:
        """The live Python threads that this freeze did not cover, its own thread apart.

        One that `threading` does not know is a `ForeignThread`, if it executes Python code just
        now, if only in a call of C, and the process has no interpreter but one.
        """
        covered = {record.ident for record in self._freeze.all_members()}
        return other_threads({*covered, self._freeze.asked.ident})

    def call(self, thread: Thread | ThreadInfo | int, fn: Callable[[*Ts], T], /, *args: *Ts) -> T:
        """Run `fn(*args)` in a frozen thread's own context, now, and return what it returns.

        `thread` is a `threading.Thread`, an ident or a `ThreadInfo`. From the thread that has the
        world. What `fn` raises is raised here. In `fn`, safepoints and blocking regions do
        nothing. A thread in a freezable wait is woken for it, and goes on waiting after the thaw.
        Raises `ThreadBlocked` if the thread stands in any other blocking call, where it
        cannot run anything, or if another freezer holds it too; `NotRegistered` and
        `ThreadExited`; `FreezeError` if this world does not hold that thread, or was thawed;
        TypeError for a wrong argument. Nothing was called then.
        """
        check_callable("fn", fn)
        need_depth()
        record = self._registry.find(thread)
        freeze = self._freeze.part_with(record)
        is_held = record not in freeze.newcomers or record.stopped  # who came in may still run
        if record not in freeze.members or freeze.done or not is_held:
            raise FreezeError(f"{self!r} does not hold thread {record.name!r}; nothing was called")
        parking = record.parking
        call = Todo(fn, args, 0)
        blocked = ThreadBlocked(f"thread {record.name!r} is in a blocking call; nothing was called")
        try:
            freeze.calls[call] = None
            parking.calls[call] = freeze
            if not _can_be_called(record, freeze):
                call.refuse(blocked)  # unless it has just come, and makes the call
            if freeze.done:
                call.refuse(FreezeError("the world was thawed before the call was made"))
            if record not in freeze.members:
                call.refuse(FreezeError("the thread was moved before the call was made"))
            record.rouse()  # it leaves its wait for the refrigerator
            parking.bell.ring()
            result: T = call.future.result()
        finally:
            parking.calls.pop(call, None)
            freeze.calls.pop(call, None)
        return result


def _can_be_called(record: Record, freeze: Freeze) -> bool:
    """Whether a thread that counts as stopped stands, can be woken, or is on its way to stand."""
    if record.parking.word.value.stay is not None:
        return True
    place = None if freeze.bar is None else freeze.bar.stopped.get(record.ident)
    if place is not None and kind_of(place) == "call":
        return False
    waits_at = record.away or record.parking.away
    return waits_at is None or bell_of(waits_at) is not None


class Hold(_Stopped):
    """A group of threads that stays stopped until `thaw()`, whoever has stopped it besides.

    Got from `Freezer.hold`; any thread may thaw it. A context manager as well: leaving the block
    thaws, and raises `LeaseExpired` if the lease had run out before. A block over what was thawed
    is not entered: FreezeError. Should nobody refer to it any more, the freezer thaws and logs a
    warning.
    """

    _WRITE = "with freezethreads.hold() as hold:"
