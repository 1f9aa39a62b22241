"""Regions that are made and never entered: `blocking("nap")` for `with blocking("nap"):`.

Nothing is wrong with such a line but that it does nothing. Only the end of the object can tell, and
a finalizer costs a seventh of a region. So this is for debug mode and Python's development mode;
but a guard of forks, of which a program has few, and which looks like `install()`, always tells.
"""

from __future__ import annotations

import sys

from freezethreads._ground.files import is_own
from freezethreads._registry.places import Place, place_of
from freezethreads._registry.registry import Registry, warn_if_quiet
from freezethreads._report.ownership import where


class Made:
    """That a region was made, where, and by which call. It tells as it dies with its region, unless
    that was `entered`.

    Made by the region, for the program that has called into this library.
    """

    __slots__ = ("_call", "_effect", "_place", "_registry")

    def __init__(self, registry: Registry, call: str, effect: str) -> None:
        self._registry, self._call, self._effect = registry, call, effect
        frame = sys._getframe(1)
        while frame.f_back is not None and is_own(frame.f_code.co_filename):
            frame = frame.f_back
        self._place: Place | None = place_of(frame, "blocking", None)

    def entered(self) -> None:
        """There is nothing to tell. May be repeated."""
        self._place = None

    def __del__(self) -> None:
        place: Place | None = getattr(self, "_place", None)  # it may have been cut short
        if place is not None:
            tell_of_unentered(self._registry, self._call, place, self._effect)


def tell_of_unentered(
    registry: Registry, call: str, place: Place, effect: str, statement: str = ""
) -> None:
    """Log that what `call` returned at `place` was never entered, unless the interpreter ends.

    `statement` is what to write, if that is not `with` and the call.
    """
    if not sys.is_finalizing():
        statement = statement or f"with {registry.called}.{call}:"
        warn_if_quiet(
            f"{call} at {where(place)} was never entered, and {effect}; write `{statement}`"
        )
