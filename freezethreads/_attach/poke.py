"""Asking threads to run a script, by CPython's own protocol, and taking that back.

`sys.remote_exec` asks the main thread alone, which may sit in a `join()` for ever. The same request
can be put into each thread, and each makes it in itself when it next runs Python:

    1. the script's path is written into the thread's state
    2. `pending_call` is set
    3. a bit is set in its eval breaker, by which it looks

All is done while the process is stopped, so no thread sees half of it, and none ends meanwhile. A
thread takes `pending_call` back itself, before it opens the script.
"""

from __future__ import annotations

import fcntl
import os
import re
import stat
import struct
from collections.abc import Callable
from typing import Final

from freezethreads._attach.drop import PREFIX
from freezethreads._attach.errors import AttachError
from freezethreads._attach.target import Target
from freezethreads._attach.tracer import stopped

__all__ = ["poke", "take_back"]

_LOOK: Final = 1 << 5  # the bit that asks to stop for nothing, as `sys.remote_exec` sets
_PATH: Final = 512
_OURS: Final = re.compile(rf"/{PREFIX}[^/]+/script$")


def poke(target: Target, script: str, wanted: Callable[[int], bool]) -> int:
    """Ask those threads whose native id is wanted. Returns how many were. Raises `AttachError`.

    Who has another tool's script still to run is not asked. Raises `AttachError` if somebody else
    attaches, and lives.
    """
    with stopped(target.pid):
        states = list(target.threads())
        pending = {state: _pending(target, state) for state, _ in states}
        if any(_is_awaited(target.pid, other) for other in {*pending.values()} - {"", script}):
            raise AttachError(f"somebody else is attaching to process {target.pid} now: try again")
        asked = [
            state
            for state, native in states
            if wanted(native) and (not pending[state] or _OURS.search(pending[state]))
        ]
        for state in asked:
            target.write(state + target.offsets.script_path, os.fsencode(script) + b"\0")
            target.write(state + target.offsets.pending_call, struct.pack("<i", 1))
            breaker = state + target.offsets.eval_breaker
            bits = target.pointer(breaker)
            target.write(breaker, struct.pack("<Q", bits | _LOOK))
    return len(asked)


def take_back(target: Target, script: str) -> None:
    """Nobody runs that script from here on who has not begun. Raises `AttachError`, OSError."""
    with stopped(target.pid):
        for state, _ in target.threads():
            if _pending(target, state) == script:
                target.write(state + target.offsets.pending_call, struct.pack("<i", 0))


def _pending(target: Target, state: int) -> str:
    """The script that a thread has still to run, or ""."""
    (is_pending,) = struct.unpack("<i", target.read(state + target.offsets.pending_call, 4))
    if not is_pending:
        return ""
    path = target.read(state + target.offsets.script_path, _PATH)
    return os.fsdecode(path.partition(b"\0")[0])


def _is_awaited(pid: int, script: str) -> bool:
    """Whether it is one of ours, and the one who asked for it lives: who does keeps a lock on it.

    With the process stopped: whatever is there, this does not wait for it.
    """
    if not _OURS.search(script):
        return False
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW
    try:
        file = os.open(f"/proc/{pid}/root{script}", flags)
    except OSError:
        return False
    try:
        if not stat.S_ISREG(os.fstat(file).st_mode):
            return False
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(file)
    return False
