"""What is spoken: each request with the names of its arguments, and what its result has in it.

The server takes the arguments from here, and the client holds every answer against this before
anybody works with it: who answers may be anybody that has the socket.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from freezethreads.control._protocol import Message, ProtocolError
from freezethreads.control._shapes import (
    Check,
    Unfit,
    either,
    flag,
    list_of,
    number,
    optional,
    positive,
    row,
    table,
    text,
    where,
    whole,
)

__all__ = ["SPOKEN", "Request", "answer_of"]


class Request(NamedTuple):
    """What there is to know of one request on both sides."""

    arguments: tuple[str, ...]
    result: Check


def _timed(check: Check, place: str, seconds: str) -> Check:
    """Who is at a place has been there for some seconds."""
    return where(
        check,
        f"has a {place!r} and no {seconds!r}",
        lambda value: value[place] is None or value[seconds] is not None,
    )


# What a program says of itself.

_FREEZE = table(
    kind=text, group=text, reason=text, by=text, state=text, threads=whole, seconds=number
)
_FREEZER = table(name=text, threads=whole, state=text, freezes=list_of(_FREEZE))
_PROCESS = table(
    pid=whole,
    command=list_of(text),
    python=text,
    free_threaded=flag,
    threads=whole,
    state=text,
    freezers=list_of(_FREEZER),
)
_PLACE = {"kind": text, "label": optional(text), "filename": text, "lineno": whole}
_SITE = table(**_PLACE, function=text, hits=whole, fork_safe=flag)
_THREAD = {
    "name": text,
    "ident": whole,
    "native_id": optional(whole),
    "state": text,
    "group": text,
    "site": optional(_SITE),
    "seconds": optional(number),
    "todo_pending": whole,
}
_STRAGGLER = table(
    **_THREAD,
    stack=list_of(row(text, optional(whole), text, optional(text))),  # file, line, function, code
    moving=flag,
    in_no_freeze=flag,
    waits_for=optional(text),
    last_site=optional(_SITE),
    last_seen=optional(number),
    text=text,
)
_HISTOGRAM = table(count=whole, total=number, worst=number, buckets=list_of(list_of(number)))
_STATISTICS = table(
    freezes=whole,
    timeouts=whole,
    lease_expiries=whole,
    todos_run=whole,
    last_time_to_stop=optional(number),
    last_frozen_time=optional(number),
    time_to_stop=_HISTOGRAM,
    frozen_time=_HISTOGRAM,
)

# What it says of where its threads are: see `freezethreads._explain`.

_FRAME = table(function=text, filename=text, lineno=optional(whole), own=flag, site=flag)
_SEEN_AT = optional(table(**_PLACE, function=text))
_LOCK = {"lock": text, "acquired": optional(text)}
_SEEN = table(
    name=text,
    ident=whole,
    native_id=optional(whole),
    group=text,
    registered=flag,
    current=flag,
    state=text,
    site=_SEEN_AT,
    seconds=optional(number),
    last=_SEEN_AT,
    last_seconds=optional(number),
    inside=optional(either("no_freeze", "todo", "world")),
    todo_pending=whole,
    owns=list_of(table(**_LOCK)),
    awaits=optional(table(**_LOCK, owner=optional(text))),
    stack=list_of(_FRAME),
)
_FREEZES = list_of(table(kind=text, group=text, reason=text, by=text, seconds=number, stands=flag))
_DESCRIPTION = table(
    python=text,
    pid=whole,
    command=list_of(text),
    freezer=text,
    library=text,
    frozen=flag,
    waited=optional(number),
    late=list_of(whole),
    problem=optional(text),
    freezes=_FREEZES,
    threads=list_of(_timed(_timed(_SEEN, "site", "seconds"), "last", "last_seconds")),
    library_threads=list_of(whole),
)
_STACKS = list_of(list_of(_FRAME))
_FINDING = table(
    cause=text,
    thread=optional(text),
    ident=optional(whole),
    native_id=optional(whole),
    group=optional(text),
    filename=optional(text),
    lineno=optional(whole),
    function=optional(text),
    line=optional(text),
    why=text,
    advice=text,
    stacks=where(_STACKS, "has neither no stack nor two", lambda value: len(value) in (0, 2)),
)
_DIAGNOSIS = where(
    table(
        healthy=flag,
        pid=whole,
        freezer=text,
        library=text,
        threads=whole,
        waited=number,
        freezes=_FREEZES,
        findings=list_of(_FINDING),
        warnings=list_of(_FINDING),
    ),
    "is healthy with findings, or not without",
    lambda value: value["healthy"] == (not value["findings"]),
)

SPOKEN: Final = {
    "hello": Request((), _PROCESS),
    "threads": Request(("freezer",), table(freezer=_FREEZER, threads=list_of(table(**_THREAD)))),
    "freeze": Request(
        ("freezer", "group", "timeout", "lease", "reason", "keep"),
        table(freezer=text, threads=whole, waited=number, lease=positive),
    ),
    "renew": Request(("lease",), table(lease=positive)),
    "thaw": Request(("own",), table(thawed=whole, freezers=list_of(_FREEZER))),
    "sites": Request(("freezer",), table(freezer=text, sites=list_of(_SITE))),
    "statistics": Request(("freezer",), table(freezer=text, statistics=_STATISTICS)),
    "stacks": Request(("freezer",), _DESCRIPTION),
    "stuck": Request(("freezer", "timeout"), _DIAGNOSIS),
}
"""Every request by its name."""

_ERROR = table(kind=text, message=text)
_LATE = table(stragglers=list_of(_STRAGGLER))


def answer_of(name: str, message: Message) -> tuple[Message | None, Message]:
    """Return the result of an answer to that request, or None, and its error.

    Of a request that is not in `SPOKEN` nothing is known but that. Raises `ProtocolError`.
    """
    result, error = message.get("result"), message.get("error")
    if (result is None) == (error is None):
        raise ProtocolError("an answer has a result or an error")
    try:
        if error is not None:
            _ERROR(error)
            if "stragglers" in error:
                _LATE(error)
            return None, error
        check = SPOKEN[name].result if name in SPOKEN else table()
        check(result)
        return result, {}
    except Unfit as unfit:
        raise ProtocolError(f"in an answer to {name!r:.50}, {unfit}") from None
