"""What each request does. To add one: a function, its line in the table, and one in `_spoken`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Final

from freezethreads import FreezeError, FreezeTimeout
from freezethreads.control._arguments import check_names, flag, seconds, text
from freezethreads.control._describe import (
    describe_freezer,
    describe_process,
    describe_straggler,
    describe_threads,
)
from freezethreads.control._errors import RequestError
from freezethreads.control._reports import stacks, stuck
from freezethreads.control._session import Session
from freezethreads.control._spoken import SPOKEN

__all__ = ["LEASE", "REQUESTS", "TIMEOUT", "call"]

TIMEOUT: Final = 20.0
"""Seconds within which all have to stop, unless the request says otherwise."""
LEASE: Final = 60.0
"""Seconds until a hold ends by itself, unless the request says otherwise."""


def call(session: Session, name: str, arguments: Mapping[str, object]) -> dict[str, object]:
    """Do what a client asks, and return the result. Raises `RequestError`, `SessionOver`."""
    request = REQUESTS.get(name)
    if request is None:
        raise RequestError(
            "wrong", f"no such request: {name!r:.50}; there are {', '.join(REQUESTS)}"
        )
    if name in SPOKEN:
        check_names(arguments, SPOKEN[name].arguments)
    try:
        return request(session, arguments)
    except FreezeTimeout as error:
        stragglers = [describe_straggler(straggler) for straggler in error.stragglers]
        raise RequestError("timeout", str(error), stragglers=stragglers) from error
    except FreezeError as error:
        raise RequestError("freeze", str(error)) from error


def _hello(session: Session, arguments: Mapping[str, object]) -> dict[str, object]:
    """What the process is, and what stands in it."""
    return describe_process(session.freezers)


def _threads(session: Session, arguments: Mapping[str, object]) -> dict[str, object]:
    """The registered threads of a freezer, and what stands."""
    freezer = session.freezer(arguments)
    return {
        "freezer": describe_freezer(freezer),
        "threads": describe_threads(freezer.threads()),
    }


def _freeze(session: Session, arguments: Mapping[str, object]) -> dict[str, object]:
    """Hold a group; with `keep` also when the connection has ended."""
    freezer = session.freezer(arguments)
    lease = seconds(arguments, "lease", LEASE)
    hold = session.freeze(
        freezer,
        group=text(arguments, "group"),
        timeout=seconds(arguments, "timeout", TIMEOUT),
        lease=lease,
        reason=text(arguments, "reason"),
        keep=flag(arguments, "keep", False),
    )
    return {
        "freezer": freezer.name,
        "threads": len(hold.threads),
        "waited": hold.waited,
        "lease": lease,
    }


def _renew(session: Session, arguments: Mapping[str, object]) -> dict[str, object]:
    """Let what this connection holds stand for a lease from now."""
    wanted = seconds(arguments, "lease", LEASE) if "lease" in arguments else None
    lease = session.renew(wanted)
    if lease is None:
        raise RequestError("freeze", "this connection holds nothing that could be renewed")
    return {"lease": lease}


def _thaw(session: Session, arguments: Mapping[str, object]) -> dict[str, object]:
    """End what was frozen from outside; with `own`, what this connection alone holds.

    What is frozen still, the program itself has stopped, or with `own` somebody else outside.
    """
    thawed = session.thaw(own=flag(arguments, "own", False))
    freezers = [describe_freezer(freezer) for freezer in session.freezers.values()]
    return {"thawed": thawed, "freezers": freezers}


def _sites(session: Session, arguments: Mapping[str, object]) -> dict[str, object]:
    """Every place that has led to the refrigerator, the busiest first."""
    freezer = session.freezer(arguments)
    return {"freezer": freezer.name, "sites": [asdict(site) for site in freezer.sites()]}


def _statistics(session: Session, arguments: Mapping[str, object]) -> dict[str, object]:
    """What the freezer has done so far."""
    freezer = session.freezer(arguments)
    return {"freezer": freezer.name, "statistics": asdict(freezer.statistics())}


# A function gets the session and those arguments that came: none but its own of `SPOKEN`, whose
# values it has to check. It returns what is said there, in what JSON can carry. It runs in a thread
# of its client's, which no freeze stops, and may take its time. A FreezeError is passed on to the
# client.
REQUESTS: dict[str, Callable[[Session, Mapping[str, object]], dict[str, object]]] = {
    "hello": _hello,
    "threads": _threads,
    "freeze": _freeze,
    "renew": _renew,
    "thaw": _thaw,
    "sites": _sites,
    "statistics": _statistics,
    "stacks": stacks,
    "stuck": stuck,
}
