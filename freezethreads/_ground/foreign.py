"""Python threads that `threading` does not know: C code has made them, or `_thread` alone.

All that Python tells of one is its ident, while it executes Python code. The number that the system
has for it is in the number of its clock. The C library reads that from memory that is the thread's
own: it must not end meanwhile. With a GIL it cannot, as long as nothing but C runs from the moment
when Python said that it executes code; without one nobody can ask.
"""

from __future__ import annotations

import sys
import time
from itertools import chain, tee
from operator import call
from typing import Any, Final, NoReturn

from freezethreads._ground import original
from freezethreads._ground.frames import HAS_GIL, current_frames, uncollected
from freezethreads._ground.original import Thread

_clock_of: Final[Any] = getattr(time, "pthread_getcpuclockid", None)
_IS_TOLD: Final = HAS_GIL and sys.platform.startswith("linux") and _clock_of is not None


class ForeignThread(Thread):
    """A Python thread that `threading` does not know, to be looked at.

    C code has made it (Qt, gRPC), or `_thread.start_new_thread`. ``ident`` is that of
    `threading.get_ident`, and ``native_id`` None where that is not known: it is told on Linux, with
    a GIL. It is alive while it executes Python code. It is not listed by `threading.enumerate`, and
    cannot be started or joined: RuntimeError. Two of the same thread are equal.
    """

    def __init__(self, ident: int) -> None:
        # Without the base's, which has `threading` keep account of it.
        self._initialized = True
        self._name = f"thread {ident}"
        self._daemonic = True
        self._ident = ident
        self._native_id = native_ids().get(ident)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}({self.ident}, native {self.native_id})>"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ForeignThread):
            return NotImplemented
        return (self.ident, self.native_id) == (other.ident, other.native_id)

    def __hash__(self) -> int:
        return hash(self.ident)

    def is_alive(self) -> bool:
        """Whether it executes Python code, if only in a call of C. From any thread."""
        return self.ident in current_frames()

    def start(self) -> NoReturn:
        """Raises RuntimeError."""
        raise RuntimeError("somebody else has started it")

    def join(self, timeout: float | None = None) -> NoReturn:
        """Raises RuntimeError."""
        raise RuntimeError("nobody is told of its end")


def native_ids() -> dict[int, int]:
    """The system's number of each thread that executes Python code, by ident. From any thread.

    Empty where nobody can tell.
    """
    return uncollected(_read_native_ids) if _IS_TOLD else {}


def _read_native_ids() -> dict[int, int]:
    # In one call of C: `list` has the frames looked up, and then asks for the clock of each.
    idents, same = tee(chain.from_iterable(map(call, [original.current_frames])))
    clocks = list(zip(idents, map(_clock_of, same), strict=True))
    # Linux makes the number of a thread's clock of the thread's own: MAKE_THREAD_CPUCLOCK.
    return {ident: ~(clock >> 3) for ident, clock in clocks}
