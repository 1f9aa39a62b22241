"""Interrupting a thread where CPython could, and looking for what there is no event for."""

from __future__ import annotations

import dis
import time
from collections import Counter
from collections.abc import Callable, Iterator
from threading import get_ident
from types import CodeType

from helpers import WAIT
from injection import DISABLE, Injection, Listener, of_code

OFTEN = 2
"""How many visits to one bytecode are interrupted, each in a run of its own."""


class Interruption(Injection):
    """An injection where CPython interrupts a thread, and nowhere else.

    It looks for signals and asynchronous exceptions in the first instruction of a function, at the
    end of a call, and in each jump backwards. (A few more are left out, which CPython has outside
    of a `try` whose lines they are in: what does nothing, and what returns.)
    """

    def listener(self) -> Listener:
        listen, ident = super().listener(), get_ident()
        visits: Counter[tuple[int, int]] = Counter()

        def visit(code: CodeType, offset: int) -> object:
            if offset not in interruptible(code):
                return DISABLE
            if get_ident() != ident:
                return None
            visits[id(code), offset] += 1
            return listen(code, offset) if visits[id(code), offset] <= OFTEN else None

        return visit


@of_code
def interruptible(code: CodeType) -> Iterator[int]:
    """The offsets of the instructions before which an exception is to be raised."""
    after_call = False
    for each in dis.get_instructions(code):
        if each.opname in _PASSED_OVER:
            continue  # and what comes next is what is after the call
        if (after_call and each.opname not in _RETURNS) or each.opname.startswith(_LOOKS):
            yield each.offset
        after_call = each.opname.startswith("CALL")


_LOOKS = ("RESUME", "JUMP_BACKWARD")
_PASSED_OVER = ("NOP", "NOT_TAKEN", "CACHE")
_RETURNS = ("RETURN_VALUE", "RETURN_CONST")


def until(condition: Callable[[], bool]) -> None:
    """Look until `condition()` holds. For what there is no event for."""
    deadline = time.monotonic() + WAIT
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0)
