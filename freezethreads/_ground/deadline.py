"""Durations and deadlines: seconds as float on the monotonic clock, None for ever."""

from __future__ import annotations

import math
from functools import partial

from freezethreads._ground import original
from freezethreads._ground.original import TIMEOUT_MAX

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


class Deadline:
    """A moment on the monotonic clock, or never. Immutable; may be asked from any thread."""

    __slots__ = ("_at",)

    def __init__(self, seconds: float | None) -> None:
        self._at = None if seconds is None else monotonic() + seconds

    def remaining(self) -> float:
        """Seconds left, at least 0, in the form that `lock.acquire(timeout=...)` takes.

        That is -1 for ever, and never more than the platform's longest wait: a loop that
        waits for this long and looks again waits correctly.
        """
        if self._at is None:
            return -1.0
        return min(max(self._at - monotonic(), 0.0), TIMEOUT_MAX)

    def passed(self) -> bool:
        """Whether the moment has come."""
        return self._at is not None and monotonic() >= self._at
