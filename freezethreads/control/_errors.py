"""What can go wrong between two processes, each with its own sentence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = [
    "ControlError",
    "FreezeFailed",
    "NoAnswer",
    "NoSuchProcess",
    "NotPermitted",
    "NotPython",
    "NotServing",
    "ProcessEnded",
    "ProcessKilled",
    "RequestError",
    "RequestRefused",
]


class ControlError(Exception):
    """A process could not be reached, or did not do what it was asked. The base of the others.

    ``kind`` says what went wrong in a word or two, for programs.
    """

    kind = "nonsense"


class NoSuchProcess(ControlError):
    """There is no process of that number."""

    kind = "no such process"


class ProcessKilled(ControlError):
    """The process was killed while it served: only its socket is left."""

    kind = "killed"


class NotPermitted(ControlError):
    """The process is another user's."""

    kind = "permission"


class NotPython(ControlError):
    """The process runs, and is no Python."""

    kind = "no python"


class NotServing(ControlError):
    """The process runs, and nobody in it has called `serve()`."""

    kind = "not serving"


class ProcessEnded(ControlError):
    """The process ended, or ceased to serve, in the middle of a request."""

    kind = "ended"


class NoAnswer(ControlError):
    """The process did not answer in time. What it was asked for may still be done."""

    kind = "no answer"


class RequestRefused(ControlError):
    """The process said no. ``kind`` is the error's name in the protocol; ``details`` are its own.

    Nothing was changed.
    """

    def __init__(self, message: str, kind: str, details: Mapping[str, Any]) -> None:
        super().__init__(message, kind, details)
        self.kind = kind
        self.details = details

    def __str__(self) -> str:
        return str(self.args[0])


class FreezeFailed(RequestRefused):
    """Not every thread stopped in time, or the lease ran out. Everybody was let go.

    ``details["stragglers"]`` tells who did not stop, and where each was.
    """


class RequestError(Exception):
    """On the server's side: the answer to this request is an error of that kind."""

    def __init__(self, kind: str, message: str, **details: object) -> None:
        super().__init__(kind, message, details)
        self.kind = kind
        self.message = message
        self.details = details
