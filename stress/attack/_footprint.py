"""What this process has open, and what it needs: nothing of that may grow."""

from __future__ import annotations

import gc
import os
import resource
import sys
import threading
import time
from pathlib import Path

from freezethreads.testing import Violation

GROWTH = 150_000
"""Blocks of memory that Python may have more in the end, for modules and caches. A leak in each of
250,000 messages is more."""
EVERY = 0.5
"""Seconds between two looks at the memory."""
_MIB = 1024 * 1024


class Footprint:
    """The threads and descriptors at the time that this is made, and the memory since then.

    Python's blocks are judged, and the process's memory is only told: what was large once leaves
    holes behind, which an allocator may keep.
    """

    def __init__(self) -> None:
        self._threads, self._descriptors = _threads(), _descriptors()
        self._blocks = sys.getallocatedblocks()
        self._memory: list[float] = []
        self._looked = 0.0

    def look(self) -> None:
        """Note the memory, unless that was done just now. By one thread at a time."""
        if time.monotonic() - self._looked >= EVERY:
            self._looked = time.monotonic()
            self._memory.append(_memory() / _MIB)

    def check(self, patience: float) -> str:
        """Return what it was and is. Raises `Violation` if anything has grown.

        Threads that end, and what they have open, are waited for as long as `patience`.
        """
        gc.collect()
        limit = time.monotonic() + patience
        while self._grown() and time.monotonic() < limit:
            time.sleep(0.01)
        if grown := self._grown():
            raise Violation(f"there were {grown}")
        blocks = sys.getallocatedblocks()
        if blocks - self._blocks > GROWTH:
            raise Violation(f"there were {self._blocks} blocks of memory, and now {blocks}")
        memory = ", ".join(f"{mib:.0f}" for mib in self._memory[:: max(1, len(self._memory) // 9)])
        return (
            f"{self._threads} threads, {self._descriptors} descriptors, "
            f"{self._blocks} and {blocks} blocks, {memory} MiB"
        )

    def _grown(self) -> str:
        """What is more than it was, or ""."""
        threads, descriptors = _threads(), _descriptors()
        if threads > self._threads:
            names = ", ".join(thread.name for thread in threading.enumerate())
            return f"{self._threads} threads, and now {threads}: {names}"
        if descriptors > self._descriptors:
            return f"{self._descriptors} open descriptors, and now {descriptors}"
        return ""


def _threads() -> int:
    """All, where the system tells; else those that Python knows of."""
    try:
        return len(os.listdir("/proc/self/task"))
    except FileNotFoundError:
        return threading.active_count()


def _descriptors() -> int:
    return len(os.listdir("/dev/fd")) - 1


def _memory() -> int:
    """Bytes of memory; the most that there ever were, where the system does not tell."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except FileNotFoundError:
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most if sys.platform == "darwin" else most * 1024
    return pages * os.sysconf("SC_PAGE_SIZE")
