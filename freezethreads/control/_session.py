"""What a request knows: the freezers that are served, and who asks."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from freezethreads import Freezer, Hold, default_freezer
from freezethreads._controller.nowait import HoldRequest
from freezethreads._ground.arguments import Where
from freezethreads.control._arguments import Arguments, text
from freezethreads.control._errors import RequestError
from freezethreads.control._holds import Holds, Key
from freezethreads.control._peer import Peer

__all__ = ["Session", "SessionOver"]

_LOOK = 0.2  # seconds between two looks at the client, while threads are being stopped for it


class SessionOver(Exception):
    """Nobody waits for the answer: the client has closed its side, or serving has ended."""


class Session:
    """One client's connection, for the thread that answers it.

    `is_gone` tells, without waiting, whether the client has gone.
    """

    def __init__(
        self,
        freezers: Callable[[], Mapping[str, Freezer]],
        holds: Holds,
        peer: Peer,
        is_gone: Callable[[], bool],
    ) -> None:
        self._freezers = freezers
        self._holds = holds
        self._unanswered: list[tuple[Key, Hold]] = []
        self.peer = peer
        self.is_gone = is_gone

    @property
    def freezers(self) -> Mapping[str, Freezer]:
        """The freezers that are served now, by name."""
        return self._freezers()

    def freezer(self, arguments: Arguments) -> Freezer:
        """The freezer that a request names, or else the only one, or the default one.

        Raises `RequestError`, `SessionOver`.
        """
        freezers = self.freezers
        if not freezers:
            raise SessionOver("serving has ended meanwhile")
        names = ", ".join(map(repr, freezers))
        if "freezer" in arguments:
            name = text(arguments, "freezer")
            if name not in freezers:
                raise RequestError("wrong", f"no freezer {name!r} is served here, but {names}")
            return freezers[name]
        if len(freezers) == 1:
            return next(iter(freezers.values()))
        if default_freezer in freezers.values():
            return default_freezer
        raise RequestError("wrong", f"which freezer? There are {names}")

    def freeze(
        self,
        freezer: Freezer,
        *,
        group: tuple[str, ...],
        lease: float,
        keep: bool,
        **what: Any,
    ) -> Hold:
        """Hold groups until a thaw, or the end of `lease`, or, without `keep`, of the connection.

        What else is asked for, `hold` says. Raises FreezeTimeout, `RequestError`, and `SessionOver`
        if the client went meanwhile; nobody is kept stopped then.
        """
        key = Key(None if keep else self, freezer, group)
        self._holds.check_room(key)
        hold = self.hold(freezer, group=group, lease=lease, **what)
        self._unanswered.append((key, hold))
        self._holds.put(key, hold, lease)
        return hold

    def hold(
        self,
        freezer: Freezer,
        *,
        timeout: float,
        reason: str,
        group: tuple[str, ...] = ("",),
        lease: float | None = None,
        where: Where | None = None,
        settled: Collection[str] = (),
        hooks: bool = False,
    ) -> Hold:
        """What `freezer.hold` does, for as long as the client waits for it.

        Raises FreezeTimeout, `RequestError`, and `SessionOver` if the client went meanwhile.
        """
        try:
            request = HoldRequest(
                freezer,
                timeout=timeout,
                reason=reason,
                group=group,
                lease=lease,
                where=where,
                settled=settled,
                hooks=hooks,
            )
        except ValueError as error:
            raise RequestError("wrong", str(error)) from None
        # A lock and a socket cannot be waited for at once, and a pipe would have to stay open as
        # long as anybody may ring: so this looks at the client now and then.
        while (hold := request.wait(_LOOK)) is None:
            if self.is_gone():
                over = SessionOver("while it waited for a freeze")
                request.give_up(over)
                raise over
        return hold

    def renew(self, lease: float | None) -> float | None:
        """Renew what this connection holds; the shortest lease now, or None if it holds nothing."""
        leases = [self._holds.renew(key, lease) for key in self._holds.of(self)]
        return min((one for one in leases if one is not None), default=None)

    def thaw(self, *, own: bool) -> int:
        """Thaw what this connection holds, and, unless it is its `own` alone, every hold that is
        kept. Returns how many stood."""
        owners = (self,) if own else (None, self)
        return sum([self._holds.thaw(key) for key in self._holds.of(*owners)])

    def held_by(self) -> tuple[int, ...]:
        """The processes of the other connections that hold something: 0 for one whose number the
        system does not tell."""
        others = (one for one in self._holds.owners() if isinstance(one, Session))
        return tuple(sorted({one.peer.pid or 0 for one in others if one is not self}))

    def answered(self) -> None:
        """The client has its answer: it knows of its hold."""
        self._unanswered.clear()

    def close(self) -> None:
        """The connection is over. What the client has not heard of is not kept either."""
        for key, hold in self._unanswered:
            self._holds.thaw(key, hold)
        for key in self._holds.of(self):
            self._holds.thaw(key)
