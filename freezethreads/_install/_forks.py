"""Guarded forks: while a guard is in force each `os.fork()` happens in a frozen world of its own.

What `os.register_at_fork` calls cannot refuse a fork: Python prints what it raises, and forks. So
`os.fork` and `os.forkpty` are replaced, with the means of `install()`, and every copy of them that
is a name in a module. What C code forks is not seen, nor what was copied to anywhere else.

A fork is made like this, for the newest guard of each freezer that has one::

                 +------------------------ held, and not too late -----------------------+
                 v                                                                       |
    os.fork --> FREEZE ------ all stand ------> LOOK for locks that others hold ---------+
                 |                                   |             |
                 | too late                     none |             | held, and too late
                 v                                   v             v
              REFUSED (nobody stands)              FORK         REFUSED (nobody stands)

To freeze is tried anew as well, and longer each time: a thread in a section may wait for one that
has stopped, as the manager of a process pool does that joins a feeder.

With `where="unlocked"` nobody stands in a section, so there is something to be found only where a
lock of `freezethreads.sync` was acquired without one. With `where="safepoint"` a thread may stand
with any lock.

Where the calling thread cannot have a world of its own, since it has one already that does not
promise as much, or makes a call for somebody else's, the others are held beside that world.
"""

from __future__ import annotations

import gc
import os
import sys
import threading
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from types import FrameType, ModuleType, TracebackType
from typing import Any, Final, Literal, NamedTuple, Self, TypeAlias, cast, get_args

from freezethreads import sync
from freezethreads._controller.fork import looked_at
from freezethreads._controller.world import Hold, World, bars_of
from freezethreads._freezer import Freezer
from freezethreads._ground.arguments import Where, check_where
from freezethreads._ground.deadline import Deadline, check_seconds
from freezethreads._ground.errors import ForkUnsafe, FreezeError, FreezeTimeout, shorten
from freezethreads._ground.frames import current_frames
from freezethreads._ground.original import get_ident, monotonic, own_idents, sleep
from freezethreads._ground.text import MOST_HELPS, helped
from freezethreads._ground.unique import Given
from freezethreads._install._installation import call_locked
from freezethreads._install._patches import Function, Patch, Row, Switch
from freezethreads._machine.bar import Bar, known_threads
from freezethreads._machine.caught import in_sections
from freezethreads._machine.monitoring import is_available
from freezethreads._machine.stacks import OF_A_LOCK, includes
from freezethreads._refrigerator.unentered import Made
from freezethreads._refrigerator.waits import plumbing
from freezethreads._registry.places import kind_of
from freezethreads._registry.record import here, logger
from freezethreads._registry.requests import Freeze
from freezethreads._report import ownership
from freezethreads._report.ownership import where as line_of
from freezethreads._report.stacks import nearest
from freezethreads._report.statistics import site_of
from freezethreads._report.stragglers import Straggler

plumbing.add(__file__)

OnFailure: TypeAlias = Literal["raise", "warn", "log"]

_FIRST_PAUSE: Final = 0.001  # seconds between two looks at locks that others hold
_LAST_PAUSE: Final = 0.02
_PATIENCE: Final = 0.25  # seconds for which a first attempt lasts; each next one twice as long


@dataclass(frozen=True)
class GuardedFork:
    """A fork that a guard has made: the number of the child, and what can be said of the moment.

    ``waited`` is in seconds: from when it was asked for until no lock was held that can be seen.
    ``paused`` is how long the threads stood, the fork included. ``in_calls`` are the threads that
    were in a call of C, and where: such a call may have taken a lock of a C library, which nobody
    can see. ``unseen`` are those that went on meanwhile, since nobody could stop them. Both name
    one thread a line.
    """

    pid: int
    waited: float
    paused: float
    in_calls: tuple[str, ...]
    unseen: tuple[str, ...]


class ForkGuard(Given):
    """What `Freezer.guard_forks` has put in force; a context manager that ends it when it is left.

    It is in force while its block lasts, for all threads of the process, and in the children too.
    May be entered once. ``last`` is the last fork that it made in this process, None before there
    was one; ``forks`` counts them, and ``refused`` those that were unsafe, whatever was done then.
    """

    _IS = "what is in force in this process"
    _WRITE = "with freezethreads.guard_forks():"

    def __init__(
        self, freezer: Freezer, where: Where, timeout: float | None, on_failure: OnFailure
    ) -> None:
        self._freezer = freezer
        self._where: Where = check_where(where, "unlocked")
        self._timeout = check_seconds("timeout", timeout)
        self._on_failure = check_on_failure(on_failure)
        if self._where == "anywhere":
            raise ValueError("where must be 'unlocked' or 'safepoint': anywhere a lock may be held")
        if self._where == "unlocked" and not is_available():
            self._where = "safepoint"
        self.forks = 0
        self.refused = 0
        self.last: GuardedFork | None = None
        self._made = Made(freezer._registry, "guard_forks()", "guards no fork")

    def __repr__(self) -> str:
        state = "in force" if self in _in_force else "not in force"
        return f"<{type(self).__name__} of {self._freezer!r}, where={self.where!r}, {state}>"

    @property
    def where(self) -> Where:
        """Where it stops threads: on CPython 3.11, at safepoints and in freezable waits alone."""
        return self._where

    def __enter__(self) -> Self:
        self._made.entered()
        if self in _in_force:
            raise FreezeError(f"{self!r} is entered already")
        try:
            call_locked(self._begin)
            return self
        except BaseException:
            call_locked(self._end)
            raise

    def __exit__(
        self,
        kind: type[BaseException] | None = None,
        error: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        try:
            left = call_locked(self._end)
        except BaseException:
            call_locked(self._end)
            raise
        for name in left:
            logger.warning("%s was replaced by somebody else since, and is left so", name)

    def _begin(self) -> None:
        """Called with the lock of installations held."""
        _in_force[self] = None
        ownership.track(self)  # and then look who has acquired one before
        _held_before.update((lock, lock.owner) for lock in _locks_of_sync() if lock.owner)
        _replacement.begin()

    def _end(self) -> list[str]:
        """Called with the lock of installations held. May be repeated."""
        _in_force.pop(self, None)
        ownership.untrack(self)
        if _in_force:
            return []
        _held_before.clear()
        return _replacement.end()

    # For the fork.

    def stop(self, caller: FrameType) -> World | Hold | None:
        """Stop the threads of the freezer for the calling one, which is about to fork.

        None, with the failure told, if that cannot be, and the fork is to be made all the same.
        Raises `ForkUnsafe`, or what the warning becomes.
        """
        try:
            return self._stop_unheld(caller)
        except ForkUnsafe as error:
            self.refused += 1
            self._add_remedy(error)
            if self._on_failure == "raise":
                raise
            unsafe = str(error)
        if self._on_failure == "warn":
            warnings.warn(f"forking all the same: {unsafe}", RuntimeWarning, stacklevel=5)
        logger.warning("forking all the same: %s", unsafe)
        return None

    def _add_remedy(self, error: ForkUnsafe) -> None:
        """Say in its message what would help, if it is a thread that was in the way."""
        helps = {error._advice: None} if error._advice else {}
        helps |= {_remedy(straggler): None for straggler in error.stragglers}
        if error.held:
            helps["Have each of them release what it has before it stops."] = None
        if helps:
            now = "" if self._timeout is None else f", which was {self._timeout:g} s"
            lines = list(helps)[:MOST_HELPS]
            more = f"Or give them more time: guard_forks(timeout=...){now}."
            error.args = (helped(str(error), [*lines, more]),)

    def _stop_unheld(self, caller: FrameType) -> World | Hold:
        deadline, pause, patience = Deadline(self._timeout), _FIRST_PAUSE, _PATIENCE
        standing = self._standing_in_own_world()
        while True:
            # Who is in a section may wait for somebody who has stopped: then all go on for a while.
            left = deadline.remaining()
            is_last = 0 <= left <= 2 * patience
            try:
                stopped = self._stop(deadline if is_last else Deadline(patience), caller)
            except ForkUnsafe as error:
                is_late = isinstance(error.__cause__, FreezeTimeout)
                is_in_vain = any(straggler.ident in standing for straggler in error.stragglers)
                if is_last or not is_late or is_in_vain:
                    raise
                patience *= 2
                sleep(pause)
                continue
            try:
                held = _held_by_others(stopped.where)
                if not held:
                    return stopped
                # When this is thawed nobody goes on of a world that it shares, or is beside.
                is_shared = len(stopped._freeze.users) > 1
                is_in_vain = is_shared or any(one.ident in standing for one in held)
            except BaseException:
                stopped.thaw()
                raise
            stopped.thaw()
            if is_in_vain or deadline.remaining() == 0:
                lines = tuple(one.line for one in held)
                raise _unsafe("threads stood with what the child would wait for", held=lines)
            sleep(deadline.within(pause))
            pause = min(2 * pause, _LAST_PAUSE)

    def _stop(self, deadline: Deadline, caller: FrameType) -> World | Hold:
        freezer = self._freezer
        left = deadline.remaining()
        try:
            own = freezer._controller.own_world()
            world = own or _calling_world(freezer)
            if world is None or (own and own.asked.covers("") and includes(own.where, self._where)):
                timeout = None if left < 0 else left
                return freezer._freeze(timeout, _REASON, "", None, self._where, (), False, caller)
            if self._where == "safepoint":
                return _share(freezer, world)
            return _hold_beside(freezer, deadline)
        except FreezeTimeout as error:
            unsafe = _unsafe(str(error), stragglers=error.stragglers)
            unsafe._advice = error._advice
            raise unsafe from error
        except FreezeError as error:
            raise _unsafe(str(error)) from error

    def _standing_in_own_world(self) -> set[int]:
        """Who stands in a world of the calling thread, or one that it makes a call for, which does
        not end before the fork."""
        own = self._freezer._controller.standing_world() or _calling_world(self._freezer)
        members = () if own is None else own.all_members()
        return {record.ident for record in members if record.stopped}

    def note(self, made: GuardedFork) -> None:
        """It has made a fork. By the parent, when all go on."""
        self.forks += 1
        self.last = made

    def forget(self) -> None:
        """In the child: it has made none."""
        self.forks = self.refused = 0
        self.last = None


def check_on_failure(on_failure: object) -> OnFailure:
    """Return it if it says what to do, else raise TypeError or ValueError."""
    if not isinstance(on_failure, str):
        raise TypeError(f"on_failure must be a string, not {on_failure!r}")
    if on_failure not in get_args(OnFailure):
        choice = ", ".join(map(repr, get_args(OnFailure)))
        raise ValueError(f"on_failure must be one of {choice}, not {on_failure!r}")
    return cast("OnFailure", on_failure)


def _unsafe(
    why: str, *, stragglers: tuple[Straggler, ...] = (), held: tuple[str, ...] = ()
) -> ForkUnsafe:
    lines = "".join(f"\n  {line}" for line in held)
    return ForkUnsafe(f"not forked: {why}{lines}", stragglers=stragglers, held=held)


def _remedy(straggler: Straggler) -> str:
    """What would help one that has not come out of what it is in."""
    evidence, name = straggler.evidence, straggler.name
    section = "" if evidence is None else str(evidence.section or "")
    if evidence is None or evidence.inside_at is None or not section.startswith(OF_A_LOCK):
        return f"Have {name} come out of there sooner."
    lock = section.removeprefix(OF_A_LOCK).partition(", at ")[0]
    site, line = evidence.inside_at, nearest(straggler.stack)
    at = "" if line is None else f", before it is at {line.filename}:{line.lineno}"
    return f"Have {name} release {lock}, which it holds since {site.filename}:{site.lineno}{at}."


def _calling_world(freezer: Freezer) -> Freeze | None:
    """The world of the freezer for which the calling thread makes a call just now."""
    parking = here.parking
    worlds = list(parking.calls.values()) if parking.word.value.calling else []
    return next((world.whole for world in worlds if world.registry is freezer._registry), None)


def _share(freezer: Freezer, world: Freeze) -> World:
    """That world, also for the calling thread: it does not end before both are done with it."""
    if not world.asked.covers(""):
        raise FreezeError(f"{world!r} does not cover all threads")
    return World(freezer._registry, freezer._controller, world, object(), None)


def _hold_beside(freezer: Freezer, deadline: Deadline) -> Hold:
    """Stop all threads beside a world, which has the turn. Raises what `Freezer.hold` does."""
    freeze, user = freezer._ask("hold", ("",), _REASON, "unlocked", frozenset()), object()
    controller = freezer._controller

    def stop() -> Hold:
        assert isinstance(freeze.bar, Bar)
        controller.ask(freeze)
        controller.wait_at_bar(freeze, freeze.bar, deadline)
        return Hold(freezer._registry, controller, freeze, user, None)

    return controller.or_give_up(freeze, user, stop)


class _Held(NamedTuple):
    """Something that a thread holds, as it is told."""

    ident: int
    line: str


def _held_by_others(where: Where) -> tuple[_Held, ...]:
    """What other threads hold while the calling one has stopped them."""
    held = [
        _Held(ident, f"{_name_of(ident)}: {lock!r}, acquired at {line_of(place)}")
        for lock, ident, place in ownership.owned_locks()
        if ident in current_frames() and ident != get_ident()
    ]
    for lock, ident in list(_held_before.items()):
        if lock.owner != ident or ident not in current_frames():
            _held_before.pop(lock, None)
        elif ident != get_ident() and ownership.acquired_at(lock) is None:
            line = f"{_name_of(ident)}: {lock!r}, acquired before forks were guarded"
            held.append(_Held(ident, line))
    if where == "safepoint":
        sections = in_sections(_others(current_frames()))
        held += [_Held(ident, f"{_name_of(ident)}: {shelter}") for ident, shelter in sections]
    return tuple(held)


def _locks_of_sync() -> list[Any]:
    """All locks of `freezethreads.sync`, whose owners were not noted before. Takes a while."""
    return [one for one in gc.get_objects() if isinstance(one, (sync.Lock, sync.RLock))]


def _others(idents: Iterable[int]) -> list[int]:
    """Those of threads other than the calling one, and other than the library's own."""
    return [ident for ident in idents if ident != get_ident() and ident not in own_idents]


def _name_of(ident: int) -> str:
    thread = known_threads().get(ident)
    return f"thread {ident}" if thread is None else thread.name


def _is_alone() -> bool:
    """Whether there is no other thread, not even one that is about to begin."""
    return not _others(current_frames()) and not threading._limbo  # type: ignore[attr-defined]


_in_force: dict[ForkGuard, None] = {}  # in the order in which they were entered
# Locks of `freezethreads.sync`, and their owners, that were acquired before any was in force.
_held_before: dict[Any, int] = {}
_REASON: Final = "a fork"


def _guards() -> list[ForkGuard]:
    """The newest guard of each freezer, in an order that is the same for every fork."""
    return list({guard._freezer: guard for guard in list(_in_force)}.values())


def _fork(original: Function, args: tuple[object, ...], caller: FrameType) -> Any:
    """Call `original(*args)` while the guards in force have stopped all others."""
    asked_at, guards, stops = monotonic(), _guards(), list[World | Hold]()
    results: list[Any] = []
    try:
        try:
            is_safe = _stop_all(guards, stops, caller)
            stood_at = monotonic()
            looked_at[get_ident()] = is_safe
            results.append(original(*args))
        finally:
            _let_go(stops)
        if _pid_of(results[0]) == 0:
            _mend_child()
        elif is_safe:
            times = stood_at - asked_at, monotonic() - stood_at
            made = _describe(_pid_of(results[0]), *times, stops)
            for guard in guards:
                guard.note(made)
            logger.debug("%r", made)
        return results[0]
    except BaseException as error:
        _let_go(stops)
        if results and _pid_of(results[0]):
            error.add_note(f"The process {_pid_of(results[0])} was forked before.")
        raise


def _stop_all(guards: list[ForkGuard], stops: list[World | Hold], caller: FrameType) -> bool:
    """Add to `stops` what each guard has stopped; return whether each has."""
    if _is_alone():
        return True
    for guard in guards:
        stopped = guard.stop(caller)
        if stopped is None:
            return False
        stops.append(stopped)
    return True


def _let_go(stops: list[World | Hold]) -> None:
    """May be repeated."""
    looked_at.pop(get_ident(), None)
    for stopped in reversed(stops):
        stopped.thaw()


def _pid_of(result: Any) -> int:
    """Of what `os.fork` or `os.forkpty` returns."""
    pid: int = result[0] if isinstance(result, tuple) else result
    return pid


def _describe(pid: int, waited: float, paused: float, stops: list[World | Hold]) -> GuardedFork:
    """By the parent, when all have been let go."""
    in_calls: dict[str, None] = {}
    for stopped in stops:
        for bar in bars_of(stopped._freeze):
            in_calls |= {
                f"{_name_of(ident)}: {site_of(place)}": None
                for ident, place in list(bar.stopped.items())
                if kind_of(place) == "call"
            }
    unseen: list[str] = []
    if stops and all(stopped._freeze.bar is None for stopped in stops):
        members = {record.ident for stopped in stops for record in stopped._freeze.all_members()}
        unseen = [_name_of(i) for i in _others(current_frames()) if i not in members]
    return GuardedFork(pid, waited, paused, tuple(in_calls), tuple(unseen))


def _mend_child() -> None:
    """In the child, by its only thread.

    A recursive lock of `multiprocessing` counts in each process how often its owner there has
    acquired it, and gives the semaphore back, which all processes share, when the count is 0. In
    the child of a fork the count of a thread that is not there would stay for ever, so that the
    child never gave the semaphore back. A thread may get such a lock from another process while it
    stands, so no freeze keeps that from happening. (`multiprocessing` does the same for those
    children that it starts itself.)
    """
    for guard in _in_force:
        guard.forget()
    synchronize = sys.modules.get("multiprocessing.synchronize")
    if synchronize is None:
        return
    util = sys.modules["multiprocessing.util"]
    for lock in list(util._afterfork_registry.values()):
        if isinstance(lock, synchronize.RLock):
            inner = lock._semlock
            if inner._count() and not inner._is_mine():
                inner._after_fork()


def _guarded(original: Function, switch: Switch, label: str) -> Function:
    """`os.fork` and its copies."""

    def fork(*args: Any) -> Any:
        if not switch.on:
            return original(*args)
        try:
            return _fork(original, args, sys._getframe(1))
        except ForkUnsafe as error:
            debug = any(guard._freezer._registry.debug for guard in _guards())
            shorten(error, debug)
            if not debug:
                error.__cause__ = None  # its message is in this one
            raise

    return fork


class _Replacement(Switch):
    """Of `os.fork` and `os.forkpty`, while any guard is in force. All with the lock held."""

    def __init__(self) -> None:
        super().__init__()
        self._patches: list[Patch] = []

    def begin(self) -> None:
        if not self.on:
            self._patches = [
                Patch(Row("os", "", name, _guarded), os, _copies_of(getattr(os, name)))
                for name in ("fork", "forkpty")
                if hasattr(os, name)
            ]
            for patch in self._patches:
                patch.apply(self)
            self.on = True

    def end(self) -> list[str]:
        """Returns the names that somebody else has replaced since. May be repeated."""
        self.on = False
        return [patch.name for patch in self._patches if not patch.undo()]


def _copies_of(function: Function) -> list[tuple[ModuleType, str]]:
    """The modules that have it, and what they call it."""
    return [
        (module, name)
        for module in list(sys.modules.values())
        if isinstance(module, ModuleType)
        for name, value in list(vars(module).items())
        if value is function
    ]


_replacement = _Replacement()
