"""Looks: who may read the frames of other threads, which run without a GIL if they are let.

Nobody may touch the frames of a thread that runs: without a GIL the interpreter crashes over that
(python/cpython#152355). So whoever has arrived tells by itself what anybody may ask later, and only
a *look* reads frames of others: of those that have yet to arrive, all of which it has *claimed*::

                    it begins (the looker)
    not claimed ------------------------------> claimed, and asleep
         ^                                           |  it wakes
         |        the look has ended                 v
         +------------------------------------- claimed, and waits in the trap

                 it is made, or an exception leaves it (the looker)
    UNDER WAY ------------------------------------------------------------------> ENDED
        |        somebody has waited for `_PATIENCE`; or the looker itself          ^
        +-------- thaws in the middle, in a signal handler; or it is in a child ----+

Why nobody's frames are read while it runs. A look that has claimed its threads first takes hold of
a frame of each: the innermost one, or for who is in the trap the one to which it comes back
(`trap.inside`). Then it sees to it that nobody has had a processor since before the claim, nor
wants one. So each was asleep all the time, at that frame or above it in the trap. When one wakes it
executes nothing of that frame, and of those below it, before it comes to the trap, or to the end of
the trap; and there it waits for the end of the look, whatever has become of the freeze. It comes
there because the events are on: whoever switches them off (`trap.take_down`, `trap.end`) has said
so before, and then waits for the look as well. (Either the look finds that, or the other one finds
the look.) Who has another tool's callback on its stack, a tracer's say, has no events until that is
over: of such a thread nothing is known.

Why nobody waits for ever. A look is a few steps of the looker, and waits for nobody. What can come
in between is a signal handler in its thread, which may do anything, and an exception, with which it
ends. For a handler nobody waits longer than `_PATIENCE`; then the look is ended by whoever waits.
The looker finds that out before it reads another frame, and before it counts anybody: between the
test and the reading (or the counting) is no place where CPython looks for signals. If the handler
thaws it does not wait at all; and if it forks, there is nobody in the child to be looked at. A look
that an exception has cut short twice, so that nobody has ended it, is ended in the same way.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from types import CodeType, FrameType
from typing import Any, Final

from freezethreads._ground.original import RLock, get_ident, monotonic, sleep
from freezethreads._ground.uninterruptible import call_if_free

_PATIENCE: Final = 1.0  # seconds for which anybody waits for the end of a look: some hundred looks
_PAUSE: Final = 0.0002  # seconds between two of whether it has ended

# One thread looks at a time, since the interpreter makes the object of a frame that is asked for
# without a lock. Nobody waits for it. Nests in nothing.
_looking = RLock()


class LookEnded(Exception):
    """Raised in the looker: the look has been ended, and its threads may run."""


class Look:
    """One look of `bar` at the threads with these idents. Ended for good by anybody."""

    __slots__ = ("bar", "ended", "idents", "looker")

    def __init__(self, bar: object, idents: Collection[int]) -> None:
        self.bar = bar
        self.idents = idents
        self.looker = get_ident()
        self.ended = False

    def end(self) -> None:
        """Its threads are not claimed any more. From any thread; may be repeated."""
        self.ended = True
        under_way.pop(self, None)

    def wait(self) -> None:
        """Return when it has ended. From any thread."""
        until = monotonic() + _PATIENCE
        while not self.ended and self.looker != get_ident() and monotonic() < until:
            sleep(_PAUSE)
        self.end()

    def through(self, frame: FrameType) -> StillFrame:
        """What it may read of a frame of one of its threads. By the looker."""
        return StillFrame(frame, self)


# There is more than one if the looker looks in a signal handler again, in the middle of another.
under_way: dict[Look, None] = {}


def is_claimed(ident: int) -> bool:
    """Whether a look has claimed that thread."""
    return any([ident in look.idents for look in list(under_way)])


def wait_unclaimed(ident: int) -> None:
    """Return when no look has claimed the calling thread."""
    for look in list(under_way):
        if ident in look.idents:
            look.wait()


def wait_for_looks(bar: object | None) -> None:
    """Return when the looks of a bar have ended, that will begin none; None: those of all. From
    any thread."""
    for look in list(under_way):
        if bar is None or look.bar is bar:
            look.wait()


def make(bar: object, idents: Collection[int], call: Callable[[Look], bool]) -> bool:
    """Return `call(look)`, made while these threads are claimed; False if that cannot be now, or if
    somebody ends the look."""
    return call_if_free(_looking, lambda: _make(Look(bar, idents), call), False)


def _make(look: Look, call: Callable[[Look], bool]) -> bool:
    """Called with _looking held."""
    try:
        under_way[look] = None
        result = call(look)
        look.end()
        return result
    except BaseException as error:
        look.end()
        if isinstance(error, LookEnded):
            return False
        raise


class StillFrame:
    """A frame of a thread that a look has claimed. Whatever is asked of it raises `LookEnded` when
    the look has ended. By the looker."""

    # (No call between the two steps of each: after one CPython looks for signals.)

    __slots__ = ("_frame", "_look")

    def __init__(self, frame: FrameType, look: Look) -> None:
        self._frame = frame
        self._look = look

    @property
    def f_code(self) -> CodeType:
        if self._look.ended:
            raise LookEnded
        return self._frame.f_code

    @property
    def f_lasti(self) -> int:
        if self._look.ended:
            raise LookEnded
        return self._frame.f_lasti

    @property
    def f_globals(self) -> Mapping[str, Any]:
        if self._look.ended:
            raise LookEnded
        return self._frame.f_globals

    @property
    def f_builtins(self) -> Mapping[str, Any]:
        if self._look.ended:
            raise LookEnded
        return self._frame.f_builtins

    @property
    def f_locals(self) -> Mapping[str, Any]:
        """A copy."""
        if self._look.ended:
            raise LookEnded
        return {**self._frame.f_locals}

    @property
    def f_back(self) -> StillFrame | None:
        if self._look.ended:
            raise LookEnded
        back = self._frame.f_back
        return None if back is None else StillFrame(back, self._look)


def reset() -> None:
    """In the child of a fork: nobody looks, nor did the thread that is there now."""
    global _looking
    for look in list(under_way):
        look.end()
    _looking = RLock()
