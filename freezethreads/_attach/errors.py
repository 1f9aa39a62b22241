"""Why a process was not attached to. Each leaves it unharmed."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["AttachError", "ServesAlready", "Unreached", "Wait"]


class Wait(NamedTuple):
    """A thread as the system knows it, and what it waits in; whether that can end by itself, for
    all that can be told."""

    native_id: int
    name: str
    wait: str
    ends: bool


class AttachError(Exception):
    """A process cannot be attached to, or is not attached. The message says what to do."""


class ServesAlready(AttachError):
    """There is nothing to attach to: whoever wants something of the process can ask it."""


class Unreached(AttachError):
    """None of its threads has run Python in time, so nothing could be begun in it.

    ``threads`` tells what the system knows of each, and ``caught`` for which signals the process
    has handlers.
    """

    def __init__(self, message: str, threads: tuple[Wait, ...], caught: tuple[str, ...]) -> None:
        super().__init__(message, threads, caught)
        self.threads = threads
        self.caught = caught

    def __str__(self) -> str:
        return str(self.args[0])
