"""What a thread is asked to stop for and whether it stands: one word, changed by compare-and-swap.

Each thread has one `Word`, whatever number of freezers it is enrolled with. Its value, a `Status`,
is never changed: whoever wants another one makes a new one out of it, and puts it behind the old
one if nothing is there yet. Of two who try at once one succeeds, and the other begins
again with what the first has made of it. So each step below is atomic, whoever takes it. ::

                 listed (any controller)
        --------------------------------------------+
       |                                            v
    RUNNING, freezes=()  <---- F is done ---  RUNNING, freezes=(F, ...)
       ^                   (whoever thaws)          |
       |                                            | parked (the thread, in a door)
       |                                            v
       +------------- the last of freezes   STANDS: stay is set  <----+
                      that holds it is done         |  calling        | answered (the thread)
                                                    +---------------->+ makes a world's call

* A freeze counts a thread as stopped if the very step that lists it finds a stay; or if it finds,
  after that step, that the thread is away (see `Record`).
* A stay ends when the last freeze is done that holds it. Freezes that are done stay listed until
  somebody takes a step: each step begins with `settled`, which drops them, and a stay with the last
  that held it; and who only reads reads it so. So it is all the same who thaws, how often, and when
  the next step comes; and a thaw is one store, for however many threads.
* Nothing can come between "nobody holds it" and "it runs". The thread leaves by a step of its own,
  that of a new freeze comes before it or after it. One that finds the stay held keeps it, and one
  that does not waits for the thread's next safepoint, although that may not have woken yet.

What this assumes of CPython: `dict.setdefault` with an int for a key is one operation. With a GIL
it is, since such a key hashes and compares in C; a free-threaded build does it under the dict's own
lock. No lock of ours is there to be left held by an asynchronous exception, or to be wanted by a
signal handler that has interrupted whoever holds it.

Reading does not take the dict's lock, and a free-threaded build counts an entry a moment before it
shows it. So a dict that is not empty may have nothing to get yet. Then its status is still the
value: the step that is to replace it has not been taken. Whoever tries a step of his own does find
it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from freezethreads._registry.places import Place
    from freezethreads._registry.requests import Freeze


class Stay:
    """One stay in the refrigerator. `closed` is what it happens in, that some freezes do not stop
    a thread in: they do not count it as stopped, and do not hold it (see `Freeze.spares`)."""

    __slots__ = ("begun", "closed", "interrupts", "place")

    def __init__(self, place: Place, closed: tuple[object, ...]) -> None:
        self.place = place
        self.closed = closed
        self.begun = False  # for the thread itself, which may come here twice
        self.interrupts = False  # whether it came as the thread was about to wait, or waited

    def is_held_by(self, freeze: Freeze) -> bool:
        """Whether it lasts until that freeze is done."""
        return not (freeze.done or (self.closed and freeze.spares(self.closed)))


class Status:
    """A value of words. `freezes` are what was asked of the thread, in order of arrival.

    `stay` is set while it stands, and `calling` while it makes a call for a world meanwhile.
    `commands` are the freezes for whose worlds it has the turn: it stops for nobody of these
    freezers until they are done.
    """

    __slots__ = ("calling", "commands", "freezes", "stay")

    def __init__(
        self,
        freezes: tuple[Freeze, ...] = (),
        stay: Stay | None = None,
        calling: bool = False,
        commands: tuple[Freeze, ...] = (),
    ) -> None:
        self.freezes = freezes
        self.stay = stay
        self.calling = calling
        self.commands = commands

    def commands_in(self, registry: object) -> bool:
        """Whether it has, or is about to have, a world of that freezer."""
        # A list, which costs less than a generator, and hardly anything where it is empty.
        return any([one.registry is registry and not one.done for one in self.commands])

    def stands_for(self, freeze: Freeze) -> bool:
        """Whether it counts as stopped for that freeze."""
        stay = self.stay
        if stay is None or self.calling or freeze.spares(stay.closed):
            return False
        return not self.commands_in(freeze.registry)

    def due(self, doors: Iterable[object], closed: tuple[object, ...]) -> Freeze | None:
        """The first freeze for which it has to stop at the doors of these freezers, or None. Those
        that spare whoever is in what is `closed` are passed."""
        for freeze in self.freezes:
            if freeze.done or freeze.registry not in doors or (closed and freeze.spares(closed)):
                continue
            if not (self.commands and self.commands_in(freeze.registry)):
                return freeze
        return None

    def holder(self) -> Freeze | None:
        """The first freeze that holds its stay, or None."""
        if self.stay is not None:
            for freeze in self.freezes:
                if self.stay.is_held_by(freeze):
                    return freeze
        return None


# A status, and what came after it in this word: under the key 0, if anything did.
Link: TypeAlias = "tuple[Status, dict[int, Link]]"


class Word:
    """A chain of statuses, whose last one is its value. From any thread."""

    __slots__ = ("_last",)

    def __init__(self) -> None:
        self._last: Link = (Status(), {})

    @property
    def value(self) -> Status:
        """What it is now, without what is done."""
        return settled(self.unsettled)

    @property
    def unsettled(self) -> Status:
        """The same with what is done, for whoever does not take that for more than it is: a stay in
        there may be over."""
        status, after = self._last
        return self._end()[0] if after else status

    def _end(self) -> Link:
        """The last link.

        `_last` is a hint: whoever was preempted may have put an older one there. Whoever follows
        the chain from it goes on from a new hint as soon as there is one. Otherwise he might never
        come to the end, if another thread changes the word as fast as he walks.
        """
        hint = link = self._last
        while link[1] and (following := link[1].get(0)) is not None:
            link = following
            if self._last is not hint:
                hint = link = self._last
        return link

    def reset(self) -> None:
        """In the child of a fork: nothing is asked. By its thread."""
        self._last = (Status(), {})  # and no step on a dict of before: see `inherited`

    def is_quiet(self) -> bool:
        """Whether nothing is asked; False also if somebody is changing it."""
        status, after = self._last
        if after:
            return False
        for freeze in status.freezes:  # noqa: SIM110 - a generator costs as much as all the rest
            if not freeze.done:
                return False
        return True

    def ask(self, asked: Status) -> Status:
        """Ask its thread to stop for the one freeze of `asked`, and return the value.

        That is the change `listed`. Where nothing else is asked the value is `asked` itself.
        """
        (status,) = ask_all([self], asked)
        return status

    def change(self, step: Callable[..., Status], *args: Any) -> Status:
        """Put `step(value, *args)` in the place of the value, and return what that is.

        May be repeated after an exception: a step that finds its work done returns the same value.
        It mends the hint, behind which an exception, or a thread that was slow, may have left it:
        else `is_quiet` would say False until there is something to change.
        """
        while True:
            hint = last = self._last
            if hint[1]:
                last = self._end()
            old, after = last
            new = step(old, *args)
            if new is old:
                if last is not hint and self._last is hint:
                    self._last = last
                return old
            link: Link = (new, {})
            if after.setdefault(0, link) is link:
                self._last = link
                return new


def ask_all(words: Iterable[Word], asked: Status) -> list[Status]:
    """Ask each of their threads to stop for the one freeze of `asked`, and return the values.

    There may be thousands of them, and nearly all have a value that asks for nothing any more: that
    of the one freeze before. So this is one loop that calls nothing for these, and they have
    `asked` in common.
    """
    values = []
    (freeze,) = asked.freezes
    over = None  # the last value that asked for nothing, as it never will again
    for word in words:
        old, after = word._last
        if old is not over and not old.commands:
            freezes = old.freezes
            if not freezes or (len(freezes) == 1 and freezes[0].done):
                over = old
        link: Link = (asked, {})
        if old is over and not after and after.setdefault(0, link) is link:
            word._last = link
            values.append(asked)
        else:
            values.append(word.change(listed, freeze))
    return values


def settled(old: Status) -> Status:
    """Without what is done; the stay ends with the last freeze that held it. By anybody."""
    if not old.commands and len(old.freezes) < 2:  # the usual case: it makes no more than is needed
        if not old.freezes and old.stay is None:
            return old
        if not old.freezes or old.freezes[0].done:
            return Status()
        if old.stay is None or old.stay.is_held_by(old.freezes[0]):
            return old
    freezes = tuple([freeze for freeze in old.freezes if not freeze.done])
    commands = tuple([freeze for freeze in old.commands if not freeze.done])
    is_same = len(freezes) == len(old.freezes) and len(commands) == len(old.commands)
    if is_same and (old.stay is None or old.holder() is not None):
        return old
    return _with(old, freezes, commands)


def _with(old: Status, freezes: tuple[Freeze, ...], commands: tuple[Freeze, ...]) -> Status:
    stay = old.stay
    if stay is not None and not any([stay.is_held_by(freeze) for freeze in freezes]):
        stay = None
    return Status(freezes, stay, old.calling and stay is not None, commands)


def listed(old: Status, freeze: Freeze) -> Status:
    """Asked to stop for `freeze`. By its controller, or by the thread itself."""
    old = settled(old)  # a stay that nobody holds is over
    if freeze in old.freezes or freeze.done:
        return old
    return Status((*old.freezes, freeze), old.stay, old.calling, old.commands)


def listed_anew(old: Status, freeze: Freeze) -> Status:
    """The same, and a new value in any case. By whoever has changed the thread's enrolment before.

    So whoever is about to take that freeze off, by what the enrolment was, has to look again.
    """
    new = listed(old, freeze)
    if new is old:
        new = Status(old.freezes, old.stay, old.calling, old.commands)
    return new


def unlisted(old: Status, left: Callable[[Freeze], bool]) -> Status:
    """Not asked any more to stop for those that are `left`. By anybody."""
    freezes = tuple([freeze for freeze in old.freezes if not left(freeze)])
    if len(freezes) == len(old.freezes):
        return old
    return _with(old, freezes, old.commands)


def parked(old: Status, stay: Stay, doors: Iterable[object]) -> Status:
    """Stands, if anything forbids to go through these doors. By the thread itself."""
    old = settled(old)
    if old.stay is not None or old.due(doors, stay.closed) is None:
        return old
    return Status(old.freezes, stay, False, old.commands)


def calling(old: Status, stay: Stay, world: Freeze) -> Status:
    """Makes a call for that world's freeze, if no other freezer holds it. By the thread itself.

    The world must still be there: the next one of its freezer is listed only when it is over, and
    would take the thread for one that stands.
    """
    old = settled(old)
    if old.stay is not stay or old.calling or world not in old.freezes:
        return old
    for freeze in old.freezes:
        if freeze.registry is not world.registry and stay.is_held_by(freeze):
            return old
    return Status(old.freezes, stay, True, old.commands)


def answered(old: Status, stay: Stay) -> Status:
    """Stands again after a call, unless its stay is over. By the thread itself."""
    old = settled(old)
    if old.stay is not stay or not old.calling:
        return old
    return Status(old.freezes, stay, False, old.commands)


def commanding(
    old: Status, freeze: Freeze, doors: Iterable[object], closed: tuple[object, ...]
) -> Status:
    """Commands `freeze` from now on, if it need not stop at these doors. By the thread itself."""
    old = settled(old)
    if freeze in old.commands or freeze.done or old.due(doors, closed) is not None:
        return old
    return Status(old.freezes, old.stay, old.calling, (*old.commands, freeze))
