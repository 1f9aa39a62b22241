"""What the child of a fork may do with a dict or a deque that its parent's threads shared: next to
nothing.

A free-threaded build guards each of them with a lock of its own. CPython hands such a lock straight
to a thread that has waited for it for long, and if the process is forked before that thread runs,
the child has the lock for ever, and nobody to release it: three children of a hundred, where four
threads change one dict as fast as they can (3.13). Whatever takes the lock hangs there: to change
it, `list()`, `clear()`, `get()`. To walk over a dict takes none, if the thread has made it, or if
any other one has walked over it before.

So the child puts new ones in the place of those that other threads may have changed. What it needs
out of one of them it takes by walking over it, and before the fork `share` sees to that.
"""

from __future__ import annotations

from collections.abc import Iterable


def share(mapping: Iterable[object]) -> None:
    """Have the child of a fork able to walk over that dict. Before the fork, by who forks."""
    while True:
        try:
            next(iter(mapping), None)
            return
        except RuntimeError:  # another thread has changed it just now, and nothing was done
            pass
