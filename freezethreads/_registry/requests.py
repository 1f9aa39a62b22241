"""What a controller asks of a group of threads: a `Freeze`. It stands in the word of each of them.

See `status` for the word, and `_controller.controller` for a freeze's life.
"""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Final, Literal, Protocol, TypeAlias

from freezethreads._ground.arguments import Where, covers
from freezethreads._ground.completion import Bell, Completion
from freezethreads._ground.deadline import Deadline
from freezethreads._ground.original import current_thread, get_ident, get_native_id, monotonic
from freezethreads._registry.todos import ABSENT, Todo
from freezethreads._registry.unfinished import Unfinished, with_all_above

if TYPE_CHECKING:
    from freezethreads._controller.hooks import Unwinding
    from freezethreads._controller.lease import Lease
    from freezethreads._registry.places import Place
    from freezethreads._registry.record import Record


Ending: TypeAlias = Literal["thaw", "lease", "thread gone", "dropped", "given up", "exit", "fork"]
"""What ended a freeze: its thaw, also of one that did not come to stand; its lease; the end of its
thread; that nobody referred to it; somebody in its place; the end of the main thread; a fork."""


class Barring(Protocol):
    """What a freeze of the second engine has besides: see `_machine.bar`. `stopped` says where each
    thread is that has arrived, by its ident."""

    stopped: dict[int, Place]
    where: Where

    def take_down(self) -> None: ...

    def follow(self, record: Record) -> None: ...


class Asked:
    """What a controller has asked for, and who that is. Made by its thread, and never changed.

    `groups` are stopped in their order. `settled` are the kinds of `pending()` in which nobody is
    stopped for it.
    """

    __slots__ = ("at", "groups", "ident", "kind", "native_id", "reason", "settled", "thread")

    def __init__(
        self,
        kind: str,
        groups: tuple[str, ...] = ("",),
        reason: str = "",
        settled: frozenset[str] = frozenset(),
    ) -> None:
        self.kind: Final = kind
        self.groups: Final = groups
        self.reason: Final = reason
        self.settled: Final = settled
        self.thread: Final = current_thread()
        self.ident: Final = get_ident()
        self.native_id: Final = get_native_id()
        self.at: Final = monotonic()

    def __repr__(self) -> str:
        why = f" for {self.reason!r}" if self.reason else ""
        return f"<{self.kind}{self._of_groups()} by {self.thread.name}{why}>"

    def _of_groups(self) -> str:
        if self.groups == ("",):
            return ""
        several = "s" if len(self.groups) > 1 else ""
        return f" of group{several} {', '.join(map(repr, self.groups))}"

    def covers(self, group: str) -> bool:
        """Whether a thread of `group` is meant, sooner or later: one of the groups, or below it."""
        return any([covers(each, group) for each in self.groups])

    def settles(self, kind: str) -> bool:
        """Whether nobody stands for it in a `pending()` region of that kind."""
        return not self.settled.isdisjoint(with_all_above(kind))

    def is_by(self, record: Record) -> bool:
        """Whether `record` is the thread that has asked; idents alone are used again."""
        return self.ident == record.ident and self.native_id == record.native_id


class Freeze:
    """One request to stop a group of threads: the same object stands in every member's word.

    Made by its controller, of whose freezer `registry` is.

    *What was asked*: `asked`, and of that `group`; and `bar`, which is None if it stops threads at
    their doors alone. None of these ever changes. Where several groups are asked for, each has a
    freeze of its own, and that of the last group is the `whole`, which all else is about: it has
    the turn and the users, and its end ends the `parts` before it. All have one bell.

    *Who is awaited*: `members` are whom it was posted to, `awaited` those of them that have not
    stopped yet; the last one of these rings `bell`, and then it has `stood_at` a time. `newcomers`
    are those whom somebody has moved into its group since: it does not wait for them, and they run
    until their next safepoint.

    `gathered` are the bells of threads that wait for it to ask them, by ident: see
    `_refrigerator.gathering`.
    `tries` is how often it was begun before, and let everybody go, since something was not settled.

    *The turn*: `users` are the worlds that stand on it, each with the place where it was asked for,
    if that is known (freezing again inside one's own world adds one), with their `leases`, and the
    `calls` that they make. `keeps_turn` is its thread's own: see `_controller.turns`.

    *How it ended*: it is `done` when it was thawed, or given up; it holds nobody any more. A moment
    later `completion` wakes those who stood for it. `ended_by` says what it was that ended it.
    `unwinding` is None unless hooks were called for it, which are undone before.
    """

    __slots__ = (
        "__weakref__",
        "asked",
        "awaited",
        "bar",
        "before",
        "bell",
        "calls",
        "completion",
        "done",
        "ending",
        "gathered",
        "group",
        "keeps_turn",
        "leases",
        "members",
        "newcomers",
        "not_before",
        "pace",
        "part_of",
        "registry",
        "stood_at",
        "tries",
        "unwinding",
        "users",
    )

    def __init__(
        self,
        registry: object,
        asked: Asked,
        tries: int = 0,
        bell: Bell | None = None,
        part: tuple[Freeze, str] | None = None,
    ) -> None:
        self.registry = registry
        self.asked = asked
        self.tries = tries
        self.bell = Bell() if bell is None else bell
        self.part_of: Final = weakref.ref(part[0]) if part else None
        self.group: Final = part[1] if part else asked.groups[-1]
        self.before: tuple[Freeze, ...] = ()
        if part is None:
            parts = [(self, group) for group in asked.groups[:-1]]
            self.before = tuple([Freeze(registry, asked, tries, self.bell, each) for each in parts])
        self.bar: Barring | None = None
        self.members: dict[Record, None] = {}
        self.awaited: dict[Record, None] = {}
        self.newcomers: dict[Record, None] = {}
        self.gathered: dict[int, Bell] = {}
        self.not_before: Deadline | None = None
        self.pace: tuple[float, Deadline] | None = None
        self.stood_at: float | None = None
        self.users: dict[object, Place | None] = {}
        self.leases: dict[Lease, None] = {}
        self.calls: dict[Todo, None] = {}
        self.keeps_turn = False
        self.done = False
        self.completion = Completion()
        self.ending: dict[int, Ending] = {}
        self.unwinding: Unwinding | None = None

    def __repr__(self) -> str:
        at = "" if self.part_of is None else f" at {self.group!r}"
        return f"{self.asked!r}{at}"

    @property
    def whole(self) -> Freeze:
        """What it is a part of; itself, unless it is for one of several groups before the last.

        (Or if nobody refers to the whole any more: a part does not keep it alive.)
        """
        whole = None if self.part_of is None else self.part_of()
        return self if whole is None else whole

    @property
    def parts(self) -> tuple[Freeze, ...]:
        """Of a whole: that of each group, in order, and itself as the last."""
        return (*self.before, self)

    def covers(self, group: str) -> bool:
        """Whether it asks a thread of `group`: the same group or one below it."""
        return covers(self.group, group)

    def all_members(self) -> list[Record]:
        """Of a whole: whom all of its parts were posted to. From any thread."""
        return list(dict.fromkeys([record for one in self.parts for record in list(one.members)]))

    def part_with(self, record: Record) -> Freeze:
        """Of a whole: the last of its parts that was posted to that thread; itself if none was."""
        return next((one for one in reversed(self.parts) if record in one.members), self)

    @property
    def ended_by(self) -> Ending | None:
        """What ended it, or is about to; None: nothing yet. From any thread."""
        return self.ending.get(0)

    @property
    def made_at(self) -> Place | None:
        """Where it was asked for, if that is known. From any thread."""
        return next(filter(None, list(self.whole.users.values())), None)

    def end_by(self, ending: Ending) -> None:
        """Say what ends it, unless something else was first. From any thread; may be repeated."""
        self.ending.setdefault(0, ending)  # one operation: see `status`

    @property
    def stands(self) -> bool:
        """Whether all have stopped for it, and it was not thawed."""
        return self.stood_at is not None and not self.done

    @property
    def where(self) -> Where:
        """Where it stops threads."""
        return "safepoint" if self.bar is None else self.bar.where

    def lasts_for(self, user: object) -> bool:
        """Whether a lease of that user still counts: it is not done with it, or all are, and hooks
        are being undone."""
        if user in self.users:
            return True
        return self.unwinding is not None and (not self.users or self.unwinding.is_begun)

    def spares(self, closed: tuple[object, ...]) -> bool:
        """Whether it neither counts nor holds a thread that is in these: a freezer stands for its
        `no_freeze()`. One that has a bar looks itself before it counts anybody."""
        for each in closed:
            if type(each) is not Unfinished:
                spares = each is self.registry
            else:
                spares = self.bar is None and self.minds(each)
            if spares:
                return True
        return False

    def minds(self, region: Unfinished) -> bool:
        """Whether it stops nobody in that region of `pending()`."""
        return region.registry is self.registry and not self.asked.settled.isdisjoint(region.kinds)

    def ring_gathered(self) -> None:
        """Have those look who wait for it to ask. From any thread; may be repeated."""
        for bell in list(self.gathered.values()):
            bell.ring()

    def end_in_child(self) -> None:
        """In the child of a fork: whoever waits for it, or in it, or for a call of its world, is to
        wait no longer. (See `inherited`.) Nor is anybody asked for what it is a part of."""
        for one in self.whole.parts:
            one._end_in_child()

    def _end_in_child(self) -> None:
        self.end_by("fork")
        self.done = True
        self.completion.end_in_child()
        calls = self.calls
        self.members, self.awaited, self.newcomers = {}, {}, {}
        self.leases, self.gathered, self.calls = {}, {}, {}
        for call in calls:
            call.orphan()
        if self.unwinding is not None:
            self.unwinding.cancel()
        self.bell.ring()

    def arrive(self, record: Record) -> bool:
        """Note that `record` stopped, or exited; the last one wakes the controller.

        From any thread, and may be repeated. Returns whether it had been waited for.
        """
        was_awaited = self.awaited.pop(record, ABSENT) is not ABSENT
        if not self.awaited:
            self.bell.ring()
        return was_awaited
