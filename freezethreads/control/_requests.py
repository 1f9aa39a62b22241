"""What each request does. To add one: a function, its line in the table, and one in `_spoken`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

from freezethreads import FreezeError, FreezeTimeout
from freezethreads._controller.standing import kinds_of
from freezethreads._ground.jsonable import to_json
from freezethreads._report.reports import (
    Description,
    Diagnosis,
    ProcessReport,
    count_others,
    ended_reports,
    thread_rows,
)
from freezethreads.control._arguments import (
    check_names,
    flag,
    groups,
    kinds,
    seconds,
    text,
    where_of,
)
from freezethreads.control._describe import (
    caught_by,
    describe_freezer,
    describe_process,
    describe_straggler,
    stopped_idents,
)
from freezethreads.control._errors import RequestError
from freezethreads.control._session import Session
from freezethreads.control._spoken import SPOKEN, Counted, Frozen, Renewed, Sites, Thawed, Threads

__all__ = ["LEASE", "REQUESTS", "TIMEOUT", "call"]

TIMEOUT: Final = 20.0
"""Seconds within which all have to stop, unless the request says otherwise."""
LEASE: Final = 60.0
"""Seconds until a hold ends by itself, unless the request says otherwise."""
_DIAGNOSIS_TIMEOUT: Final = 5.0  # the same as `TIMEOUT`, for a diagnosis


def call(session: Session, name: str, arguments: Mapping[str, object]) -> Any:
    """Do what a client asks, and return what JSON can carry. Raises `RequestError`,
    `SessionOver`."""
    request = REQUESTS.get(name)
    if request is None:
        raise RequestError(
            "wrong", f"no such request: {name!r:.50}; there are {', '.join(REQUESTS)}"
        )
    if name in SPOKEN:
        check_names(arguments, SPOKEN[name].arguments)
    try:
        return to_json(request(session, arguments))
    except FreezeTimeout as error:
        stragglers = to_json([*map(describe_straggler, error.stragglers)])
        raise RequestError("timeout", str(error), stragglers=stragglers) from error
    except FreezeError as error:
        raise RequestError("freeze", str(error)) from error


def _hello(session: Session, arguments: Mapping[str, object]) -> ProcessReport:
    """What the process is, and what stands in it."""
    return describe_process(session.freezers)


def _threads(session: Session, arguments: Mapping[str, object]) -> Threads:
    """The registered threads of a freezer and the others of the process, what stands, and the
    threads that an exception has ended."""
    freezer = session.freezer(arguments)
    described = describe_freezer(freezer)
    rows = thread_rows(freezer.threads(), stopped_idents(freezer))
    return Threads(described, *rows, ended_reports())


def _freeze(session: Session, arguments: Mapping[str, object]) -> Frozen:
    """Hold a group; with `keep` also when the connection has ended."""
    freezer = session.freezer(arguments)
    lease = seconds(arguments, "lease", LEASE)
    hold = session.freeze(
        freezer,
        group=groups(arguments),
        timeout=seconds(arguments, "timeout", TIMEOUT),
        lease=lease,
        reason=text(arguments, "reason"),
        where=where_of(arguments),
        settled=kinds(arguments),
        hooks=flag(arguments, "hooks", False),
        keep=flag(arguments, "keep", False),
    )
    stand = len(hold.threads)
    unknown, known = kinds_of(hold)
    registered = freezer.threads()
    idents = {info.ident for info in registered}
    return Frozen(
        freezer=freezer.name,
        threads=stand,
        waited=hold.waited,
        lease=lease,
        where=hold.where,
        others=count_others(idents | stopped_idents(freezer)),
        groups=None if stand else tuple(sorted({info.group for info in registered})),
        caught=caught_by(hold),
        unknown=unknown or None,
        kinds=known if unknown else None,
    )


def _renew(session: Session, arguments: Mapping[str, object]) -> Renewed:
    """Let what this connection holds stand for a lease from now."""
    wanted = seconds(arguments, "lease", LEASE) if "lease" in arguments else None
    lease = session.renew(wanted)
    if lease is None:
        raise RequestError("freeze", "this connection holds nothing: ask for a freeze anew")
    return Renewed(lease)


def _thaw(session: Session, arguments: Mapping[str, object]) -> Thawed:
    """End what was frozen from outside; with `own`, what this connection alone holds.

    What is frozen still, the program itself has stopped, or with `own` somebody else outside.
    """
    thawed = session.thaw(own=flag(arguments, "own", False))
    freezers = tuple(map(describe_freezer, session.freezers.values()))
    return Thawed(thawed, freezers, session.held_by())


def _sites(session: Session, arguments: Mapping[str, object]) -> Sites:
    """Every place that has led to the refrigerator, the busiest first."""
    freezer = session.freezer(arguments)
    return Sites(freezer.name, freezer.sites())


def _statistics(session: Session, arguments: Mapping[str, object]) -> Counted:
    """What the freezer has done so far."""
    freezer = session.freezer(arguments)
    return Counted(freezer.name, freezer.statistics())


def _stacks(session: Session, arguments: Mapping[str, object]) -> Description:
    """All threads of the process where they are now. Stops nobody."""
    from freezethreads._explain import describe  # which nobody needs before

    return describe(session.freezer(arguments))


def _stuck(session: Session, arguments: Mapping[str, object]) -> Diagnosis:
    """Stop everybody, let them go, and say who did not stop in time, and why.

    They are let go as well, and at once, if the client has gone before.
    """
    from freezethreads._explain import diagnose

    freezer = session.freezer(arguments)
    timeout = seconds(arguments, "timeout", _DIAGNOSIS_TIMEOUT)
    hold_all = partial(session.hold, freezer, where=where_of(arguments))
    return diagnose(freezer, timeout, hold_all)


# A function gets the session and those arguments that came: none but its own of `SPOKEN`, whose
# values it has to check. It returns the result that is named there. It runs in a thread of its
# client's, which no freeze stops, and may take its time. A FreezeError is passed on to the client.
REQUESTS: dict[str, Callable[[Session, Mapping[str, object]], object]] = {
    "hello": _hello,
    "threads": _threads,
    "freeze": _freeze,
    "renew": _renew,
    "thaw": _thaw,
    "sites": _sites,
    "statistics": _statistics,
    "stacks": _stacks,
    "stuck": _stuck,
}
