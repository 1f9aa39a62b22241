"""The controller: arming a freeze, waiting until all stand, and the thaw.

Everything that ends a freeze comes through `Controller.thaw`, which may be repeated and may be
called from any thread: the thaw, a time-out, an exception anywhere on the way, the lease, the end
of the controller's thread or of the interpreter, and a world that nobody refers to any more.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

from freezethreads._controller.hooks import note_errors, raise_errors, together
from freezethreads._controller.lease import Lease
from freezethreads._controller.lookout import look_out
from freezethreads._controller.settling import (
    check_not_given_up,
    check_not_own,
    check_settled_still,
    is_settled,
    settle,
    settle_away,
    unsettled,
)
from freezethreads._controller.timeout import timeout_of
from freezethreads._controller.turns import Turns
from freezethreads._ground.deadline import Deadline
from freezethreads._ground.errors import FreezeError, FreezeTimeout
from freezethreads._ground.original import get_ident, main_thread, monotonic
from freezethreads._machine.bar import Bar
from freezethreads._machine.trap import close_doors, open_doors
from freezethreads._refrigerator.refrigerator import wait_away
from freezethreads._registry.doors import call_shut
from freezethreads._registry.places import Place
from freezethreads._registry.record import Lifeline, logger
from freezethreads._registry.registry import Registry
from freezethreads._registry.requests import Ending, Freeze
from freezethreads._registry.states import State
from freezethreads._registry.status import Status, ask_all, settled
from freezethreads._registry.todos import ABSENT
from freezethreads._report.observers import tell_observers

T = TypeVar("T")

_FIRST_PAUSE: Final = 0.0005  # seconds between two looks at threads that have yet to arrive
_LAST_PAUSE: Final = 0.02
_NEVER: Final = Deadline(None)
_NOW: Final = Deadline(0)


class Controller:
    """Stops and lets go the threads of one registry."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._turns = registry.turns["freeze"] = Turns(registry, commands=True)
        self._hold_turns = registry.turns["hold"] = Turns(registry, commands=False)

    def own_world(self) -> Freeze | None:
        """The freeze with which the calling thread has a world that stands, if it has one.

        Raises `FreezeError` in a signal handler that has interrupted the thread while it was
        freezing: it would wait for itself. A thaw which another thread, or what the handler has
        interrupted, is in the middle of, is finished here: the turn is given back last.
        """
        own = self._turns.of_thread(get_ident())
        if own is not None and own.done:
            self._let_go(own)
            own = None
        if own is None or (own.stands and (own.users or _is_undone_here(own))):
            return own
        raise FreezeError(f"{own!r} is under way in this very thread, which cannot freeze as well")

    def standing_world(self) -> Freeze | None:
        """The freeze with which the calling thread has a world, if it stands. Raises nothing."""
        own = self._turns.of_thread(get_ident())
        return own if own is not None and own.stands else None

    def stop(self, freeze: Freeze, deadline: Deadline, place: Place) -> None:
        """Stop the groups for a world: in turn, with nobody else's world in between.

        Raises `Unsettled` if that is to be done anew. The wait for the turn, and that before for
        what is outstanding, count as stopped. The rest does not: of two controllers that stop
        each other's threads, one must not take the other for frozen.
        """
        check_not_own(self._registry, freeze)
        if not freeze.before:
            settle_away(self._registry, freeze, deadline, place)
        self._turns.take(freeze, deadline, place)
        self._tie(freeze)
        for part in freeze.before:
            self.ask(part)
            self._wait(part, deadline)
        if freeze.before:
            settle(self._registry, freeze, deadline)
        self.ask(freeze)
        self._wait(freeze, deadline)

    def go_on(self, freeze: Freeze, deadline: Deadline, until: Deadline = _NOW) -> Freeze | None:
        """Ask each group when that before it stands, as far as can be done now. The part that is to
        be waited for is returned; None if all stand, from where on the freeze does.

        By its controller, which waits here until `until` at most, and only where nobody rings it.
        Raises what `all_stand` does.
        """
        for part in freeze.parts:
            if part.stood_at is not None:
                continue
            check_not_given_up(freeze, self._registry)
            if part not in self._registry.active:
                if part.before and not is_settled(self._registry, freeze, deadline):
                    return part
                self.ask(part)
            if isinstance(part.bar, Bar):
                stands = self.wait_at_bar(part, part.bar, deadline, until)
            else:
                stands = self.all_stand(part, deadline)
            if not stands:
                return part
        return None

    def ask(self, freeze: Freeze) -> None:
        """Ask all who are meant but the calling thread. By its controller, when it may.

        Nobody is if it has been ended since the group before was asked: who did that could not let
        go whom this was yet to ask.
        """
        if isinstance(freeze.bar, Bar):
            self._put_up(freeze, freeze.bar)
        else:
            self._arm(freeze)
        if freeze.done:
            self._thaw_part(freeze)

    def stop_and_leave(self, freeze: Freeze, deadline: Deadline, place: Place) -> None:
        """Stop the groups for a hold: at any time, whoever else has stopped somebody.

        The calling thread, if it is in one of them, is asked last, and stops at its next safepoint.
        Registered threads take turns: of two that hold each other the second is held first. Raises
        `FreezeError` in a signal handler that has interrupted the thread while it was doing that:
        it would wait for itself; `Unsettled` if that is to be done anew.
        """
        check_not_own(self._registry, freeze)
        for part in freeze.parts:
            self._hold(part, deadline, place)
        record = self._registry.own.record
        if record is None or freeze.bar is not None:
            return
        meant = [part for part in freeze.parts if part.covers(record.group)]
        for part in meant:
            part.members[record] = None
            record.parking.word.ask(Status((part,)))
        if meant:
            record.call_waker()

    def _hold(self, freeze: Freeze, deadline: Deadline, place: Place) -> None:
        """Stop one of the groups, but for the calling thread."""
        record = self._registry.own.record
        own = self._hold_turns.of_thread(get_ident())
        if own is not None:
            raise FreezeError(
                f"{own!r} is under way in this very thread, which cannot hold as well"
            )

        def let_go() -> None:  # before this thread may have to stop for somebody else
            self.thaw(freeze.whole)

        def wait_until_it_stands() -> None:
            try:
                self._wait(freeze, deadline)
            except BaseException:
                let_go()
                raise
            self._hold_turns.leave(freeze)

        if freeze.whole is freeze:
            settle_away(self._registry, freeze, deadline, place, let_go)
        if record is not None:
            self._hold_turns.take(freeze, deadline, place, let_go)
        self.ask(freeze)
        if freeze.bar is None:
            wait_away(self._registry, place, wait_until_it_stands)
        else:
            wait_until_it_stands()

    def start_lease(self, freeze: Freeze, user: object, seconds: float) -> None:
        """Let a watchdog thaw after so many seconds, counted from now, if that user of the freeze
        is not done with it before."""
        lease = Lease(seconds, freeze, user, self.expire)
        lease.start()
        if freeze.done or user not in freeze.users:
            lease.drop()  # the thaw was quicker, and may not have seen it

    def expire(self, freeze: Freeze) -> None:
        """The lease has run out. In the watchdog's thread.

        Hooks are undone first, for which this thread has as long again: then another one lets
        everybody go, whatever hangs.
        """
        if freeze.unwinding is not None:
            self._watch_unwinding(freeze)
        if not freeze.done and self.thaw_abandoned(freeze, "lease", "its lease ran out"):
            self._registry.recorder.expired()

    def _watch_unwinding(self, freeze: Freeze) -> None:
        def let_go(freeze: Freeze) -> None:
            if self._let_go(freeze):
                self._registry.recorder.expired()
                self._say(freeze, "its lease ran out, and one of its hooks hangs")

        for lease in list(freeze.leases)[:1]:
            try:
                Lease(lease.seconds, freeze, lease.user, let_go).start()
            except FreezeError:
                logger.exception("if a hook of %r hangs now, nobody will end it", freeze)

    def thaw_abandoned(self, freeze: Freeze, ending: Ending, why: str) -> bool:
        """Thaw what its controller did not, and say so. From any thread; may be repeated.

        If its controller still waits for all to stop, that ends in FreezeError.
        """
        first = self._thaw_and_say(freeze, ending, why)
        if first:
            freeze.bell.ring()
        return first

    def _thaw_and_say(self, freeze: Freeze, ending: Ending, why: str) -> bool:
        if freeze.done:
            return False
        # Whoever is in a block finds these errors as soon as it is let go.
        errors = [] if freeze.unwinding is None else freeze.unwinding.errors
        first = self._unwind_and_let_go(freeze, ending, errors)
        # Afterwards: a frozen thread may have the lock of what this is logged to.
        if first or freeze.unwinding is None:
            self._say(freeze, why)
        if errors:
            logger.error("at the thaw of %r", freeze, exc_info=together(freeze, errors))
        return first

    def _say(self, freeze: Freeze, why: str) -> None:
        tell_observers(freeze, why)
        logger.warning("%r was thawed by the freezer: %s", freeze, why)

    def drop_user(self, freeze: Freeze, user: object) -> None:
        """One user of `freeze` is done with it; the last one thaws. May be repeated."""
        freeze.users.pop(user, None)
        if freeze.users or freeze.unwinding is None:  # else it lasts until they are undone
            for lease in list(freeze.leases):
                if lease.user is user:
                    lease.drop()
        if not freeze.users:
            self.thaw(freeze)

    def or_give_up(self, freeze: Freeze, user: object, stop: Callable[[], T]) -> T:
        """Return `stop()`, which asks for `freeze`. By its controller. If it raises, nobody is kept
        stopped, also if another exception comes in the middle of giving up."""
        try:
            try:
                return stop()
            except BaseException as error:
                self.give_up(freeze, user, error)
                raise
        except BaseException as error:
            self.drop_for(freeze, user, error)
            raise

    def give_up(self, freeze: Freeze, user: object, error: BaseException) -> None:
        """Do the same for one that could not be had, and count it if the time ran out."""
        self.drop_for(freeze, user, error)
        if isinstance(error, FreezeTimeout):
            call_shut(self._registry.recorder.timed_out)

    def drop_for(self, freeze: Freeze, user: object, error: BaseException) -> None:
        """`drop_user`, where `error` is about to be raised: what afters raise is told in a note."""
        try:
            self.drop_user(freeze, user)
        except ExceptionGroup as group:
            note_errors(error, freeze, list(group.exceptions))

    def thaw(self, freeze: Freeze, ending: Ending = "thaw") -> bool:
        """Thaw, or give up. From any thread; may be repeated. Returns whether it was the first.

        Hooks are undone before. What their afters raise is raised when all are let go.
        """
        errors: list[BaseException] = []
        first = self._unwind_and_let_go(freeze, ending, errors)
        if errors:
            raise_errors(freeze, errors)
        return first

    def _unwind_and_let_go(
        self, freeze: Freeze, ending: Ending, errors: list[BaseException]
    ) -> bool:
        freeze.end_by(ending)  # and then look whether there are hooks
        if freeze.unwinding is None:
            return self._let_go(freeze)
        return freeze.unwinding.end(ending, errors, lambda: self._let_go(freeze))

    def _let_go(self, freeze: Freeze) -> bool:
        """Let everybody go. From any thread; may be repeated. Returns whether it was the first.

        A thread that stands becomes RUNNING as soon as the last freeze is done that holds it. An
        exception in the middle (a KeyboardInterrupt, in the `__del__` of a world that was dropped,
        say) is raised when all are let go: nobody else might come to do it.
        """
        try:
            return call_shut(self._thaw, freeze)
        except BaseException:
            call_shut(self._thaw, freeze)
            raise

    def _thaw(self, freeze: Freeze) -> bool:
        first = False
        for part in reversed(freeze.parts):
            first = self._thaw_part(part)  # of the one that was asked for before all others
        if freeze.unwinding is not None:
            freeze.unwinding.tell()
        self._recount_controller(freeze)
        self._turns.leave(freeze)
        for lease in list(freeze.leases):
            lease.cancel()
        for call in [call for part in freeze.parts for call in list(part.calls)]:
            call.refuse(FreezeError("the world was thawed before the call was made"))
        if first and freeze.stood_at is not None:
            self._registry.recorder.thawed(monotonic() - freeze.stood_at)
        return first

    def _thaw_part(self, freeze: Freeze) -> bool:
        first = self._registry.active.pop(freeze, ABSENT) is not ABSENT
        freeze.done = True  # from here on it holds nobody: a stay that no other one holds is over
        if freeze.bar is not None:
            freeze.bar.take_down()
        self._registry.settling.pop(freeze, None)
        close_doors(freeze)
        freeze.completion.complete_all()
        freeze.ring_gathered()
        self._hold_turns.leave(freeze)
        self._registry.settle(freeze)
        return first

    def thaw_all(self, why: str) -> None:
        """At the end of the main thread: thaw what nobody is left to thaw."""
        for freeze in self._registry.freezes():
            if not _has_living_controller(freeze, self._registry):
                # And let a daemon wait for the process's end.
                self._thaw_and_say(freeze, "exit", why)
        record = self._registry.own.record
        if record is not None:
            self._registry.leave(record)

    def ring_all(self) -> None:
        """Have everybody look anew who waits with a deadline, as far as is known. By any thread."""
        for freeze in list(self._registry.active):
            for lease in list(freeze.leases):
                lease.ring()
        for turns in (self._turns, self._hold_turns):
            for freeze in turns.waiting():
                freeze.bell.ring()
        for freeze in list(self._registry.settling):
            freeze.bell.ring()
        for record in list(self._registry.records.values()):
            record.rouse()

    def share(self) -> None:
        """Before a fork: see `reset`, which comes in the child."""
        self._registry.share()

    def reset(self) -> None:
        """In the child of a fork: no freeze, no turn, no other thread."""
        self._registry.reset()

    def _tie(self, freeze: Freeze) -> None:
        """Have the freezer thaw if the calling thread ends before it does."""
        own = self._registry.own
        over = [tied for tied in own.worlds if tied[0].done]
        for _, lifeline in over:
            lifeline.cut()
        lifeline = Lifeline(self.thaw_abandoned, freeze, "thread gone", "its thread has ended")
        own.worlds = (*[tied for tied in own.worlds if tied not in over], (freeze, lifeline))

    def _arm(self, freeze: Freeze) -> None:
        """Ask everybody who is meant but the calling thread, and note who has stopped already."""
        registry, own = self._registry, self._registry.own.record
        registry.announce(freeze)
        registry.active[freeze] = None
        open_doors(freeze)
        members = [
            record
            for record in list(registry.records.values())
            if (not freeze.group or freeze.covers(record.group))
            and not record.exited
            and record is not own
        ]
        freeze.awaited.update(dict.fromkeys(members))
        freeze.members.update(dict.fromkeys(members))
        statuses = ask_all([record.parking.word for record in members], Status((freeze,)))
        places = []
        for record, status in zip(members, statuses, strict=True):  # they were asked: look
            place = record.away or record.parking.away
            # (As `arrive`, but nobody need be woken: the calling thread has yet to look.)
            if (
                record.has_stopped(status, freeze)
                and freeze.awaited.pop(record, ABSENT) is not ABSENT
            ):
                places.append(place or record.place)
            if record.exited or (freeze.group and not freeze.covers(record.group)):
                registry.withdraw(freeze, record)
        freeze.ring_gathered()
        registry.recorder.visited_all(filter(None, places))
        for record in members:
            if record.waker is not None:
                record.call_waker()

    def _recount_controller(self, freeze: Freeze) -> None:
        """A thread that commands no more counts as stopped where others have waited for it.

        If it does not stand or wait, it is told that something may be on its list: while it
        commanded it has passed its safepoints.
        """
        record = self._registry.records.get(freeze.asked.ident)
        if record is not None and freeze.asked.is_by(record):
            status = record.parking.word.change(settled)
            stopped = [
                other
                for other in status.freezes
                if other.registry is self._registry and record.has_stopped(status, other)
            ]
            for other in stopped:
                other.arrive(record)
            if record.is_asked and not stopped:
                record.call_waker()

    def _wait(self, freeze: Freeze, deadline: Deadline) -> None:
        """Wait until all have stopped; raise FreezeTimeout, with everybody still in place."""
        if isinstance(freeze.bar, Bar):
            self.wait_at_bar(freeze, freeze.bar, deadline)
            return
        while not self.all_stand(freeze, deadline):
            freeze.bell.wait(deadline.remaining())

    def all_stand(self, freeze: Freeze, deadline: Deadline) -> bool:
        """Whether all have stopped, from where on the freeze stands. By its controller.

        Raises FreezeTimeout at the deadline, with everybody still in place; FreezeError if somebody
        else has ended the freeze; Unsettled if it is to be made anew.
        """
        while freeze.awaited:
            check_not_given_up(freeze, self._registry)
            check_settled_still(self._registry, freeze, deadline)
            if not deadline.passed():
                return False
            if not self._drop_dead(freeze):
                error = timeout_of(freeze)
                if error.stragglers:
                    raise self._unsettled_instead(freeze, error) or error
        self._note_stand(freeze, deadline)
        return True

    def _note_stand(self, freeze: Freeze, deadline: Deadline) -> None:
        check_settled_still(self._registry, freeze, deadline)
        self._registry.settling.pop(freeze, None)
        freeze.stood_at = stood = monotonic()
        if freeze.whole is not freeze:
            return
        call_shut(self._registry.recorder.stood, stood - freeze.asked.at)
        stops_anybody = freeze.bar is not None or any([part.members for part in freeze.parts])
        if freeze.asked.kind == "freeze" and stops_anybody:
            look_out()

    def _put_up(self, freeze: Freeze, bar: Bar) -> None:
        """Have every thread that is meant meet the bar, whether it is registered or not."""
        self._registry.announce(freeze)
        self._registry.active[freeze] = None
        bar.put_up()

    def wait_at_bar(
        self, freeze: Freeze, bar: Bar, deadline: Deadline, at_most: Deadline = _NEVER
    ) -> bool:
        """Wait until all have arrived, and return True; or False when `at_most` has passed.

        Raises FreezeTimeout, with everybody still in place, and FreezeError if somebody else has
        ended the freeze. Nobody rings who is in a call of C. So it looks again by itself, ever more
        rarely.
        """
        pause = _FIRST_PAUSE
        while True:
            arrived = bar.look()
            check_not_given_up(freeze, self._registry)
            if arrived:
                break
            check_settled_still(self._registry, freeze, deadline)
            if deadline.passed():
                shelters, late = bar.stragglers(), bar.late()
                freeze.awaited.update(dict.fromkeys(shelters))
                # What is told of them reads a lot of code for the first time, for which everybody
                # would stand, and with the events of each instruction that takes seconds. Who has
                # stopped stands until the thaw.
                bar.take_down()
                error = timeout_of(freeze, shelters, late)
                raise self._unsettled_instead(freeze, error) or error
            if at_most.passed():
                return False
            freeze.bell.wait(deadline.within(pause))
            pause = min(2 * pause, _LAST_PAUSE)
        self._registry.recorder.visited_all(list(bar.stopped.values()))
        self._note_stand(freeze, deadline)
        return True

    def _unsettled_instead(self, freeze: Freeze, error: FreezeTimeout) -> FreezeTimeout | None:
        """What to say instead where nobody is late, but for the last of many tries."""
        if not freeze.tries or any(each.state is State.RUNNING for each in error.stragglers):
            return None
        return unsettled(self._registry, freeze)

    def _drop_dead(self, freeze: Freeze) -> bool:
        """Strike off threads that ended without a word; whether there were any."""
        dead = [record for record in list(freeze.awaited) if record.is_dead()]
        for record in dead:
            self._registry.note_exit(record)
        return bool(dead)


def _is_undone_here(freeze: Freeze) -> bool:
    """Whether the calling thread is in an `after` of that freeze, which stands meanwhile."""
    return freeze.unwinding is not None and freeze.unwinding.is_around()


def _has_living_controller(freeze: Freeze, registry: Registry) -> bool:
    """Whether a thread that the interpreter waits for, and that is not frozen, will thaw it."""
    record = registry.records.get(freeze.asked.ident)
    if record is not None and freeze.asked.is_by(record) and record.is_asked_to_stop:
        return False
    thread = freeze.asked.thread
    return thread.is_alive() and not thread.daemon and thread is not main_thread()
