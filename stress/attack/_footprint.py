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

GROWTH = 24.0
"""MiB by which the last third of a run may need more, at its least, than the one before."""
EVERY = 0.5
"""Seconds between two looks at the memory."""
_MIB = 1024 * 1024
_LEAST = 60  # looks, for a verdict on the memory: what was large once leaves holes behind


class Footprint:
    """The threads and descriptors at the time that this is made, and the memory since then."""

    def __init__(self) -> None:
        self._threads, self._descriptors = _threads(), _descriptors()
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
        third = len(self._memory) // 3
        middle, last = self._memory[third : 2 * third], self._memory[-third:]
        if len(self._memory) >= _LEAST:
            before, after = min(middle), min(last)
            if after - before > GROWTH:
                raise Violation(f"there were {before:.0f} MiB, and now {after:.0f}")
        memory = ", ".join(f"{mib:.0f}" for mib in self._memory[:: max(1, third // 3)])
        return f"{self._threads} threads, {self._descriptors} descriptors, {memory} MiB"

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
