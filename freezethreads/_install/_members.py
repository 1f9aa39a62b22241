"""The threads that an installation enrols: each by itself, when it begins.

A thread registers and then looks whether the installation is still in force; who ends that switches
it off and then looks who is registered. So nobody stays enrolled.
"""

from __future__ import annotations

import concurrent.futures.thread as pools
import queue
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from freezethreads._freezer import Freezer
from freezethreads._ground.arguments import Where
from freezethreads._ground.original import OwnThread, Thread
from freezethreads._install._patches import Function, Switch
from freezethreads._refrigerator.membership import enrol_implicitly, leave_implicitly
from freezethreads._refrigerator.waits import Plain, plumbing
from freezethreads._report.stragglers import known_others
from freezethreads._threads import run_inside

plumbing.add(__file__)

_QueueInC = queue.SimpleQueue  # the original: this is imported before anything is replaced


class Members(Switch):
    """Who is enrolled by one installation, and who is not."""

    def __init__(self, freezer: Freezer, group: str) -> None:
        super().__init__()
        self._registry = freezer._registry
        self._group = group
        self._missed: dict[Thread, None] = {}

    def enrol(self) -> None:
        """Enrol the calling thread, unless it is already or the installation is over.

        Returns when no freeze of the group stands. May be repeated.
        """
        if self.on:
            enrol_implicitly(self._registry, self._group, self.enrol)
            if not self.on:
                leave_implicitly(self._registry)

    def expect(self) -> None:
        """A thread starts that will be enrolled: a freeze that comes before that is no mistake."""
        self._registry.note_group(self._group)

    def set_where(self, where: Where) -> None:
        """Say where a freeze stops threads that does not say it itself."""
        self._registry.where = where

    @contextmanager
    def enrolled(self) -> Iterator[None]:
        """The calling thread is enrolled while it is in here."""
        try:
            self.enrol()
            yield
        finally:
            leave_implicitly(self._registry)

    def unregister_all(self) -> None:
        """Strike off all whom this has enrolled; they go on. Switch it off first."""
        for record in list(self._registry.records.values()):
            if record.implicit:
                self._registry.unregister(record)

    def miss(self, threads: Iterable[Thread]) -> None:
        """Note threads that this does not enrol. From any thread."""
        for thread in list(self._missed):
            if thread.ident is not None and not thread.is_alive():
                self._missed.pop(thread, None)
        for thread in threads:
            self._missed[thread] = None

    @property
    def missed(self) -> tuple[Thread, ...]:
        """Those of them that live, and are not enrolled all the same. From any thread."""
        others = known_others({record.ident for record in list(self._registry.records.values())})
        return tuple(thread for thread in others if thread in self._missed)


def start_enrolled(original: Function, switch: Switch, label: str) -> Function:
    """`Thread.start`: the thread will be enrolled while it runs. The caller does not stop here."""
    assert isinstance(switch, Members)
    members = switch

    def start(self: Any) -> None:
        if not members.on or not self._initialized:
            original(self)
            return
        with Plain():
            if isinstance(self, OwnThread):
                original(self)
            elif _waits_out_of_reach(self):
                members.miss([self])
                original(self)
            else:
                members.expect()
                with run_inside(self, members.enrolled):
                    original(self)

    return start


def _waits_out_of_reach(thread: Any) -> bool:
    """Whether it is the worker of a pool that is older than the installation: it waits in C."""
    target = getattr(thread, "_target", None)  # it has none any more when it has run
    return target is pools._worker and any(
        issubclass(type(argument), _QueueInC) for argument in thread._args
    )
