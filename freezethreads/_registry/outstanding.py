"""`outstanding()`: unfinished business that no thread has in its hands, counted by kind.

A request that was sent and has no answer yet, a job on its way between two queues. A freeze that is
to find such a kind *settled* waits for its count to be 0, with nobody stopped, since anybody may be
the one to finish it; and if it rises again before all stand, lets everybody go and waits anew
(`_controller.settling`).

Who changes a count does so, and then looks whether a freeze is `settling`. A controller lists its
freeze there, and then looks at the counts. So one of the two sees what the other did, and no
change is missed by whoever waits for one.

No lock guards it, since signal handlers count as well. What was added is as much as there is in a
deque, and the blocks that are entered are the keys of a dict, which compare by identity: to append,
extend and pop, and to set and pop a key, is one operation each, which a free-threaded build does
under the object's own lock. Of the two lengths each only says what was there at some moment; a
count that moves from one to the other is nobody's.
"""

from __future__ import annotations

from collections import deque
from itertools import repeat
from typing import TYPE_CHECKING

from freezethreads._ground.arguments import check_count
from freezethreads._ground.errors import FreezeError
from freezethreads._ground.original import local
from freezethreads._ground.uninterruptible import covered
from freezethreads._ground.unique import Given

if TYPE_CHECKING:
    from freezethreads._registry.registry import Registry


class _Own(local):
    """What the calling thread has to do with one count: the blocks that it is in, and whether it
    has ever begun anything of that kind, and done what was added."""

    def __init__(self) -> None:
        self.blocks: list[object] = []
        self.begins = False
        self.finishes = False


class Outstanding(Given):
    """What is outstanding of one kind. Got from `Freezer.outstanding`; each kind has one.

    ``kind`` is its name. A context manager, too: one more is outstanding while a ``with`` block
    over it lasts, which its thread has to leave itself.
    """

    _IS = "the count of a kind, of which a freezer has one"
    _WRITE = "freezethreads.outstanding(kind)"

    __slots__ = ("_added", "_blocks", "_own", "_registry", "kind")

    def __init__(self, registry: Registry, kind: str) -> None:
        self._registry = registry
        self._added: deque[None] = deque()
        self._blocks: dict[object, None] = {}
        self._own = _Own()
        self.kind: str = kind

    def __repr__(self) -> str:
        return f"<Outstanding {self.kind!r}, {self.count}>"

    @property
    def count(self) -> int:
        """How many there are now. From any thread."""
        return len(self._added) + len(self._blocks)

    def add(self, n: int = 1) -> None:
        """So many more are outstanding. From any thread, also in a signal handler.

        TypeError or ValueError unless `n` is a whole number from 1 on.
        """
        self._added.extend(repeat(None, check_count("n", n)))
        self._own.begins = True
        self._tell()

    def done(self, n: int = 1) -> None:
        """So many of those that were added are finished. From any thread, also in a signal handler.

        Raises ValueError if so many are not outstanding, and nothing was changed; TypeError or
        ValueError unless `n` is a whole number from 1 on.
        """
        self._own.finishes = True
        for taken in range(check_count("n", n)):
            try:
                self._added.pop()
            except IndexError:
                self._added.extend(repeat(None, taken))
                self._tell()
                raise ValueError(
                    f"{n} of {self.kind!r} cannot be done: {taken} that were added are outstanding"
                ) from None
        self._tell()

    def __enter__(self) -> None:
        block, own = object(), self._own.blocks
        self._own.begins = True
        try:
            own.append(block)
            self._blocks[block] = None
            self._tell()
        except BaseException:
            self._blocks.pop(block, None)
            if block in own:
                own.remove(block)
            raise

    @covered
    def __exit__(self, *exc_info: object) -> None:
        try:
            self._finish()
            del self._own.blocks[-1]  # the last step
        except BaseException:
            if self._own.blocks:  # else there was nothing to leave
                self._finish()
                del self._own.blocks[-1]
            raise

    def _finish(self) -> None:
        """Count the innermost block of the calling thread no more. May be repeated."""
        own = self._own.blocks
        if not own:
            raise FreezeError(f"this thread has not entered outstanding({self.kind!r})")
        self._blocks.pop(own[-1], None)
        self._tell()

    def _is_own(self) -> bool:
        """Whether the calling thread is in a block of it."""
        return bool(self._own.blocks)

    def _only_begins(self) -> bool:
        """Whether the calling thread begins things of this kind, and none waits for it to finish
        one, as far as is known from what it has done."""
        return self._own.begins and not (self._own.blocks or self._own.finishes)

    def _tell(self) -> None:
        """Have those look again who wait for kinds to be settled."""
        for freeze in list(self._registry.settling):
            freeze.bell.ring()
            freeze.ring_gathered()

    def _reset(self) -> None:
        """In the child of a fork: what is left are the blocks of the calling thread."""
        self._added = deque()
        self._blocks = dict.fromkeys(self._own.blocks)
