"""The errors of checkpoints. After each of them the last good checkpoint is where it was."""

from __future__ import annotations

from freezethreads._ground import errors
from freezethreads._ground.errors import FreezeError

__all__ = ["CheckpointError", "ForkUnsafe", "StoreError"]


class CheckpointError(FreezeError):
    """A checkpoint was not made. Everybody has been thawed, and the one before it stays.

    ``status`` is how the child of mode ``"fork"`` ended, as :class:`subprocess.Popen` gives it: its
    exit status, or minus the number of the signal that killed it; None if there was no child, or
    if somebody else in this process has waited for it first. ``traceback`` is the child's, as
    text, or empty.
    """

    def __init__(self, message: str, *, status: int | None = None, traceback: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.traceback = traceback

    def __str__(self) -> str:
        message = str(self.args[0])
        return f"{message}\n\n{self.traceback.rstrip()}" if self.traceback else message


class ForkUnsafe(CheckpointError, errors.ForkUnsafe):
    """A thread stood in a blocking region that may hold a C library's lock, until the deadline.

    Or one was in a call of the `SQLiteStore`, which is such a library. A child forked at that
    moment could wait for such a lock for ever, so nothing was forked.
    """


class StoreError(CheckpointError):
    """A store could not save, or has nothing whole to load, or is not one of this library's.

    What was saved before is still there, whole or as damaged as it was found.
    """
