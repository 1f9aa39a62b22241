"""What somebody is told who interrupts a program that was frozen from outside: with Ctrl-C, say.

Nothing but the thaw lets a thread out, so the KeyboardInterrupt is dealt with after it. Whoever
presses Ctrl-C waits for that, perhaps for a whole lease, and has to know what for.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from freezethreads._ground.original import OwnThread, getpid, monotonic
from freezethreads._ground.text import clean, tell_stderr

if TYPE_CHECKING:
    from freezethreads._registry.requests import Freeze


def tell_interrupted(freezes: Iterable[Freeze]) -> None:
    """Say on stderr which of these came from outside, until when it stands, and how to thaw it.

    Of the program's own nothing is said: it is in the middle of something.
    """
    for freeze in freezes:
        if isinstance(freeze.asked.thread, OwnThread) and not freeze.done:
            tell_stderr(clean(_line(freeze)))
            break


def _line(freeze: Freeze) -> str:
    seconds = monotonic() - (freeze.stood_at or freeze.asked.at)
    left = [lease.remaining() for lease in list(freeze.whole.leases)]
    until = f", for {min(left):.1f} s more" if left else ""
    return (
        f"freezethreads: interrupted, but {freeze!r} has stood for {seconds:.1f} s{until}. "
        f"The interrupt comes after the thaw: `freezethreads thaw {getpid()}`"
    )
