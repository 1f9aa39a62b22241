"""`group()`: the region in which a thread is in another group, for a job or a request.

It is `Registration.move`, there and back, by the thread itself. `Own.groups` says which of these
regions the thread is in, innermost last, and what each is to put back. Its thread alone writes it:
before the first step of an entry, and after the last one of an end. So what an exception cut short
is found there, and done again: each step may be repeated.
"""

from __future__ import annotations

import sys
from types import FrameType
from typing import ClassVar, NamedTuple

from freezethreads._ground.errors import FreezeError
from freezethreads._ground.uninterruptible import covered
from freezethreads._refrigerator import membership
from freezethreads._refrigerator.unentered import Made
from freezethreads._registry.record import Record
from freezethreads._registry.registry import Registry


class Membership(NamedTuple):
    """One region: the thread as it was enrolled, in which group it was, and in which it is now.

    `record` is None if it was not enrolled: it is so for as long as the region lasts.
    """

    region: object
    record: Record | None
    before: str
    group: str


class GroupRegion:
    """A region in which its thread is in a group: ``with freezer.group("io"):``. May be nested."""

    __slots__ = ("_group", "_registry")

    _frames: ClassVar = 1  # how far out the program is that enters it

    def __init__(self, registry: Registry, group: str) -> None:
        self._registry = registry
        self._group = group

    def __enter__(self) -> None:
        own, caller = self._registry.own, sys._getframe(self._frames)
        record, before = self._enrolment(), own.groups
        try:
            if record is None:
                own.groups = (*before, Membership(self, None, "", self._group))
                membership.register(self._registry, None, self._group, None, caller)
            else:
                membership.check_own_move(record)
                own.groups = (*before, Membership(self, record, record.group, self._group))
                membership.move_oneself(self._registry, record, self._group, caller, "group")
        except BaseException:
            if len(own.groups) > len(before):
                self._leave(caller)
            raise

    @covered
    def __exit__(self, *exc_info: object) -> None:
        try:
            self._leave(sys._getframe(1))
        except BaseException:
            if self._find() is not None:  # else there was nothing to leave, or it is left
                self._leave(sys._getframe(1))
            raise

    def _leave(self, caller: FrameType) -> None:
        at = self._find()
        if at is None:
            raise FreezeError(f"this thread has not entered group({self._group!r})")
        own = self._registry.own
        entered, record = own.groups[at], self._enrolment()
        if entered.record is None:
            if record is not None and not record.implicit:
                membership.unregister(self._registry)
        elif record is entered.record and record.group == entered.group:
            membership.check_own_move(record)
            membership.move_oneself(self._registry, record, entered.before, caller, "group")
        own.groups = (*own.groups[:at], *own.groups[at + 1 :])

    def _enrolment(self) -> Record | None:
        """As what the calling thread is enrolled; the end of an installation may have ended it."""
        record = self._registry.own.record
        return None if record is None or record.exited else record

    def _find(self) -> int | None:
        """Where the innermost one stands that this has entered; None: there is none."""
        groups = self._registry.own.groups
        found = [at for at, entered in enumerate(groups) if entered.region is self]
        return found[-1] if found else None


class WatchedGroupRegion(GroupRegion):
    """One in debug or development mode: it tells if it was never entered."""

    __slots__ = ("_made",)

    _frames: ClassVar = 2

    def __init__(self, registry: Registry, group: str) -> None:
        super().__init__(registry, group)
        self._made = Made(registry, f"group({group!r})", "moves nobody")

    def __enter__(self) -> None:
        self._made.entered()
        super().__enter__()
