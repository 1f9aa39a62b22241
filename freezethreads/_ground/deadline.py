"""Durations and deadlines: seconds as float on the monotonic clock, None for ever."""

from __future__ import annotations

import math
from functools import partial
from typing import Final, NamedTuple

from freezethreads._ground import original
from freezethreads._ground.original import TIMEOUT_MAX, RLock
from freezethreads._ground.uninterruptible import call_with

_LOOK: Final = 0.05  # seconds between two looks at a deadline that does not come nearer, at least

# An object of our own: tests that set the clock (with freezegun) put theirs wherever they find the
# function itself, also in modules that have it from here, and on theirs no deadline ever comes.
monotonic = partial(original.monotonic)


def check_seconds(name: str, value: float | None, *, positive: bool = False) -> float | None:
    """Return `value` as a float, or None; raise TypeError or ValueError if it is no duration."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{name} must be a number of seconds or None, not {value!r}")
    seconds = float(value)
    if math.isnan(seconds) or seconds < 0 or (positive and seconds == 0):
        least = "more than 0" if positive else "0 or more"
        raise ValueError(f"{name} must be {least} seconds, or None for ever, not {value!r}")
    return seconds


class _Clock(NamedTuple):
    """What deadlines take off the monotonic clock: ``skipped`` seconds, and, if it is not None, all
    since ``stopped_at``. Never changed, but replaced."""

    skipped: float
    stopped_at: float | None


_clock = _Clock(0.0, None)

# Who has it stopped, and the lock that guards this dict and `_clock`. Nothing else is done under
# it. (Deadlines read `_clock` without it, once each time.)
_stops: dict[object, None] = {}
_lock = RLock()


def stop_clock(why: object) -> None:
    """Have no deadline that there is by now come nearer, until `start_clock`. From any thread.

    `why` is whatever names this stop to `start_clock`; several may overlap. May be repeated. One
    that is made meanwhile sees the monotonic clock as it is: a thread that runs, and sleeps for a
    second, has to come back.
    """
    call_with(_lock, lambda: _stop(why))


def start_clock(why: object) -> None:
    """Let the deadlines go on from where they were. From any thread; may be repeated.

    Whoever waits for one has to look again: if the monotonic clock has jumped backwards, it waits
    in C for too long.
    """
    call_with(_lock, lambda: _start(why))


def reset_clock() -> None:
    """In the child of a fork: nobody else would start it, and another thread may have the lock."""
    global _lock
    _lock = RLock()
    for why in list(_stops):
        _start(why)


def _stop(why: object) -> None:
    """Called with _lock held."""
    global _clock
    _stops[why] = None
    if _clock.stopped_at is None:
        _clock = _Clock(_clock.skipped, monotonic())


def _start(why: object) -> None:
    """Called with _lock held."""
    global _clock
    _stops.pop(why, None)
    if not _stops and _clock.stopped_at is not None:
        _clock = _Clock(_clock.skipped + monotonic() - _clock.stopped_at, None)


class Deadline:
    """A moment on the monotonic clock, or never. Immutable; may be asked from any thread.

    The time for which the clock is stopped does not count: see `stop_clock`.
    """

    __slots__ = ("_at", "_made")

    def __init__(self, seconds: float | None) -> None:
        self._made = _clock
        self._at = None if seconds is None else monotonic() + seconds

    def remaining(self) -> float:
        """Seconds left, at least 0, in the form that `lock.acquire(timeout=...)` takes.

        That is -1 for ever, and never more than the platform's longest wait: a loop that
        waits for this long and looks again waits correctly.
        """
        if self._at is None:
            return -1.0
        left = max(self._at - self._now(), 0.0)
        if left and self._is_stopped():
            left = max(left, _LOOK)
        return min(left, TIMEOUT_MAX)

    def within(self, seconds: float) -> float:
        """The same, but no more than so many: there is something to look for before."""
        left = self.remaining()
        return seconds if left < 0 else min(seconds, left)

    def passed(self) -> bool:
        """Whether the moment has come."""
        return self._at is not None and self._now() >= self._at

    def _now(self) -> float:
        """The time on the clock that this was made by."""
        clock, made = _clock, self._made
        stopped_at = None if clock is made else clock.stopped_at
        now = monotonic() if stopped_at is None else stopped_at
        return now - (clock.skipped - made.skipped)

    def _is_stopped(self) -> bool:
        return _clock is not self._made and _clock.stopped_at is not None
