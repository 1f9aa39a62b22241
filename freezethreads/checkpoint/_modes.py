"""The two ways from a stopped world to something durable.

*Inline*: the payload is taken and detached from the live objects, for which the default
store pickles it, while all stand still; after the thaw the store writes it. The pause is as long as
that takes; the disk is not in it.

*Fork*: while all stand still the process is forked, and nothing else. The child has a copy of
the whole heap, in which nobody moves, so it takes and saves there, and the pause is the fork's
own. On two cores, with a dict of a million entries, that was 5 ms, against 180 ms inline; on a
free-threaded 3.13 from 5 to 120 ms. For a small payload it is the other way round: a fork
costs 1 to 3 ms, and pickling a thousand entries 0.05 ms.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from freezethreads import Freezer, FreezeTimeout, ThreadInfo, World
from freezethreads._ground.deadline import Deadline
from freezethreads._ground.original import monotonic, sleep
from freezethreads.checkpoint._child import start_child
from freezethreads.checkpoint._errors import ForkUnsafe
from freezethreads.checkpoint._payload import check_payload
from freezethreads.checkpoint._store import Store
from freezethreads.checkpoint._turn import Turn

__all__ = ["ForkMode", "InlineMode", "Mode", "Snapshot"]

logger = logging.getLogger("freezethreads.checkpoint")


@dataclass(frozen=True)
class Snapshot:
    """What was got while all stood still. The world runs again."""

    waited: float
    frozen: float
    save: Callable[[], int | None]
    """Makes it durable, and returns its size in bytes if that is known."""


class Mode:
    """What both ways share. Used by one thread at a time."""

    fork_safe: bool
    """Whether a child can be forked while a thread is in this mode's `save`."""

    def __init__(
        self, freezer: Freezer, store: Store, take: Callable[[], Any], what: Mapping[str, Any]
    ) -> None:
        self._freezer = freezer
        self._store = store
        self._take = take
        self._what = what

    def snap(self, turn: Turn, deadline: Deadline, at_end: ExitStack) -> Snapshot:
        """Stop the world, take the turn, get hold of the payload, thaw.

        What has to go when it was saved, or was not, is left with `at_end`.
        """
        raise NotImplementedError

    @contextmanager
    def _frozen(self, turn: Turn, deadline: Deadline) -> Iterator[World]:
        """A world, with the turn."""
        while True:
            turn.wait(deadline)
            left = deadline.remaining()
            with self._freezer.freeze(
                timeout=None if left < 0 else left, reason="checkpoint", **self._what
            ) as world:
                if turn.take_nowait():
                    yield world
                    return


class InlineMode(Mode):
    """Take and detach while all stand still, save afterwards."""

    fork_safe = False  # a save may be in the middle of the store's C library

    def snap(self, turn: Turn, deadline: Deadline, at_end: ExitStack) -> Snapshot:
        """As above."""
        with self._frozen(turn, deadline) as world:
            stood = monotonic()
            payload = self._store.detach(check_payload(self._take()))
        return Snapshot(world.waited, monotonic() - stood, partial(self._store.save, payload))


class ForkMode(Mode):
    """Fork while all stand still; the child takes and saves."""

    fork_safe = True  # to wait for a child is to read a pipe

    def __init__(
        self,
        freezer: Freezer,
        store: Store,
        take: Callable[[], Any],
        what: Mapping[str, Any],
        save_timeout: float | None,
    ) -> None:
        super().__init__(freezer, store, take, what)
        self._save_timeout = save_timeout
        self._warned = False

    def snap(self, turn: Turn, deadline: Deadline, at_end: ExitStack) -> Snapshot:
        """As above; ForkUnsafe if the world never stood in a way that lets a child run.

        A thread in a blocking region may hold a lock of a C library that the child would wait for.
        If it only passes through, it will be elsewhere the next time.
        """
        pause, refused = 0.001, None
        while True:
            try:
                return self._fork(turn, deadline, at_end)
            except ForkUnsafe as error:
                turn.give()
                refused = error
                if 0 <= deadline.remaining() <= pause:
                    raise
            except FreezeTimeout as error:
                if refused is None:
                    raise
                raise refused from error  # for the last try there was no time left
            # Fork-safe: it sleeps.
            with self._freezer.blocking("checkpoint: waiting to fork", fork_safe=True):
                sleep(pause)
            pause = min(2 * pause, 0.1)

    def _fork(self, turn: Turn, deadline: Deadline, at_end: ExitStack) -> Snapshot:
        with self._frozen(turn, deadline) as world:
            stood = monotonic()
            unsafe = [info for info in world.threads if info.site and not info.site.fork_safe]
            if unsafe:
                raise ForkUnsafe(_refusal(unsafe))
            strangers = [] if self._warned else _strangers(world)
            with _keeping_out(self._store, deadline.within(_PATIENCE)) as kept:
                if not kept:
                    raise ForkUnsafe(_IN_STORE)
                child = start_child(self._save, at_end)
        frozen = monotonic() - stood
        if strangers:
            self._warned = True
            logger.warning(_WARNING, ", ".join(strangers))
        return Snapshot(world.waited, frozen, partial(child.wait, self._save_timeout))

    def _save(self) -> int | None:
        return self._store.save(check_payload(self._take()))


@contextmanager
def _keeping_out(store: Store, seconds: float) -> Iterator[bool]:
    """Whether, as far as the store knows, nobody is in a call of it, nor begins one in the block.

    Whoever is in one goes on while all stand: in a blocking region, or without being registered.
    """
    keep_out = getattr(store, "_keeping_out", None)
    if keep_out is None:
        yield True
    else:
        with keep_out(seconds) as kept:
            yield kept


def _strangers(world: World) -> list[str]:
    """The names of the threads that nobody has stopped, without those of this library."""
    return [thread.name for thread in world.unregistered]


_PATIENCE = 0.25  # seconds that a world stands, at most, since somebody is in a call of the store

_IN_STORE = (
    "not forked: until the deadline another thread was in a call of the store whenever all stood, "
    "and a child would wait for what that thread has locked. Everybody was thawed, and the "
    "checkpoint before stays"
)

_WARNING = (
    "forked while unregistered threads were running: %s. If one of them held a lock that the child "
    "needs (of a C library, or one that take() or the store acquires), the child hangs until "
    "save_timeout. Register them, and give them safepoints or blocking(fork_safe=True)"
)


def _refusal(unsafe: list[ThreadInfo]) -> str:
    threads = "".join(f"\n  {info.name} ({info.ident}) in {info.site}" for info in unsafe)
    return (
        "not forked: until the deadline these threads stood in blocking regions that may hold a "
        f"lock of a C library, for which a child would wait for ever:{threads}\n"
        "If what such a region calls holds none (a sleep, a join, a poll), say "
        'blocking(..., fork_safe=True) there; else use mode="inline". '
        "Everybody was thawed, and the checkpoint before stays"
    )
