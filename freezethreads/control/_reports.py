"""The requests that explain: where the threads stand, and why one does not stop."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from freezethreads.control._arguments import seconds
from freezethreads.control._session import Session

__all__ = ["stacks", "stuck"]

_TIMEOUT = 5.0  # seconds within which all have to stop, unless the request says otherwise


def stacks(session: Session, arguments: Mapping[str, object]) -> dict[str, object]:
    """All threads of the process where they are now: see `freezethreads._explain`. Stops nobody."""
    from freezethreads._explain import describe  # which nobody needs before

    return describe(session.freezer(arguments))


def stuck(session: Session, arguments: Mapping[str, object]) -> dict[str, object]:
    """Stop everybody, let them go, and say who did not stop in time, and why.

    They are let go as well, and at once, if the client has gone before.
    """
    from freezethreads._explain import diagnose

    freezer = session.freezer(arguments)
    timeout = seconds(arguments, "timeout", _TIMEOUT)
    return diagnose(freezer, timeout, partial(session.hold, freezer))
