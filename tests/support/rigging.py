"""Rigged marks: hooks at the step in which a thread says that it is away, or that it is back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from freezethreads._registry.record import Parking, Record


def rig_mark(
    marked: Record | Parking,
    *,
    after_set: Callable[[], object] | None = None,
    after_off: Callable[[], object] | None = None,
) -> None:
    """Have hooks called after the mark `away` of a record or a parking was set, or taken off."""
    kind = type(marked)
    slot: Any = vars(kind)["away"]

    def change(self: object, place: object) -> None:
        slot.__set__(self, place)
        hook = after_off if place is None else after_set
        if hook is not None:
            hook()

    rigged = {"__slots__": (), "away": property(slot.__get__, change)}
    marked.__class__ = type(kind.__name__, (kind,), rigged)
