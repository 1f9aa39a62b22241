"""Threads that `threading` does not know: one that `_thread` starts, and one that C code makes."""

from __future__ import annotations

import _thread
import ctypes
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from freezethreads._ground.original import current_frames
from helpers import wait_until

_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p)
_LIBRARY = ctypes.CDLL(None)


class Foreign(NamedTuple):
    """Who it is, by its own word."""

    ident: int
    native_id: int
    end: Callable[[], None]  # may be repeated


def _start_raw(work: Callable[[], None]) -> Callable[[], None]:
    """Returns what waits for its end."""
    ident = _thread.start_new_thread(work, ())
    return lambda: wait_until(lambda: ident not in current_frames())


def _start_in_c(work: Callable[[], None]) -> Callable[[], None]:
    def call(_: object) -> int:
        work()
        return 0

    callback = _CALLBACK(call)
    thread = ctypes.c_ulong()
    assert not _LIBRARY.pthread_create(ctypes.byref(thread), None, callback, None)

    def join() -> None:
        # The callback lives for as long as this function, which waits for the thread.
        assert callback is not None
        _LIBRARY.pthread_join(thread, None)

    return join


KINDS = {"by _thread": _start_raw, "by C": _start_in_c}


@contextmanager
def foreign(
    kind: str = "by _thread", *, body: Callable[[], object] | None = None
) -> Iterator[Foreign]:
    """One that waits until the block is left; or calls `body` again and again meanwhile."""
    begun, over, said = _thread.allocate_lock(), _thread.allocate_lock(), []
    begun.acquire()
    over.acquire()
    ended: list[bool] = []

    def work() -> None:
        said.append((_thread.get_ident(), _thread.get_native_id()))
        begun.release()
        while body is not None and not ended:
            body()
        over.acquire()

    def end() -> None:
        if not ended:
            ended.append(True)
            over.release()
            wait()
            # Up to Python 3.12 what stands there for one that has asked for itself stays, and would
            # be taken for the next that gets its ident.
            threading._active.pop(said[0][0], None)  # type: ignore[attr-defined]

    wait = KINDS[kind](work)
    begun.acquire()
    try:
        yield Foreign(*said[0], end)
    finally:
        end()
