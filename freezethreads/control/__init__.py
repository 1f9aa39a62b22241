"""Looking at a running program from outside, and stopping it there.

::

    freezethreads.serve()                          # in the program

    from freezethreads.control import connect      # in another process

    with connect(pid) as client:
        client.request("freeze", timeout=5, reason="to look at it")
        print(client.request("threads"))
        client.request("thaw")

The command ``freezethreads`` (``ps``, ``threads``, ``freeze``, ``thaw``, ``dump``, ``stuck``,
``sites``) does it for a person.
"""

# The server is `_server`, the requests are in `_requests`, and `_protocol` is what is spoken.

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from freezethreads._ground.exports import export as _export
from freezethreads.control._client import Client, connect, find_processes
from freezethreads.control._errors import (
    ControlError,
    FreezeFailed,
    NoAnswer,
    NoSuchProcess,
    NotPermitted,
    NotPython,
    NotServing,
    ProcessEnded,
    ProcessKilled,
    RequestRefused,
)

if TYPE_CHECKING:
    from freezethreads.control._serving import Serving, serve

__all__ = [
    "Client",
    "ControlError",
    "FreezeFailed",
    "NoAnswer",
    "NoSuchProcess",
    "NotPermitted",
    "NotPython",
    "NotServing",
    "ProcessEnded",
    "ProcessKilled",
    "RequestRefused",
    "Serving",
    "connect",
    "find_processes",
    "serve",
]

_export(__name__)


def __getattr__(name: str) -> Any:
    """Load the server when it is asked for: who is a client is to start quickly."""
    if name not in ("Serving", "serve"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from freezethreads.control import _serving

    globals().update(Serving=_serving.Serving, serve=_serving.serve)
    _export(__name__)
    return globals()[name]
