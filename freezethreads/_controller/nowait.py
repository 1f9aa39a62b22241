"""A freeze for a thread that must not wait, such as an event loop's.

`Freezer.freeze` waits twice: for the turn, and until all stand. Here the thread that is to have the
world takes the same steps whenever it is told that there may be something new, and does something
else in between. It alone takes them. So what holds for a controller that waits holds here:

* While it waits for what is outstanding, and until its turn, it runs, and others can stop it. A
  turn that comes while it is to stop passes on.
* From the moment when it asks others to stop until it is done, it is not stopped itself: of two
  threads that stop each other neither would come to thaw. It passes its safepoints. When the world
  is over, whoever thawed it, the thread is told that others may wait for it.
* The world ends with its thread.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from types import FrameType
from typing import TYPE_CHECKING

from freezethreads._controller.nobody import warn_of_mistakes
from freezethreads._controller.settling import (
    Unsettled,
    ask,
    ask_again,
    check_not_given_up,
    is_settled,
    seconds_to_wait,
)
from freezethreads._controller.world import Hold, World
from freezethreads._ground.arguments import (
    Where,
    check_callable,
    check_flag,
    check_request,
    check_settled,
    check_where,
)
from freezethreads._ground.completion import Bell
from freezethreads._ground.deadline import Deadline
from freezethreads._ground.errors import FreezeError
from freezethreads._refrigerator.unentered import tell_of_unentered
from freezethreads._registry.places import Place, place_of
from freezethreads._registry.record import logger
from freezethreads._registry.requests import Asked, Freeze

if TYPE_CHECKING:
    from freezethreads._freezer import Freezer


def asked_at(frame: FrameType) -> Place:
    """Where a program asks, which is in this frame."""
    return place_of(frame, "blocking", "freeze")


def tell_of_unasked(freezer: Freezer, place: Place) -> None:
    """Log that somebody was about to ask at `place`, and did not: a block that is not entered."""
    statement = "async with asyncio_loop.freeze():"
    tell_of_unentered(freezer._registry, "freeze()", place, "stops nobody", statement)


class Doorbell(Bell):
    """The bell of a thread that does not wait at it: calls a function instead."""

    __slots__ = ("_notify",)

    def __init__(self, notify: Callable[[], object]) -> None:
        super().__init__()
        self._notify = notify

    def ring(self) -> None:
        """Tell the thread to look again. From any thread."""
        try:
            self._notify()
        except Exception:  # noqa: BLE001 - an observer must not hurt
            logger.exception("%r, which was to be told of a freeze, raised", self._notify)


class FreezeRequest:
    """What the calling thread asks for as by `freezer.freeze(...)`, without waiting.

    Nothing is touched before the first `poll()`. `notify` is called, from any thread and also in
    signal handlers, each time `poll()` may have something new; it must not wait, and if it raises,
    that is logged and ignored. `place` is where the program asks. The other arguments and their
    errors are those of `Freezer.freeze`. Requests take turns with each other and with `freeze()`,
    also those of one thread; inside a world of one's own, call `freeze()`.
    """

    __slots__ = (
        "_commands",
        "_controller",
        "_deadline",
        "_freeze",
        "_hooks",
        "_lease",
        "_registry",
        "_tied",
        "_user",
    )

    def __init__(
        self,
        freezer: Freezer,
        notify: Callable[[], object],
        *,
        timeout: float | None = 20.0,
        reason: str = "",
        group: str | Sequence[str] = "",
        lease: float | None = None,
        settled: str | Iterable[str] = (),
        hooks: bool = True,
        place: Place | None = None,
    ) -> None:
        check_callable("notify", notify)
        check_flag("hooks", hooks)
        self._hooks = hooks
        self._deadline, reason, groups, self._lease = check_request(timeout, reason, group, lease)
        kinds = check_settled(settled)
        self._registry = freezer._registry
        self._controller = freezer._controller
        self._commands = False
        self._tied = False
        self._user = object()
        asked = Asked("freeze", groups, reason, kinds)
        self._freeze = ask(self._registry, asked, "safepoint", bell=Doorbell(notify))
        if place is not None:
            warn_of_mistakes(self._registry, self._freeze, place)

    def poll(self) -> World | None:
        """Go on as far as can be done without waiting; the world when all stand, None until then.

        By the thread that asked: first at once, then after each `notify`, and when `seconds` have
        passed, until it returns a world or raises. If a freeze asks that thread to stop before it
        has its turn, it stops here. Raises `FreezeTimeout`, which takes some 10 ms; `FreezeError`
        in a blocking region, or once it was given up. Whatever it raises, nobody is kept stopped
        then.
        """
        while True:
            try:
                return self._controller.or_give_up(self._freeze, self._user, self._poll)
            except Unsettled:
                self._freeze = ask_again(self._registry, self._freeze)
                self._commands = self._tied = False

    @property
    def seconds(self) -> float | None:
        """After how many seconds to `poll`, though nobody has notified; None: never. By its thread,
        after each `poll`."""
        seconds = seconds_to_wait(self._freeze, self._deadline.remaining())
        return None if seconds < 0 else seconds

    def _poll(self) -> World | None:
        if not self._commands and not self._freeze.done and self._may_queue():
            self._commands = self._take_turn()
        check_not_given_up(self._freeze, self._registry)
        if self._commands and self._controller.go_on(self._freeze, self._deadline) is None:
            world = World(self._registry, self._controller, self._freeze, self._user, self._lease)
            if self._hooks:
                world._prepare(self._deadline)
            return world
        return None

    def close(self) -> None:
        """Thaw, or give up: nobody is kept stopped by this any more. From any thread, repeatable.

        Others that share its world keep it standing, and the thread that asked cannot be stopped
        before the last of them is done.
        """
        self._controller.drop_user(self._freeze, self._user)

    def thaw_abandoned(self, why: str) -> None:
        """Let everybody go, since the thread that asked does not come. From any thread, repeatable.

        Should it have come all the same, its world's block ends in `FreezeError`.
        """
        self._controller.thaw_abandoned(self._freeze, "given up", why)

    def _may_queue(self) -> bool:
        """Whether nothing is outstanding that is to be settled. Tied to its thread from here on.

        FreezeTimeout at the deadline.
        """
        record = self._registry.own.record
        if record is not None and record.depth:
            raise FreezeError(
                "the calling thread is in a blocking region, and counts as stopped while it runs: "
                "leave a region before anything else can run in its thread"
            )
        if not self._tied:
            self._tied = True
            self._controller._tie(self._freeze)
        if self._freeze.before:
            return True  # not before these stand
        return is_settled(self._registry, self._freeze, self._deadline)

    def _take_turn(self) -> bool:
        """Queue up, and return whether it is this thread's turn. FreezeTimeout at the deadline."""
        freeze, turns = self._freeze, self._controller._turns
        # A freeze that asks once it is this thread's turn waits for it, and so for its thaw.
        return turns.take_nowait(freeze, self._deadline, sys._getframe(2))


class HoldRequest:
    """What `freezer.hold(...)` asks for, by a thread that has something to watch while it waits.

    The group is asked to stop at once, or, where something is outstanding that is to be settled, as
    soon as that is done and `wait` is called. For threads that are not registered: a registered one
    would have to count as stopped meanwhile. The arguments and their errors are those of
    `Freezer.hold`.
    """

    __slots__ = ("_deadline", "_freeze", "_freezer", "_hooks", "_lease", "_user")

    def __init__(
        self,
        freezer: Freezer,
        *,
        timeout: float | None = 20.0,
        reason: str = "",
        group: str | Sequence[str] = "",
        lease: float | None = None,
        where: Where | None = None,
        settled: str | Iterable[str] = (),
        hooks: bool = False,
    ) -> None:
        check_flag("hooks", hooks)
        self._hooks = hooks
        self._deadline, reason, groups, self._lease = check_request(timeout, reason, group, lease)
        where = check_where(where, freezer._registry.where)
        kinds = check_settled(settled)
        if freezer._registry.own.record is not None:
            raise FreezeError("the calling thread is registered: it is to call hold() itself")
        self._freezer = freezer
        self._user = object()
        self._freeze = freezer._ask("hold", groups, reason, where, kinds)
        freezer._controller.or_give_up(self._freeze, self._user, self._ask_first)

    def wait(self, seconds: float) -> Hold | None:
        """Wait for so long at most; the hold when all stand, None until then. By the same thread.

        Raises `FreezeTimeout` at the deadline, and `FreezeError` if somebody else has thawed. Who
        does not come back until there is a hold has to `give_up`. Whatever it raises, nobody is
        kept stopped then.
        """
        until = Deadline(seconds)
        while True:
            try:
                return self._freezer._controller.or_give_up(
                    self._freeze, self._user, lambda: self._wait(until)
                )
            except Unsettled:
                self._freeze = ask_again(self._freezer._registry, self._freeze)

    def _wait(self, until: Deadline) -> Hold | None:
        while (part := self._go_on(until)) is not None:
            if until.passed():
                return None
            seconds = self._deadline.within(until.remaining())
            part.bell.wait(seconds_to_wait(self._freeze, seconds))
        hold = Hold(
            self._freezer._registry,
            self._freezer._controller,
            self._freeze,
            self._user,
            self._lease,
        )
        if self._hooks:
            hold._prepare(self._deadline)
        return hold

    def _go_on(self, until: Deadline) -> Freeze | None:
        """Which part is to be waited for; None if all stand."""
        if not self._ask_first():
            return self._freeze
        return self._freezer._controller.go_on(self._freeze, self._deadline, until)

    def _ask_first(self) -> bool:
        """Whether the first group is asked, if only now."""
        freeze, registry = self._freeze, self._freezer._registry
        check_not_given_up(freeze, registry)
        first = freeze.parts[0]
        if first not in registry.active:
            if not freeze.before and not is_settled(registry, freeze, self._deadline):
                return False
            self._freezer._controller.ask(first)
        return True

    def give_up(self, error: BaseException) -> None:
        """Let everybody go, for that reason. From any thread; may be repeated."""
        self._freezer._controller.give_up(self._freeze, self._user, error)
