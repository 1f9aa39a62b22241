"""Where CPython says where what is: the table of offsets at the start of its runtime's data.

It is published for tools (`pycore_debug_offsets.h`, PEP 768). Its own layout is that of a version,
the same in each bug-fix release. A field below is a byte position in the table; what is there is
the position of the thing in its structure.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

__all__ = ["COOKIE", "LAYOUTS", "Layout", "Offsets"]

COOKIE: Final = b"xdebugpy"
VERSION: Final = 8
FREE_THREADED: Final = 16
_PATH_SIZE: Final = 512  # what every version has, and what a wrong table would not say
_MOST: Final = 1 << 24  # no structure is as large


@dataclass(frozen=True)
class Layout:
    """The byte positions in a version's table of what is asked for here."""

    native_thread_id: int
    debugger_support: int
    """Where its last part begins, which has the same fields in each version."""

    interpreters_head: int = 40
    interpreter_id: int = 56
    interpreter_next: int = 64
    threads_head: int = 72
    thread_next: int = 192

    @property
    def size(self) -> int:
        return self.debugger_support + 48


LAYOUTS: Final = {
    (3, 14): Layout(native_thread_id=224, debugger_support=712),
    (3, 15): Layout(native_thread_id=248, debugger_support=840),
}


class Offsets:
    """The table of one process. Raises ValueError if it does not say what its version would."""

    def __init__(self, table: bytes, layout: Layout) -> None:
        def value(position: int) -> int:
            (found,) = struct.unpack_from("<Q", table, position)
            if not 0 <= found < _MOST:
                raise ValueError(f"offset {found} at {position}")
            return int(found)

        self.interpreters_head = value(layout.interpreters_head)
        self.interpreter_id = value(layout.interpreter_id)
        self.interpreter_next = value(layout.interpreter_next)
        self.threads_head = value(layout.threads_head)
        self.thread_next = value(layout.thread_next)
        self.native_thread_id = value(layout.native_thread_id)
        last = layout.debugger_support
        self.eval_breaker = value(last)
        support = value(last + 8)
        self.enabled = value(last + 16)
        self.pending_call = support + value(last + 24)
        self.script_path = support + value(last + 32)
        if value(last + 40) != _PATH_SIZE:
            raise ValueError(f"a path of {value(last + 40)} bytes")
