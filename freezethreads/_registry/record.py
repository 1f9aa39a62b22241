"""What the freezer knows of one thread, and how it learns of the thread's end.

A thread has one `Parking`, and a `Record` for each freezer with which it is enrolled. Where it is
away from the application's code, one of the two says so:

* `Record.away`: it is in a blocking region of that freezer.
* `Parking.away`: it is in a freezable wait, which counts for all of its freezers but those in whose
  `no_freeze()` it is.
* the stay in `Parking.word`: it stands in the refrigerator, which counts likewise.

None of these counts for a freeze that spares what the thread is in. What that is stands in the
place, or in the stay, itself: who read that the thread is away, and then looked what it is in,
might find that it has come back since, and left it.

The first two are written by the thread alone, and a controller meets them in this way: it lists its
freeze in the word, and then looks at `away`; the thread clears `away`, and then looks into its
word. Whoever comes second sees what the other did. So either the controller sees that the
thread is away, and the thread finds the freeze before it runs any of the application's code; or the
controller waits for it. Never neither. The same holds the other way about: the thread sets
`away`, and then looks for a freeze that waits to hear of it.

What this assumes of CPython: storing into a slot is one operation, and the two that meet are seen
in one order by all. With a GIL they are. A free-threaded build stores under the object's own lock,
whose release is a sequentially consistent exchange, as is that of the dict in `Word.change`.
"""

from __future__ import annotations

import logging
import operator
import sys
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Protocol

from freezethreads._ground.completion import Bell, Completion
from freezethreads._ground.frames import current_frames
from freezethreads._ground.original import (
    Thread,
    current_thread,
    get_ident,
    get_native_id,
    getpid,
    local,
)
from freezethreads._registry.places import Place, bell_of, closed_at
from freezethreads._registry.requests import Freeze
from freezethreads._registry.states import State
from freezethreads._registry.status import Status, Word
from freezethreads._registry.todos import Todo, TodoList
from freezethreads._registry.unfinished import Unfinished, strangers

if TYPE_CHECKING:
    from freezethreads._registry.registry import Registry

logger = logging.getLogger("freezethreads")


class PassesOn(Protocol):
    """A wait that gives others what it was woken for, when its thread is parked instead.

    `occupied` says that the thread does something else before it looks.
    """

    occupied: bool

    def pass_on(self) -> None: ...


class Parking:
    """What a thread has one of, with however many freezers it is enrolled. Written by it alone.

    `shut`, if not 0, keeps all doors of all freezers closed: the library counts it up while it does
    what a signal handler must not stop in the middle. `waiter` is the freezable wait that the
    thread is in, or on its way out of, and `plain` is how often it asked for plain waits.
    `unfinished` are its `pending()` regions. `entered` is the completion at which it stands, and
    `gathering` the bell at which it waits to be asked (see `_refrigerator.gathering`).
    `calls` are what worlds ask of it while it stands, each with its freeze: anybody adds to them.
    `waker` is that of each enrolment that brings none: it wakes what the thread runs for now.
    """

    __slots__ = (
        "away",
        "bell",
        "calls",
        "entered",
        "gathering",
        "members",
        "plain",
        "shut",
        "unfinished",
        "waiter",
        "waker",
        "word",
    )

    def __init__(self) -> None:
        self.word = Word()
        self.unfinished: tuple[Unfinished, ...] = ()
        self.bell = Bell()
        self.away: Place | None = None
        self.shut = 0
        self.plain = 0
        self.waiter: PassesOn | None = None
        self.waker: Callable[[], object] | None = None
        self.entered: Completion | None = None
        self.gathering: Bell | None = None
        self.calls: dict[Todo, Freeze] = {}
        self.members: tuple[tuple[Registry, Record], ...] = ()

    def add(self, registry: Registry, record: Record) -> None:
        """Note an enrolment, and forget those that ended. May be repeated."""
        others = (one for one in self.members if one[1] is not record and not one[1].exited)
        self.members = (*others, (registry, record))

    def remove(self, record: Record) -> None:
        """Forget it. May be repeated."""
        self.members = tuple(member for member in self.members if member[1] is not record)


class _Here(local):
    """The calling thread's."""

    def __init__(self) -> None:
        self.parking = Parking()


here = _Here()


class Record:
    """One enrolment. `away`, `depth`, `shut`, `last` are written by its thread alone; `ran` too,
    until whoever takes the count over at its end puts it back to 0.

    `depth` counts the blocking regions that it is in, and `shut` the regions of `no_freeze()`;
    `shut_at` is where the outermost of these was entered, for reports. It is `away` if and only
    if it is in a region and not shut; `region` keeps that place while a `no_freeze()` suspends
    it. `implicit` says that an installation enrolled it, and that its own `register()` goes before
    that.
    """

    __slots__ = (
        "away",
        "depth",
        "exited",
        "group",
        "ident",
        "implicit",
        "last",
        "name",
        "native_id",
        "parking",
        "ran",
        "region",
        "registry",
        "shut",
        "shut_at",
        "thread",
        "todo",
        "waker",
    )

    def __init__(
        self,
        registry: Registry,
        name: str | None,
        group: str,
        waker: Callable[[], object] | None,
        thread: Thread | None = None,
        parking: Parking | None = None,
    ) -> None:
        """Of the calling thread; or of another one that is not registered, with a parking that is
        not its own, as nobody but itself can get at that."""
        self.registry = registry
        self.thread: Thread = thread or current_thread()
        self.ident = get_ident() if thread is None else thread.ident or 0
        self.native_id = get_native_id() if thread is None else thread.native_id or 0
        self.name = self.thread.name if name is None else name
        self.group = group
        self.implicit = False
        self.todo: TodoList = {}
        self.parking = parking or here.parking
        self.waker = self.parking.waker if waker is None else waker
        self.away: Place | None = None
        self.depth = 0
        self.shut = 0
        self.shut_at: Place | None = None
        self.region: Place | None = None
        self.exited = False
        self.last: Place | None = None
        self.ran = 0

    def __repr__(self) -> str:
        return f"<Record of {self.name} ({self.ident}), {self.state.name}>"

    def has_stopped(self, status: Status, freeze: Freeze) -> bool:
        """Whether `freeze` need not wait for it. From any thread: list the freeze, then ask.

        `status` is what its word is since the freeze was listed, or since it commands no more.
        """
        if self.exited:
            return True
        if status.commands and status.commands_in(self.registry):
            return False
        place = self.away or self._waits_at
        if place is not None:
            closed = closed_at(place)
            if not closed or not freeze.spares(closed):
                return True
        return status.stay is not None and status.stands_for(freeze)

    @property
    def is_away(self) -> bool:
        """Whether it is in a region or a wait that counts here. From any thread."""
        return self.away is not None or self._waits_at is not None

    @property
    def _waits_at(self) -> Place | None:
        """The freezable wait that it is in, if that counts here. From any thread.

        What is `shut` now need not have been when the wait was looked at: that the place itself
        says. (`shut` is for a signal handler in the middle of a wait.)
        """
        place = self.parking.away
        if place is None or self.shut or self.registry in closed_at(place):
            return None
        return place

    @property
    def stopped(self) -> bool:
        """Whether it runs nothing of the application, and cannot before a freeze that asks it
        to stop is done. From any thread.

        A thread that is not away and that a standing freeze covers is on its way through this
        library, from a blocking region into the refrigerator; or it took that hold itself. Only one
        that was moved into that group meanwhile may run.
        """
        status = self.parking.word.value
        if self.is_away:
            return True
        if status.stay is not None and self.registry not in status.stay.closed:
            return True
        for freeze in status.freezes:
            is_meant = freeze.registry is self.registry and not freeze.asked.is_by(self)
            if is_meant and freeze.stands and self not in freeze.newcomers:
                return True
        return False

    @property
    def state(self) -> State:
        """From any thread; true at some moment during the call."""
        if self.exited:
            return State.EXITED
        if not self.stopped:
            return State.RUNNING
        return State.FROZEN if self.is_asked_to_stop else State.BLOCKED

    @property
    def is_asked_to_stop(self) -> bool:
        """Whether there is a freeze that it must not run before. From any thread."""
        parking = self.parking
        return parking.word.value.due((self.registry,), parking.unfinished) is not None

    @property
    def is_asked(self) -> bool:
        """Whether anything at all is asked of it. From any thread."""
        return bool(self.todo) or not self.parking.word.is_quiet()

    @property
    def commands(self) -> bool:
        """Whether it has a world, or waits for all to stop for one. From any thread.

        It stops for nobody then: whoever asks it to may stand frozen in that very world, and never
        come to thaw. Its regions do not count either. So another freeze waits for its thaw.
        """
        return self.parking.word.value.commands_in(self.registry)

    @property
    def place(self) -> Place | None:
        """Where it stands, or None if it runs. From any thread."""
        stay = self.parking.word.value.stay
        if stay is not None and self.registry not in stay.closed:
            return stay.place
        away = self.away or self._waits_at
        if away is not None:
            return away
        for freeze in self.parking.word.value.freezes:
            stopped_at = None if freeze.bar is None else freeze.bar.stopped.get(self.ident)
            if stopped_at is not None and not freeze.done:
                return stopped_at
        return self.last if self.stopped else None

    @property
    def unfinished(self) -> list[Unfinished]:
        """What its thread has unfinished, where it stands or else just now. From any thread.

        (A thread that leaves a region of `pending()` may stand before the last step of that.) A
        stranger's parking need not be known to its record.
        """
        parking = strangers.get(self.ident, self.parking)
        stay, place = parking.word.value.stay, self.away or parking.away
        inside: tuple[object, ...] = parking.unfinished
        if stay is not None:
            inside = stay.closed
        elif place is not None:
            inside = closed_at(place)
        return [one for one in inside if type(one) is Unfinished]

    def is_dead(self) -> bool:
        """Whether the thread has ended, even if nobody was told. Asked at deadlines only."""
        return self.exited or not self.thread.is_alive() or self.ident not in current_frames()

    def rouse(self) -> None:
        """Wake it from a freezable wait, so that it looks at its list. From any thread.

        Put something on the list, then call this.
        """
        place = self.parking.away
        bell = None if place is None else bell_of(place)
        if bell is not None:
            bell.ring()

    def call_waker(self) -> None:
        """Tell the thread that something is on its list. A waker that raises is reported."""
        if self.waker is None:
            return
        try:
            self.waker()
        except Exception:
            logger.exception("the waker of thread %r raised, and is ignored", self.name)


class Lifeline:
    """Dies with its thread's locals, and then does something: notices a thread's end.

    It works for every thread that runs Python code, however it was started and however it ended.
    """

    __slots__ = ("_end",)

    def __init__(self, at_end: Callable[..., object], *args: object) -> None:
        self._end: Callable[[], object] = partial(_end_unless_over, getpid(), at_end, args)

    def cut(self) -> None:
        """It has nothing to do any more. By its thread; may be repeated.

        From here on its end is a function of C: a thread that goes on gets no exception from
        others in there, where it would be printed and lost.
        """
        self._end = int

    __del__ = property(operator.attrgetter("_end"))


def _end_unless_over(
    pid: int,
    at_end: Callable[..., object],
    args: tuple[object, ...],
    _is_over: Callable[[], bool] = sys.is_finalizing,
) -> None:
    # In the child of a fork, the locals of all other threads die before anything is in order.
    # At the interpreter's end nobody is left who could be told, and a free-threaded build may
    # have handed a dict's lock to a daemon thread that does not run any more.
    if pid == getpid() and not _is_over():
        at_end(*args)
