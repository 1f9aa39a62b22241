"""The public class: one method a line, and the checks of what comes from outside."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager
from functools import wraps
from types import FrameType
from typing import IO, TYPE_CHECKING, Any, Literal, TypeVar, TypeVarTuple

from freezethreads._controller.controller import Controller
from freezethreads._controller.fork import adopt
from freezethreads._controller.hooks import Hook
from freezethreads._controller.nobody import warn_of_mistakes
from freezethreads._controller.settling import Unsettled, ask, ask_again
from freezethreads._controller.world import Hold, World
from freezethreads._ground.arguments import (
    Where,
    by_name,
    by_name_but_first,
    check_callable,
    check_debug,
    check_flag,
    check_group,
    check_hook,
    check_kind,
    check_label,
    check_request,
    check_settled,
    check_todo,
    check_where,
    covers,
)
from freezethreads._ground.deadline import Deadline
from freezethreads._ground.errors import FreezeError, FreezeTimeout, ThreadExited, shorten
from freezethreads._ground.original import Thread
from freezethreads._ground.unique import Unique
from freezethreads._machine.deadlocks import find_deadlocks
from freezethreads._machine.marks import atomic_for, freezable, mark
from freezethreads._machine.monitoring import check_available
from freezethreads._machine.stacks import includes
from freezethreads._refrigerator import membership
from freezethreads._refrigerator.blocking import Blocking, CheckedBlocking, WatchedBlocking
from freezethreads._refrigerator.groups import GroupRegion, WatchedGroupRegion
from freezethreads._refrigerator.membership import Registration
from freezethreads._refrigerator.no_freeze import NoFreeze, WatchedNoFreeze
from freezethreads._refrigerator.pending import PendingRegion, WatchedPendingRegion
from freezethreads._refrigerator.refrigerator import visit_safepoint
from freezethreads._registry.doors import call_shut
from freezethreads._registry.outstanding import Outstanding
from freezethreads._registry.places import Place, place_of
from freezethreads._registry.record import Record
from freezethreads._registry.registry import Registry
from freezethreads._registry.requests import Asked, Freeze
from freezethreads._registry.todos import Todo
from freezethreads._report import ownership
from freezethreads._report.deadlocks import Deadlock
from freezethreads._report.statistics import Recorder, Site, Statistics
from freezethreads._report.stragglers import ThreadInfo, infos_of

if TYPE_CHECKING:
    from freezethreads._install._forks import ForkGuard
    from freezethreads.control import Serving

S = TypeVar("S", World, Hold)
T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class Freezer(Unique):
    """A registry of threads, and the controller that stops them at places they have marked.

    The model is the Linux kernel's freezer: the refrigerator, ``try_to_freeze()``, and the todo
    notifier list per task that was proposed for it in 2005 (today's ``task_work``).

    ``debug`` (None: whether ``FREEZETHREADS_DEBUG=1`` is set) is to find threads that stop while
    they own a lock: the locks of `freezethreads.sync` note where they are acquired, and a thread
    that owns one gets `SafepointViolation` at each `safepoint()` and on its way into each
    `blocking()` region, whether anything is asked or not; so `armed` is always true then. A
    region that is made and never entered, for want of a ``with``, is logged, as it is in Python's
    development mode (``python -X dev``).

    May be made, and used, by any thread. TypeError if `name` is no string, or `debug` is none of
    True, False and None.
    """

    _IS = "the registry of this process's threads"

    # What can be used has a text here, which `help()` shows.
    __slots__ = {
        "__weakref__": None,
        "_blocking": None,
        "_controller": None,
        "_group": None,
        "_no_freeze": None,
        "_pending": None,
        "_registry": None,
        "armed": "True while anything is asked of anybody, and always in debug mode. To be read by "
        "a loop that cannot afford a call: ``if freezer.armed: freezer.safepoint()``.",
        "name": "The name of this freezer, for people.",
    }

    def __init__(self, name: str = "freezer", *, debug: bool | None = None) -> None:
        if not isinstance(name, str):
            raise TypeError(f"name must be a string, not {name!r}")
        debug = check_debug(debug)
        self.name = name
        self.armed: bool = debug
        if debug:
            ownership.track(Freezer)
        self._registry = Registry(self, debug, Recorder())
        self._controller = Controller(self._registry)
        development = sys.flags.dev_mode
        watched = debug or development
        self._blocking: type[Blocking] = WatchedBlocking if development else Blocking
        self._group: type[GroupRegion] = WatchedGroupRegion if watched else GroupRegion
        self._no_freeze: type[NoFreeze] = WatchedNoFreeze if watched else NoFreeze
        self._pending: type[PendingRegion] = WatchedPendingRegion if watched else PendingRegion
        if debug:
            self._blocking = CheckedBlocking
        adopt(self._controller)

    def __repr__(self) -> str:
        return f"<Freezer {self.name!r}, {len(self._registry.records)} threads>"

    # The threads' side.

    @by_name_but_first
    def register(
        self,
        name: str | None = None,
        *,
        group: str = "",
        waker: Callable[[], object] | None = None,
    ) -> Registration:
        """Enrol the calling thread; from now on a freeze stops it, and waits for it.

        `name` is for people (None: the `threading.Thread`'s). `group` is a dotted name. `waker` is
        called from the asker's thread each time something is put on this thread's todo list, to
        wake it from a wait that nothing else covers; perhaps again, and then from any thread. If it
        raises, that is logged and ignored.

        During a freeze of its group this returns after the thaw. The result is a context manager
        that unregisters; a thread that ends without that is struck off all the same. Raises
        `AlreadyRegistered`, TypeError or ValueError, and has changed nothing then.
        """
        return membership.register(self._registry, name, group, waker, sys._getframe(2))

    def unregister(self) -> None:
        """Strike the calling thread off. Its todos not made yet fail with `ThreadExited`.

        Raises `NotRegistered`, or `FreezeError` in a blocking region; nothing was changed then.
        Whoever waits in a freeze for this thread waits for it no longer.
        """
        membership.unregister(self._registry)

    def safepoint(self, label: str | None = None) -> None:
        """Stop here if a freeze asks for it, until the thaw; then make this thread's todos.

        From any thread, also in a signal handler or `__del__`. Costs next to nothing while nothing
        is asked. `label` names the place for people. Inside `no_freeze()` or a todo it does
        nothing; in a blocking region the thread leaves the region for as long as it takes.
        A thread that is not registered stops too, while the root group ``""`` is frozen. What a
        todo raises goes to its future; in debug mode this raises `SafepointViolation` instead of
        stopping with a lock.
        """
        if self.armed:
            visit_safepoint(self._registry, label, sys._getframe(1))

    def blocking(
        self, label: str | None = None, *, fork_safe: bool = False
    ) -> AbstractContextManager[None]:
        """A region that counts as stopped: ``with freezer.blocking("poll"): sock.recv(...)``.

        For waits that take nothing shared: what is between its beginning and its end may run
        while the program is frozen. Its end is a safepoint. By the calling thread; may be nested.
        In a coroutine or a greenlet it does not count: others run in its thread meanwhile.
        `fork_safe` says that a child of `os.fork()` can run while a thread stands here, because it
        holds no lock of a C library (a plain sleep, a join); see `freezethreads.checkpoint`.
        `label` names the place for people (None: it has no name). Nobody waits for a thread that is
        not registered; the end is a safepoint for it all the same. TypeError if `label` is no
        string.
        """
        if label is not None and label.__class__ is not str:
            check_label(label, self._registry.called)
        return self._blocking(self._registry, label, fork_safe)

    def no_freeze(self) -> AbstractContextManager[None]:
        """A region in which the calling thread is not frozen: a freeze waits for its end.

        By the calling thread; may be nested. Inside, safepoints do nothing and blocking regions do
        not count as stopped.
        """
        return self._no_freeze(self._registry)

    def pending(self, kind: str) -> AbstractContextManager[None]:
        """A region in which something of that kind is unfinished: a transaction, a half-sent reply.

        ``with freezer.pending("tx"):``, by any thread; may be nested. `kind` is a dotted name. A
        freeze that is to find ``"tx"`` settled stops no thread in a region of ``"tx"``, or of what
        is below it, such as ``"tx.write"``, and waits for its end; others take no notice of it.
        Its end is no safepoint. In a coroutine it lasts while others run in its thread, too.
        `no_freeze()` is pending of every kind, and for every freeze.

        TypeError or ValueError if `kind` is no dotted name; `FreezeError` at an end without a
        beginning.
        """
        if check_kind(kind) not in self._registry.kinds:
            self._registry.note_kind(kind)
        return self._pending(self._registry, kind)

    def outstanding(self, kind: str) -> Outstanding:
        """The count of what is outstanding of that kind: a request without an answer, a queued job.

        For unfinished business that no thread has in its hands. `kind` is a dotted name, of which
        there is one count. ``add()`` and ``done()`` change it, from any thread, or it is one higher
        while a block ``with freezer.outstanding("rpc"):`` lasts. A freeze that is to find ``"rpc"``
        settled begins when nothing of it, or of what is below it, such as ``"rpc.write"``, is
        outstanding. Until then it stops nobody, but that a registered thread which has begun such
        things, is in no block, and has never called ``done()``, waits at its next safepoint (0.2 s
        if nothing happens). If something is added before all stand, it lets everybody go, and
        begins anew. Others take no notice. In the child of a fork nothing is outstanding but the
        blocks that the forking thread is in.

        From any thread. TypeError or ValueError if `kind` is no dotted name.
        """
        return self._registry.outstanding_of(check_kind(kind))

    def group(self, name: str, /) -> AbstractContextManager[None]:
        """A region in which the calling thread is in that group: a job of a pool, a request.

        ``with freezer.group("migration"):``, by any thread; may be nested. `name` is a dotted name.
        So one job can be stopped, and not the worker that has it. At the beginning the thread stops
        if the group is frozen, and at the end if the one is to which it goes back. If somebody else
        has moved it meanwhile, it stays there. A thread that is not registered is, for as long.
        In a coroutine it lasts while others run in its thread, too.

        TypeError or ValueError if `name` is no dotted name; `FreezeError` inside `no_freeze()`, a
        todo or a blocking region, and at an end without a beginning. Nothing was changed then.
        """
        return self._group(self._registry, check_group(name))

    # From outside: what the program's code is, without an edit.

    def atomic(self, target: T, /, *, kind: str | None = None) -> T:
        """Have nobody stopped in `target`, nor in what it calls; returns `target`.

        `target` is a function, a class, a module, or a name such as
        ``"package.module:Class.method"``, also of what does not exist yet. So this is a decorator
        as well. It is for freezes with ``where="unlocked"`` and ``"anywhere"``, and costs nothing
        while there is none. From any thread; it holds for all freezers, and cannot be taken back.

        With a `kind`, a dotted name, something of that kind is unfinished in there: it is as
        `pending`, from outside. Nobody is stopped in it by a freeze that is to find that kind
        *settled*, and others say so in `World.pending`. None means every kind, and every freeze.

        On CPython 3.11 a function is returned that runs `target` inside `no_freeze()`, or
        ``pending(kind)``; anything else raises `FreezeError` there. Raises TypeError or ValueError
        if `target` or `kind` is nothing of the sort, or if its module is there and has no such
        name.
        """
        if kind is not None:
            check_kind(kind)
        return mark(atomic_for(kind), target, kind, self._atomic_around)

    def freezable(self, target: T, /, *, label: str | None = None) -> T:
        """Have the entry of `target` and each turn of its loops be safepoints; returns `target`.

        As `safepoint(label)` there, for every freezer, without an edit and at no cost while
        nobody freezes. `target` is as for `atomic`, and so are the errors. From any thread.

        On CPython 3.11 a function is returned that passes a safepoint on its way in.
        """
        return mark(freezable, target, label, self._safepoint_before)

    # The controller's side.

    @by_name
    def freeze(
        self,
        *,
        timeout: float | None = 20.0,
        reason: str = "",
        group: str | Sequence[str] = "",
        lease: float | None = None,
        where: Where | None = None,
        settled: str | Iterable[str] = (),
        hooks: bool = True,
    ) -> World:
        """Stop all registered threads of `group` but the caller, and return when they stand.

        From any thread. `timeout` is in seconds (None: for ever) and includes waiting for one's
        turn, since worlds never overlap. `lease` is in seconds too (None: none): so long after all
        stood, a watchdog thaws. Inside one's own world this returns at once.

        `group` may also be a sequence of groups, ``("compute", "io", "log")``: each is asked to
        stop when the one before stands, and they are let go in reverse. So those who make work
        stop first, and who drains it stops last; ``""`` at the end is everybody else. (The idea is
        the kernel's, which freezes user space before its own threads.)

        `where` says where threads are stopped: at ``"safepoint"``, in blocking regions and in
        freezable waits; or every thread of the process (with a `group` the registered ones of it)
        between any two bytecodes, ``"anywhere"``, or outside the sections in which it holds a lock,
        ``"unlocked"``. These two need CPython 3.12. None is what the caller's own world has, or
        else ``"safepoint"``, but ``"unlocked"`` under ``install(patch=False)``. (The idea is the
        kernel's ``stop_machine()``, and the polling of language runtimes; sections make the state
        a known one.)

        `settled` names kinds of unfinished business, one or several: no thread is stopped inside
        `pending()` of one of them, and nobody while anything of them is `outstanding()`, for which
        this waits: of several groups, before it asks the last one, to which those who finish it
        belong. Inside one's own world it may name no other kinds than that has.

        `hooks` says whether those of `hook` are called. Their befores count for `timeout`: none
        is called later. Inside one's own world they are as the outermost one has said.

        Raises `FreezeTimeout` with the stragglers, everybody let go again; `HookFailed` if a
        ``before`` raises; `FreezeError` if the caller has a world that does not cover `group` or
        `where`, is a signal handler that has interrupted a freeze of its own thread, asks for a
        lease where no daemon thread is to be had to watch it, or for a `where` that this
        interpreter has not, or has no more, since it is about to end; TypeError or ValueError,
        before anything was touched. Whatever else is raised (KeyboardInterrupt), nobody is left
        frozen.
        """
        caller = sys._getframe(2)
        return self._freeze(timeout, reason, group, lease, where, settled, hooks, caller)

    def _freeze(
        self,
        timeout: float | None,
        reason: str,
        group: str | Sequence[str],
        lease: float | None,
        where: Where | None,
        settled: str | Iterable[str],
        hooks: bool,
        caller: FrameType,
    ) -> World:
        deadline, reason, groups, lease = check_request(timeout, reason, group, lease)
        kinds = check_settled(settled)
        check_flag("hooks", hooks)
        own = self._controller.own_world()
        outside = [] if own is None else [one for one in groups if not own.asked.covers(one)]
        if outside:
            raise FreezeError(
                f"{own!r} does not cover group {outside[0]!r}: thaw it first, or begin with a "
                "group that both are in, such as ''"
            )
        where = check_where(where, self._registry.where if own is None else own.where)
        if own is not None and not includes(own.where, where):
            raise FreezeError(
                f"{own!r} has stopped threads with where={own.where!r}, which does not promise "
                f"what where={where!r} does: thaw it first, or ask for that at once"
            )
        if own is not None and not all(own.asked.settles(kind) for kind in kinds):
            raise FreezeError(
                f"{own!r} was not asked to find {', '.join(sorted(kinds))} settled: thaw it first, "
                "or ask for that at once"
            )
        freeze = own or self._ask("freeze", groups, reason, where, kinds)
        place = place_of(caller, "blocking", "waiting for its turn to freeze")
        stop = self._controller.stop if own is None else None
        return self._stop_for(World, stop, freeze, deadline, lease, place, hooks and own is None)

    def _ask(
        self,
        kind: str,
        groups: tuple[str, ...],
        reason: str,
        where: Where,
        settled: frozenset[str],
    ) -> Freeze:
        """A request that is still to be made. Raises `FreezeError` if it cannot be had here."""
        if where != "safepoint":
            check_available(where)
        return ask(self._registry, Asked(kind, groups, reason, settled), where)

    def _stop_for(
        self,
        kind: type[S],
        stop: Callable[[Freeze, Deadline, Place], None] | None,
        freeze: Freeze,
        deadline: Deadline,
        lease: float | None,
        place: Place,
        hooks: bool,
    ) -> S:
        """Stop threads by `stop` (None: they stand already), and return what holds them."""
        user = object()

        def stop_them() -> S:
            if stop is not None:
                warn_of_mistakes(self._registry, freeze, place)
                stop(freeze, deadline, place)
            stopped = kind(self._registry, self._controller, freeze, user, lease, place)
            if hooks:
                stopped._prepare(deadline)
            return stopped

        while True:
            try:
                return self._controller.or_give_up(freeze, user, stop_them)
            except Unsettled:
                freeze = ask_again(self._registry, freeze)

    def _complete(self, error: FreezeError) -> None:
        """What is told of an error of the controller's side: what would help, and no frame that is
        below the program's, if a bare `raise` comes next."""
        if isinstance(error, FreezeTimeout):
            call_shut(_load_explain)
            from freezethreads._explain import add_remedy

            add_remedy(error, self._registry.called)
        shorten(error, self._registry.debug)

    def run_frozen(
        self,
        callback: Callable[[*Ts], T],
        /,
        *args: *Ts,
        timeout: float | None = 20.0,
        reason: str = "",
        group: str | Sequence[str] = "",
        lease: float | None = None,
        where: Where | None = None,
        settled: str | Iterable[str] = (),
        hooks: bool = True,
    ) -> T:
        """Return `callback(*args)`, called by this thread while all of `group` but it stand.

        ``with freeze(...): return callback(*args)``, from any thread, with the arguments and the
        errors of `freeze`. What `callback` raises is raised here, when all have been let go; what
        afters of hooks raise, as an `ExceptionGroup`, in its place.
        TypeError if it cannot be called, before anything was touched.
        """
        check_callable("callback", callback)
        stands = False
        try:
            with self._freeze(
                timeout, reason, group, lease, where, settled, hooks, sys._getframe(1)
            ):
                stands = True
                return callback(*args)
        except FreezeError as error:
            if not stands:
                self._complete(error)
            raise

    @by_name
    def hold(
        self,
        *,
        timeout: float | None = 20.0,
        reason: str = "",
        group: str | Sequence[str] = "",
        lease: float | None = None,
        where: Where | None = None,
        settled: str | Iterable[str] = (),
        hooks: bool = False,
    ) -> Hold:
        """Stop `group` and leave it stopped until `thaw()` on the result, as a cgroup is frozen.

        Holds overlap freely, with worlds too: a thread runs when nobody holds it any more. The
        calling thread, if it is in the group, stops at its own next safepoint, until another thread
        thaws; with another `where` it goes on. Registered threads wait for each other's holds to
        stand, and so for their turn (in one's own world in vain, if such a hold waits for that
        world). Arguments as for `freeze`, and its errors but for those of one's own world;
        `FreezeError` in a signal handler that has interrupted a hold of its own, registered thread
        on its way. With `hooks`, and a hold that stands already, befores are called twice in a
        row.
        """
        deadline, reason, groups, lease = check_request(timeout, reason, group, lease)
        check_flag("hooks", hooks)
        kinds = check_settled(settled)
        freeze = self._ask("hold", groups, reason, check_where(where, self._registry.where), kinds)
        place = place_of(sys._getframe(2), "blocking", "waiting for a hold to stand")
        stop = self._controller.stop_and_leave
        return self._stop_for(Hold, stop, freeze, deadline, lease, place, hooks)

    def hook(
        self,
        before: Callable[[], object] | None = None,
        after: Callable[[], object] | None = None,
        *,
        phase: float = 0,
        name: str | None = None,
    ) -> Hook:
        """Have freezes call `before()` when all stand, and `after()` before the first runs again.

        In each freeze that has hooks called (`freeze` and `run_frozen` unless told otherwise,
        `hold` if told so), in its controller's thread: the befores by `phase`, the lowest first,
        and then in the order in which they were added; the afters in reverse, in the thread that
        thaws. An `after` is called exactly once if its `before` has returned, and else not at all,
        however the freeze ends: by its thaw, its lease, an exception, the end of its thread or of
        the interpreter. `name` is for people (None: that of the function). From any thread. A
        freeze that is under way does not call what is added meanwhile. (The idea is that of the
        kernel's ``PM_SUSPEND_PREPARE`` notifiers, and of ``pthread_atfork``.)

        A `before` that raises ends the freeze, in `HookFailed`. What afters raise is collected in
        an `ExceptionGroup`, which is raised at the end of the thaw, or logged where the freezer
        thaws by itself; nobody is kept frozen by it. One that hangs is ended by the lease, if there
        is one. In a hook safepoints and blocking regions do nothing, and freezes share the world,
        or, a hold say, call no hooks. In the child of a fork no `after` is called.

        TypeError or ValueError for a wrong argument, or if there is neither `before` nor `after`.
        """
        check_hook(before, after, phase, name)
        place = place_of(sys._getframe(1), "hook", name)
        hook = Hook(self._registry, before, after, phase, name, place)
        try:
            self._registry.hooks[hook] = None
            return hook
        except BaseException:
            hook.remove()  # nobody else could
            raise

    def todo(
        self,
        thread: Thread | ThreadInfo | int,
        fn: Callable[[*Ts], T],
        /,
        *args: *Ts,
        priority: float = 0,
    ) -> Future[T]:
        """Have only `thread` call `fn(*args)` at its next, rarely a later, safepoint or region end.

        `thread` is a `threading.Thread`, an ident or a `ThreadInfo`. From any thread, also in a
        signal handler. Higher priorities first, then in order of arrival. What `fn` raises goes to
        the future, and so does a KeyboardInterrupt that comes meanwhile. Raises `NotRegistered`, or
        `ThreadExited` if the thread is gone; if it goes later, the future fails with that. Raises
        TypeError for a wrong argument. Nothing was asked of anybody then.
        """
        check_todo(fn, priority)
        return self._post(self._registry.find(thread), fn, args, priority)

    def todo_all(
        self, fn: Callable[[*Ts], T], /, *args: *Ts, priority: float = 0, group: str = ""
    ) -> list[Future[T]]:
        """The same for every registered thread of `group`, the calling one included.

        A thread that exits meanwhile is left out. TypeError or ValueError for a wrong argument.
        """
        check_todo(fn, priority)
        check_group(group)
        futures = []
        for record in list(self._registry.records.values()):
            if covers(group, record.group):
                try:
                    futures.append(self._post(record, fn, args, priority))
                except ThreadExited:
                    pass  # as documented
        return futures

    def guard_forks(
        self,
        *,
        where: Literal["unlocked", "safepoint"] = "unlocked",
        timeout: float | None = 5.0,
        on_failure: Literal["raise", "warn", "log"] = "raise",
    ) -> ForkGuard:
        """Have each `os.fork()` of the process happen while no other thread holds a lock.

        A context manager. While it is in force, whoever calls `os.fork` or `os.forkpty`, in the
        program, the standard library or a library, has all other threads stopped for it, as by
        `freeze` with this `where`. `timeout` is in seconds (None: for ever), and includes waiting
        for one's turn. If a lock is held until then, `on_failure` decides: ``"raise"`` raises
        `ForkUnsafe`, and nothing was forked; ``"warn"`` forks, with a RuntimeWarning and a line in
        the log; ``"log"`` forks, with the line alone. The child has a working freezer, its own
        thread alone, and the guard.

        ``"unlocked"`` needs CPython 3.12. On 3.11 it is as ``"safepoint"``: the registered threads
        stop where they do for `freeze()`, and again until none of them has a lock of
        `freezethreads.sync` or of `install()` in its hands, or another one in a ``with`` block;
        ``GuardedFork.unseen`` names those that could not be stopped.

        May be entered by any thread, and beside others: of one freezer's guards the newest decides,
        and a fork has to satisfy each freezer that has one. Not guarded is what C code forks by
        itself, what was copied from `os` into anything but a module, and `subprocess`, whose child
        executes another program at once. A guard that nobody enters does nothing, and says so in
        the log. Raises TypeError or ValueError for a wrong argument.
        """
        from freezethreads._install._forks import ForkGuard  # it stands on this module

        return ForkGuard(self, where, timeout, on_failure)

    # Looking.

    def threads(self) -> tuple[ThreadInfo, ...]:
        """The registered threads. From any thread."""
        return infos_of(list(self._registry.records.values()))

    def sites(self) -> tuple[Site, ...]:
        """Every place that has led to the refrigerator so far, the busiest first.

        From any thread.
        """
        return call_shut(self._registry.recorder.sites)

    def statistics(self) -> Statistics:
        """What was done so far. From any thread."""
        registry = self._registry
        records = list(registry.records.values())
        return call_shut(registry.recorder.statistics, records)

    def deadlocks(self) -> tuple[Deadlock, ...]:
        """The threads of this process that wait for each other, or for what a thread had that has
        ended, whoever has registered them.

        From any thread. Stops nobody. Takes 20 ms if there are any, or two of the interpreter's
        switch intervals, and up to ten times that if something wakes these threads meanwhile. To
        find who refers to a sign takes longer where there are millions of objects, and the program
        stands meanwhile: 0.1 to 0.2 s for each million and each such wait, 2 s of processor time at
        most. It knows who waits for a lock of `freezethreads.sync`, for the import of a module, or
        for a thaw; and, with a GIL, for the end of a thread, for a plain lock that another thread
        has acquired on its stack, for the result of a job of a pool, and for a sign (by way of an
        event, a condition, a semaphore, a barrier or a queue) that no thread can give which may go
        on. Where it cannot tell it says nothing. The ideas are Java's
        (``ThreadMXBean.findDeadlockedThreads``) and Go's (its profile of leaked goroutines).
        """
        return find_deadlocks(reach=True)

    def dump(self, file: IO[str] | None = None, *, timeout: float | None = 1.0) -> None:
        """Write where all threads stand to `file` (None: `sys.stderr`), for people.

        Stops everybody while it looks, and writes when they have been let go. Says who does not
        stop within `timeout` seconds (None: for ever), and shows those all the same. From any
        thread, also in a signal handler and inside a world. What cannot be encoded is escaped.

        Raises TypeError or ValueError for a wrong argument, and `FreezeError` if there is no
        `sys.stderr`, before anybody is stopped; and what the file raises, when all go on.
        """
        call_shut(_load_explain)
        from freezethreads._explain import dump

        dump(self, file, timeout)

    def serve(self) -> Serving:
        """Open this process's control socket, by which this freezer can be used from outside.

        From then on, until the result is closed (it is a context manager) or the process ends,
        other processes of the same user, and root's, can look at the threads, freeze and thaw them:
        with the command ``freezethreads`` or `freezethreads.control.connect`. A freeze from outside
        is a hold with a lease. Nothing that arrives is evaluated. One socket serves all freezers of
        a process, and who is served twice is served until both are closed. Costs one thread, which
        waits for a client, and is never stopped. The child of a fork has to call this itself.

        From any thread. Raises `FreezeError` if there is no place for the socket, no daemon thread
        to be had, or another freezer of this name is served; nothing is served then that was not
        before.
        """
        from freezethreads.control import serve  # which nobody else should have to load

        return serve(self)

    def _atomic_around(self, fn: Callable[..., Any], kind: str | None) -> Callable[..., Any]:
        @wraps(fn)
        def call(*args: Any, **kwargs: Any) -> Any:
            with self.no_freeze() if kind is None else self.pending(kind):
                return fn(*args, **kwargs)

        return call

    def _safepoint_before(self, fn: Callable[..., Any], label: str | None) -> Callable[..., Any]:
        @wraps(fn)
        def call(*args: Any, **kwargs: Any) -> Any:
            self.safepoint(label)
            return fn(*args, **kwargs)

        return call

    def _post(
        self, record: Record, fn: Callable[..., T], args: tuple[object, ...], priority: float
    ) -> Future[T]:
        todo = Todo(fn, args, priority)
        self._registry.post(record, todo)
        return todo.future


def _load_explain() -> None:
    """Import what nobody needs before. With shut doors: a thread that stood in the middle of this,
    in a signal handler say, would keep whoever has stopped it from doing the same."""
    import freezethreads._explain  # noqa: F401


def check_freezer(freezer: object) -> Freezer | None:
    """Return `freezer` if it is one, or None; else raise TypeError."""
    if freezer is not None and not isinstance(freezer, Freezer):
        raise TypeError(
            f"freezer must be a freezethreads.Freezer, or None for the default one, not {freezer!r}"
        )
    return freezer
