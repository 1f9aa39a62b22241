"""What is spoken: each request with the names of its arguments, and what its result has in it.

The server makes its results of these classes, and the client holds every answer against them before
anybody works with it: who answers may be anybody that has the socket.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from freezethreads import Site, Statistics
from freezethreads._ground.jsonable import Unfit, from_json
from freezethreads._report.reports import (
    Description,
    Diagnosis,
    EndedReport,
    FreezerRow,
    ProcessReport,
    StragglerReport,
    ThreadRow,
    UnregisteredRow,
)
from freezethreads.control._protocol import Message, ProtocolError


@dataclass(frozen=True)
class Threads:
    """The registered threads of a freezer and the others of the process, and what stands; and the
    threads that an exception has ended, of which an older version does not say anything."""

    freezer: FreezerRow
    threads: tuple[ThreadRow, ...]
    unregistered: tuple[UnregisteredRow, ...]
    ended: tuple[EndedReport, ...] | None = None


@dataclass(frozen=True)
class Renewed:
    """What stands does so for ``lease`` seconds from now."""

    lease: float

    def __post_init__(self) -> None:
        if self.lease <= 0:
            raise Unfit("has a 'lease' that is no number above 0")


@dataclass(frozen=True)
class Caught:
    """A thread that stands, by ``name``, and may be in the middle of something: in a "section", as
    where it holds a lock, or in a "wait". That is its ``kind``, and ``what`` says it."""

    name: str
    kind: str
    what: str


@dataclass(frozen=True)
class Frozen(Renewed):
    """So many threads stand, ``waited`` seconds after they were asked to, and ``where``. So many
    ``others`` go on, which are not registered with it; and if nobody stands, these are the
    ``groups`` of those that are. These were ``caught`` in the middle of something, perhaps. Of the
    kinds that were to be settled these are ``unknown``: nothing of them was ever pending or
    outstanding, while something of these ``kinds`` was. An older version does not say these, and
    means a safepoint."""

    freezer: str
    threads: int
    waited: float
    where: str | None = None
    others: int | None = None
    groups: tuple[str, ...] | None = None
    caught: tuple[Caught, ...] | None = None
    unknown: tuple[str, ...] | None = None
    kinds: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Thawed:
    """How many holds were thawed, and the freezers as they are now; and which processes hold
    something still by a connection, of which an older version does not say anything."""

    thawed: int
    freezers: tuple[FreezerRow, ...]
    held_by: tuple[int, ...] | None = None


@dataclass(frozen=True)
class Sites:
    """Every place that has led to the refrigerator."""

    freezer: str
    sites: tuple[Site, ...]


@dataclass(frozen=True)
class Counted:
    """What a freezer has done so far."""

    freezer: str
    statistics: Statistics


class Request(NamedTuple):
    """What there is to know of one request on both sides."""

    arguments: tuple[str, ...]
    result: type[Any]


SPOKEN: Final = {
    "hello": Request((), ProcessReport),
    "threads": Request(("freezer",), Threads),
    "freeze": Request(
        ("freezer", "group", "timeout", "lease", "reason", "where", "settled", "hooks", "keep"),
        Frozen,
    ),
    "renew": Request(("lease",), Renewed),
    "thaw": Request(("own",), Thawed),
    "sites": Request(("freezer",), Sites),
    "statistics": Request(("freezer",), Counted),
    "stacks": Request(("freezer",), Description),
    "stuck": Request(("freezer", "timeout", "where"), Diagnosis),
}
"""Every request by its name."""


@dataclass(frozen=True)
class _Anything:
    """What there is to know of the result of a request that is not in `SPOKEN`."""


@dataclass(frozen=True)
class _Error:
    kind: str
    message: str


@dataclass(frozen=True)
class _Late(_Error):
    stragglers: tuple[StragglerReport, ...]


def answer_of(name: str, message: Message) -> tuple[Message | None, Message]:
    """Return the result of an answer to that request, or None, and its error: as they came.

    Raises `ProtocolError`.
    """
    result, error = message.get("result"), message.get("error")
    if (result is None) == (error is None):
        raise ProtocolError("an answer has a result or an error")
    try:
        if error is not None:
            from_json(_Error, error)
            if "stragglers" in error:
                from_json(_Late, error)
            return None, error
        from_json(SPOKEN[name].result if name in SPOKEN else _Anything, result)
        return result, {}
    except Unfit as unfit:
        raise ProtocolError(f"in an answer to {name!r:.50}, {unfit}") from None
