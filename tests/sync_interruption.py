"""Interrupting a thread where CPython could, and looking for what there is no event for."""

from __future__ import annotations

import dis
import functools
import threading
import time
from collections import Counter
from collections.abc import Callable
from types import CodeType

from helpers import WAIT
from injection import Injection

OFTEN = 2
"""How many visits to one bytecode are interrupted, each in a run of its own."""


class Interruption(Injection):
    """An injection that passes over some of the instructions which CPython never interrupts.

    Those are the ones that no `try` of a function covers, though their lines are in it.
    """

    def __init__(self, at: int) -> None:
        super().__init__(at)
        self._visits: Counter[tuple[CodeType, int]] = Counter()

    def reach(self, code: CodeType, offset: int) -> None:
        if threading.get_ident() == self._ident and offset not in uncovered(code):
            self._visits[code, offset] += 1
            if self._visits[code, offset] <= OFTEN:
                super().reach(code, offset)


@functools.cache
def uncovered(code: CodeType) -> frozenset[int]:
    """The offsets of what does nothing, returns, or loads a constant in order to return it."""
    offsets: list[int] = []
    returns = False
    for each in reversed(list(dis.get_instructions(code))):
        returns = each.opname.startswith("RETURN_") or (returns and each.opname == "LOAD_CONST")
        if returns or each.opname == "NOP":
            offsets.append(each.offset)
    return frozenset(offsets)


def until(condition: Callable[[], bool]) -> None:
    """Look until `condition()` holds. For what there is no event for."""
    deadline = time.monotonic() + WAIT
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0)
