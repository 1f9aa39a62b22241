"""The registry: who is enrolled, what is asked, and the flag that says whether anything is.

No lock guards it. Each step below is one operation on one dict (see `todos` for what is assumed
of it), and where two parties meet, each first writes and then looks, through the same dict. Only
the thread itself writes its entry in `records`; others mark a record as exited.

* arming: a controller adds its freeze to `active`, then copies `records`; a thread that registers
  adds itself to `records`, then copies `active`. So every newcomer is in the copy, or finds
  the freeze, or both.
* asking: whoever has changed `pending` sets the flag and then looks at `pending` once more.
  Between these two steps of another, who may be preempted there, a thread may pass safepoints
  without noticing; who is reached by a waker alone may come to none later, and is woken again.
  (To wait for that other would be a lock, which a daemon thread takes with it at the exit.)
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Protocol

from freezethreads._ground.arguments import Where
from freezethreads._ground.errors import FreezeError, NotRegistered, ThreadExited
from freezethreads._ground.frames import current_frames
from freezethreads._ground.inherited import share
from freezethreads._ground.living import Living
from freezethreads._ground.original import RLock, Thread, get_native_id, local
from freezethreads._ground.uninterruptible import call_with
from freezethreads._registry.doors import call_shut
from freezethreads._registry.outstanding import Outstanding
from freezethreads._registry.record import Lifeline, Record, here, logger
from freezethreads._registry.requests import Asked, Freeze
from freezethreads._registry.status import Status, listed_anew, unlisted
from freezethreads._registry.todos import ABSENT, Todo

if TYPE_CHECKING:
    from freezethreads._controller.hooks import Hook
    from freezethreads._controller.turns import Turns
    from freezethreads._report.statistics import Recorder


class Flagged(Protocol):
    """Whatever shows the flag: a freezer, and for the default one the module as well."""

    armed: bool


class Own(local):
    """What the calling thread knows of itself."""

    record: Record | None = None
    lifeline: Lifeline | None = None
    worlds: tuple[tuple[Freeze, Lifeline], ...] = ()
    enrol_again: Callable[[], object] | None = None  # for an installation
    groups: tuple[Any, ...] = ()  # the `group()` regions that it is in: see `groups`


# The registries whose flag is up. Not empty: somebody, somewhere, is asked for something.
class _Armed:
    """Whose `registries` ask anybody for anything: a dict, which the child of a fork replaces."""

    def __init__(self) -> None:
        self.registries: dict[Registry, None] = {}


armed = _Armed()


def _is_there(info: Any) -> bool:
    """Whether a thread that is not registered has not ended. Its ident may be another one's now."""
    other = threading._active.get(info.ident)  # type: ignore[attr-defined]
    is_reused = other is not None and info.native_id and other.native_id != info.native_id
    return info.ident in current_frames() and not is_reused


def warn_if_quiet(message: str) -> bool:
    """Log a warning, unless anybody is asked for anything; whether it was logged.

    Who stands may have the lock of what this is logged to, and the caller may be who lets it go.
    """
    if armed.registries:
        return False
    logger.warning("%s", message)
    return True


MOST_GROUPS = 1000

# Those of all freezers.
registries: Final[Living[Registry]] = Living()


class Registry:
    """The threads enrolled with one freezer, what is asked of them, and whose turn it is to ask."""

    def __init__(self, flagged: Flagged, debug: bool, recorder: Recorder) -> None:
        self.debug = debug
        self.where: Where = "safepoint"  # of a freeze that does not say it: an installation's
        self.records: dict[int, Record] = {}
        self.active: dict[Freeze, None] = {}
        self.pending: dict[object, None] = {}
        self.flagged: list[Flagged] = [flagged]
        self.hooks: dict[Hook, None] = {}
        self.turns: dict[str, Turns] = {}  # for worlds and for holds: the controller's
        self.own = Own()
        self.recorder = recorder
        self.groups: dict[str, None] = {}
        self.kinds: dict[str, None] = {}
        self.outstanding: dict[str, Outstanding] = {}
        self.settling: dict[Freeze, None] = {}
        self.warned: dict[str, None] = {}
        self._moves = RLock()
        registries.add(self)

    @property
    def called(self) -> str:
        """What a program calls the freezer: the module, which has the flag of the default one."""
        return "freezethreads" if len(self.flagged) > 1 else "freezer"

    @property
    def how_to_register(self) -> str:
        """What is to be written for a thread that is not enrolled, in a sentence."""
        written = f"with {self.called}.register():"
        return f"a thread registers itself, with `{written}`, or is a freezethreads.Thread"

    def note_kind(self, kind: str) -> None:
        """Remember that something of that kind was pending once. From any thread."""
        if len(self.kinds) < MOST_GROUPS:
            self.kinds[kind] = None

    def outstanding_of(self, kind: str) -> Outstanding:
        """The count of what is outstanding of that kind. From any thread."""
        found = self.outstanding.get(kind)
        if found is None:
            self.note_kind(kind)
            found = self.outstanding.setdefault(kind, Outstanding(self, kind))
        return found

    def outstanding_for(self, asked: Asked) -> list[Outstanding]:
        """The counts that keep `asked` from finding its kinds settled. From any thread."""
        all_kinds = list(self.outstanding.values())
        return [each for each in all_kinds if asked.settles(each.kind) and each.count]

    def note_group(self, group: str) -> None:
        """Remember that somebody was in this group, or that a thread that was started will be.

        Of the first thousand, so as not to grow.
        """
        if len(self.groups) < MOST_GROUPS:
            self.groups[group] = None

    def enter(self, record: Record) -> None:
        """Enrol the calling thread, whose record is away, so that it counts as stopped.

        It is asked for what a standing freeze asks of all, and must look before it goes on.
        """
        self.note_group(record.group)
        self.own.record = record
        self.own.lifeline = Lifeline(self.leave, record)
        record.parking.add(self, record)
        self.records[record.ident] = record
        self.submit_to_active(record)

    def move(self, record: Record, group: str) -> None:
        """Have a thread in another group: asked for what is asked there, and for nothing else.

        From any thread; may be repeated. The thread's own must look before it goes on. One move at
        a time: of two the second finds all that the first has changed. Nobody waits long for the
        other, who waits for nothing, and whom no signal handler stops meanwhile.
        """
        call_shut(call_with, self._moves, lambda: self._move(record, group))

    def _move(self, record: Record, group: str) -> None:
        try:
            self._change_group(record, group)
        except BaseException:
            self._change_group(record, group)
            raise

    def _change_group(self, record: Record, group: str) -> None:
        record.group = group
        self.note_group(group)
        self.submit_to_active(record)
        for freeze in record.parking.word.value.freezes:
            if freeze.registry is self and (record.exited or not freeze.covers(record.group)):
                self.withdraw(freeze, record)

    def freezes(self) -> list[Freeze]:
        """What is asked for or stands, each as a whole, in order. From any thread."""
        return list(dict.fromkeys([freeze.whole for freeze in list(self.active)]))

    def submit_to_active(self, record: Record) -> None:
        """Ask `record` for every active freeze of its group but those of its own thread.

        None of these waits for it. The thread itself looks before it goes on. One that is moved by
        another runs until its next safepoint, and is marked as a newcomer.
        """
        is_own = record is self.own.record
        for freeze in list(self.active):
            if freeze.bar is not None:
                freeze.bar.follow(record)
            elif self._is_meant(freeze, record):
                if not is_own:
                    freeze.newcomers[record] = None
                # In this order: who is a member is frozen. If the thaw was quicker than that, it is
                # done, which the thread sees by itself.
                record.parking.word.change(listed_anew, freeze)
                freeze.members[record] = None

    def _is_meant(self, freeze: Freeze, record: Record) -> bool:
        if freeze.bar is not None:
            return False  # it sees to that by itself
        return not record.exited and freeze.covers(record.group) and not freeze.asked.is_by(record)

    def _take_off(self, record: Record, freezes: list[Freeze]) -> Status:
        """Do not ask its thread for those that do not mean it any more, in whatever enrolment.

        Whoever moves the thread, has it leave or enrols it anew, does that first, and then changes
        its word. So whoever takes something off by what it was before begins again.
        """
        parking = record.parking

        def is_left(freeze: Freeze) -> bool:
            return freeze in freezes and not any(
                [
                    registry is self and self._is_meant(freeze, one)
                    for registry, one in parking.members
                ]
            )

        status = parking.word.change(unlisted, is_left)
        parking.bell.ring()  # it may have stopped meanwhile
        return status

    def withdraw(self, freeze: Freeze, record: Record) -> None:
        """Do not ask a thread any more that has moved away from the freeze's group, or has left.

        By whoever moved it, afterwards, and by the controller, after it asked: one of them sees
        what the other did. May be repeated.
        """
        if freeze not in self._take_off(record, [freeze]).freezes:
            self._list(freeze, record)  # before the freeze may stand without it
            freeze.arrive(record)
            for call, world in list(record.parking.calls.items()):
                if world is freeze:
                    call.refuse(FreezeError("the thread was moved before the call was made"))

    def _list(self, freeze: Freeze, record: Record) -> None:
        """Have the freeze list the thread if and only if that is asked to stop for it.

        From any thread. Whoever has changed the list looks once more: it may be asked anew.
        """
        while True:
            is_asked = freeze in record.parking.word.value.freezes
            if is_asked:
                freeze.members[record] = None
            else:
                freeze.members.pop(record, None)
            if (freeze in record.parking.word.value.freezes) == is_asked:
                break

    def leave(self, record: Record) -> None:
        """Strike the calling thread off: it exits, or unregisters. May be repeated."""
        if self.records.get(record.ident) is record:
            self.records.pop(record.ident, None)
        self.note_exit(record)

    def note_exit(self, record: Record) -> None:
        """Expect nothing of a thread any more. From any thread, and may be repeated."""
        record.exited = True
        self._refuse_all(record)
        active = list(self.active)
        self._take_off(record, active)
        for freeze in active:
            freeze.arrive(record)
        self.recorder.todos_run(record)

    def unregister(self, record: Record) -> None:
        """Strike off another thread, which goes on. From any thread; may be repeated.

        Freezes that it has stopped for keep it until their thaw; no other waits for it any more.
        """
        record.exited = True
        self._refuse_all(record)
        freed = [freeze for freeze in list(self.active) if freeze.arrive(record)]
        self._take_off(record, freed)
        self.recorder.todos_run(record)

    def _refuse_all(self, record: Record) -> None:
        for todo in list(record.todo):
            self._refuse(record, todo)

    def _refuse(self, record: Record, todo: Todo) -> None:
        if record.todo.pop(todo, ABSENT) is not ABSENT:
            todo.refuse(ThreadExited(f"thread {record.name!r} exited before it made the call"))
            self.settle(todo)

    def post(self, record: Record, todo: Todo) -> None:
        """Put a todo on a list: certain to run if this returns, refused by ThreadExited if not."""
        try:
            self.announce(todo)
            record.todo[todo] = None
            if record.exited and record.todo.pop(todo, ABSENT) is not ABSENT:
                raise ThreadExited(f"thread {record.name!r} has exited; nothing was asked of it")
        except BaseException:
            record.todo.pop(todo, None)
            self.settle(todo)
            raise
        record.rouse()
        record.call_waker()

    def announce(self, request: object) -> None:
        """Raise the flag for a request, which is about to be put on lists."""
        self.pending[request] = None
        self._show()

    def settle(self, request: object) -> None:
        """The request is done: lower the flag if it was the last. May be repeated."""
        self.pending.pop(request, None)
        self._show()

    def share(self) -> None:
        """Before a fork: what `reset` walks over in the child. By the thread that forks."""
        share(self.pending)
        share(self.outstanding)
        for turns in self.turns.values():
            share(turns.queue)

    def reset(self) -> None:
        """In the child of a fork: only the calling thread is left, with nothing pending.

        It may be anywhere in this library, having been interrupted by a signal handler that
        forks. So its list and its bell stay what they are, and it is made to look.
        """
        record, parking = self.own.record, here.parking
        for turns in self.turns.values():
            turns.reset()
        for item in self.pending:
            if type(item) is Freeze:
                item.end_in_child()  # one, perhaps, whose thaw was under way
            elif (
                type(item) is Todo
                and item.is_begun()
                and record
                and any(one is item for one in record.todo)
            ):
                item.free_future()
            elif type(item) is Todo:
                item.orphan()
        for call in parking.calls:
            call.orphan()
        self.records, self.active, self.pending, self.settling = {}, {}, {}, {}
        for outstanding in self.outstanding.values():
            outstanding._reset()
        self.recorder.reset()
        self._show()
        if record is not None and not record.exited:
            record.native_id = get_native_id()
            self.records[record.ident] = record
            record.todo = {}
        parking.calls = {}
        parking.word.reset()
        self._moves = RLock()
        parking.bell.ring()  # also who is not enrolled may have stood
        if parking.gathering is not None:
            parking.gathering.ring()

    def find(self, thread: Any) -> Record:
        """The record of a Thread, a native ident, or a ThreadInfo.

        Raises `NotRegistered`, `ThreadExited`, or TypeError if it is nothing of the kind.
        """
        if isinstance(thread, bool) or not (
            isinstance(thread, int) or (hasattr(thread, "ident") and hasattr(thread, "native_id"))
        ):
            raise TypeError(
                f"thread must be a threading.Thread, an ident or a ThreadInfo, not {thread!r}"
            )
        ident = thread if isinstance(thread, int) else thread.ident
        record = self.records.get(ident)
        known = isinstance(thread, int) or (record and record.native_id == thread.native_id)
        if record is not None and known and not record.exited:
            return record
        if isinstance(thread, Thread) and (thread.is_alive() or ident is None):
            raise NotRegistered(
                f"{thread!r} is not registered with this freezer: {self.how_to_register}"
            )
        if record is None and not isinstance(thread, (int, Thread)) and _is_there(thread):
            raise NotRegistered(
                f"thread {thread.name!r} is not registered with this freezer: "
                f"{self.how_to_register}"
            )
        if isinstance(thread, int):
            raise NotRegistered(f"no registered thread has the ident {thread}")
        raise ThreadExited(f"thread {thread.name!r} has exited; nothing was asked of it")

    def _show(self) -> None:
        """Set the flag. Who sets it last has looked after that, and found it right.

        An exception may have kept it from looking, so that it looks again.
        """
        try:
            self._set_flag(mistaken=False)
        except BaseException:
            self._set_flag(mistaken=True)
            raise

    def _set_flag(self, mistaken: bool) -> None:
        """If it was, or may have been, down for a moment by mistake, all who have something to do
        are woken again."""
        while True:
            asked = self._is_asked()
            if asked:
                armed.registries[self] = None
            else:
                armed.registries.pop(self, None)
            for flagged in self.flagged:
                flagged.armed = asked or self.debug  # so that each safepoint is checked
            if self._is_asked() == asked:
                break
            mistaken = True
        if mistaken and asked:
            for record in list(self.records.values()):
                if record.is_asked:
                    record.call_waker()

    def _is_asked(self) -> bool:
        """Whether anybody is asked for anything."""
        # A pop takes the dict's own lock, so that a free-threaded build reads no older length.
        self.pending.pop(None, None)
        return bool(self.pending)
