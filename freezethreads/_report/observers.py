"""Who is told of the thaws that a freezer made in a controller's place: tools that tidy up.

The log says the same, for people. Nothing depends on what is logged, which a program may silence.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from freezethreads._registry.record import logger

if TYPE_CHECKING:
    from freezethreads._registry.requests import Freeze

Observer = Callable[["Freeze", str], object]

# Of any freezer. Adding and removing are one operation each, so no lock guards it.
observers: dict[Observer, None] = {}


def tell_observers(freeze: Freeze, why: str) -> None:
    """Tell them all which freeze was thawed, and why. In the thread that thaws.

    One that raises is reported and dropped.
    """
    for observer in list(observers):
        try:
            observer(freeze, why)
        except Exception:  # noqa: BLE001 - an observer must not hurt
            observers.pop(observer, None)
            logger.exception("the observer %r raised, and is dropped", observer)
