"""Before all are asked: a freeze waits until what is outstanding of its kinds is done.

Nobody is asked to stop meanwhile, since anybody may be the one to finish it; but who would begin
more waits at a safepoint (`_refrigerator.gathering`). ::

           count is 0                      all stand, and the count is 0
    WAITS ------------> asks (`controller`) -----------------------------> STANDS
      ^                    |
      +--------------------+
        the count has risen: everybody is let go

Of a freeze that has let everybody go nothing is left, and the next try is another one (`Unsettled`
says so to whoever makes it): so a thread that was stopped for the first can finish what it has, and
there is one way alone in which a freeze ends. It queues for its turn anew. And it asks nobody for a
while: whoever is about to add, and would wait at its next safepoint, could otherwise be late for
that each time. Where nobody waits so that is time lost. So for as long again each try asks at once,
and the next pause is twice as long.

A freeze that waits here is listed as `settling`, and its bell rings when a count changes. It stays
listed until it stands, or is over.

Of several groups all but the last are asked before it waits: those who would begin more stand by
then, and those who finish it go on. So it waits with its turn.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Final

from freezethreads._ground.arguments import Where
from freezethreads._ground.completion import Bell
from freezethreads._ground.deadline import Deadline
from freezethreads._ground.errors import FreezeError, FreezeTimeout
from freezethreads._ground.original import monotonic
from freezethreads._machine.bar import Bar
from freezethreads._refrigerator.refrigerator import wait_away
from freezethreads._registry.places import Place, place_of
from freezethreads._registry.registry import Registry
from freezethreads._registry.requests import Asked, Freeze

_SHORTEST: Final = 0.002  # seconds for which the second try asks nobody
_LONGEST: Final = 1.0  # seconds for which any try does


class Unsettled(FreezeError):
    """Something of the kinds that are to be settled was added before all stood. Nobody sees it."""


def ask(
    registry: Registry, asked: Asked, where: Where, tries: int = 0, bell: Bell | None = None
) -> Freeze:
    """A freeze that has yet to be made, and may have been `Unsettled` so often.

    Whoever asks is rung at `bell` (None: a new one).
    """
    freeze = Freeze(registry, asked, tries, bell)
    if where != "safepoint":
        for part in freeze.parts:
            part.bar = Bar(part, registry, where)
    return freeze


def ask_again(registry: Registry, freeze: Freeze) -> Freeze:
    """The next try of one that was `Unsettled`."""
    again = ask(registry, freeze.asked, freeze.where, freeze.tries + 1, freeze.bell)
    if freeze.where == "safepoint":  # else nobody gathers
        length, over = freeze.pace or (0.0, None)
        if over is None or over.passed():
            length = min(2 * length, _LONGEST) or _SHORTEST
            again.not_before, over = Deadline(length), Deadline(2 * length)
        again.pace = length, over
    return again


def check_not_own(registry: Registry, freeze: Freeze) -> None:
    """Raise `FreezeError` if the calling thread is itself in the middle of something that it would
    wait for. By its controller."""
    for outstanding in registry.outstanding_for(freeze.asked):
        if outstanding._is_own():
            raise FreezeError(
                f"this thread is itself inside outstanding({outstanding.kind!r}), and would wait "
                "for that to be done: leave the block before"
            )


def settle_away(
    registry: Registry,
    freeze: Freeze,
    deadline: Deadline,
    place: Place,
    let_go: Callable[[], object] = int,
) -> None:
    """Wait until its kinds are settled, as a stopped thread. By its controller.

    Raises `FreezeTimeout` at the deadline. `let_go` is called if the wait raises, before the thread
    may have to stop.
    """

    def wait() -> None:
        try:
            settle(registry, freeze, deadline)
        except BaseException:
            let_go()
            raise

    if not is_settled(registry, freeze, deadline):
        wait_away(registry, place, wait)


def settle(registry: Registry, freeze: Freeze, deadline: Deadline) -> None:
    """The same, as a thread that does not count as stopped."""
    while not is_settled(registry, freeze, deadline):
        freeze.bell.wait(seconds_to_wait(freeze, deadline.remaining()))


def seconds_to_wait(freeze: Freeze, seconds: float) -> float:
    """For how long its controller may wait for a ring, if it is for so many seconds at most (-1:
    for ever). By its controller."""
    early = 0.0 if freeze.not_before is None else freeze.not_before.remaining()
    return seconds if early <= 0 else early if seconds < 0 else min(early, seconds)


def check_not_given_up(freeze: Freeze, registry: Registry) -> None:
    """Raise FreezeError if somebody else has ended it before it stood. By its controller.

    Where that was the end of the main thread, a daemon has nobody to tell: its error would be
    printed if it is quick, and not if the interpreter is. So it waits for the end of the process,
    and counts as stopped, since threads that are no daemons go on.
    """
    if not freeze.done:
        return
    if freeze.ended_by == "exit" and freeze.asked.thread.daemon:
        place = place_of(sys._getframe(1), "blocking", "the end of the process")
        wait_away(registry, place, wait_for_the_end)
    raise FreezeError(f"{freeze!r} was given up, and everybody was let go")


def wait_for_the_end() -> None:
    """Wait for ever."""
    Bell().wait()


def is_settled(registry: Registry, freeze: Freeze, deadline: Deadline) -> bool:
    """Whether nothing of its kinds is outstanding, and it may ask. If not, its bell rings when that
    may be so, or `seconds_to_wait` tells when.

    By its controller. Raises `FreezeTimeout` at the deadline; `FreezeError` if somebody else has
    ended it.
    """
    if not freeze.asked.settled:
        return True
    check_not_given_up(freeze, registry)
    if freeze not in registry.settling:
        registry.announce(freeze)  # so that safepoints look
        registry.settling[freeze] = None
    left = registry.outstanding_for(freeze.asked)
    if left and deadline.passed():
        raise unsettled(registry, freeze)
    may_ask = freeze.not_before is None or freeze.not_before.passed() or deadline.passed()
    return not left and may_ask


def check_settled_still(registry: Registry, freeze: Freeze, deadline: Deadline) -> None:
    """Raise `Unsettled` if something was added since, or `FreezeTimeout` from the deadline on.

    By its controller, before all stand: nothing need be settled for a part.
    """
    if freeze.asked.settled and freeze.whole is freeze and registry.outstanding_for(freeze.asked):
        if deadline.passed():
            raise unsettled(registry, freeze)
        raise Unsettled(f"{freeze!r} begins anew")


def unsettled(registry: Registry, freeze: Freeze) -> FreezeTimeout:
    """The time ran out, and this is what for: what is outstanding, or always was again."""
    waited = monotonic() - freeze.asked.at
    left = registry.outstanding_for(freeze.asked)
    what = ", ".join(f"{each.count} of {each.kind!r} outstanding" for each in left)
    if not left:
        kinds = ", ".join(map(repr, sorted(freeze.asked.settled)))
        what = f"something of {kinds} was added each time before all stood ({freeze.tries} tries)"
    error = FreezeTimeout(
        f"{what} after {waited:.3g} s for {freeze!r}; everybody was let go, and nothing stays armed"
    )
    error._advice = (
        "Have what is outstanding finished, and done() called for it. Where there is always more, "
        "have those who add pass safepoints, or stop their group before the others: "
        "`freeze(group=[..., ''], settled=...)`. "
        "Of several groups those who finish it belong to the last one."
    )
    return error
