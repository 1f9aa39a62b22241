"""What a store is, and the checks of arguments that the stores share."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

__all__ = ["Store", "check_keep", "check_path"]


@runtime_checkable
class Store(Protocol):
    """A place that keeps checkpoints. Anything with these three methods is one."""

    def detach(self, payload: Any) -> Any:
        """Return `payload` in a form that shares nothing with the application's live objects.

        Called in the controller's thread while all the others stand still, so it should be quick,
        and must not wait for any of them. What it returns goes to :meth:`save` after the thaw.
        Not called in mode ``"fork"``, where the child's whole memory is such a form.
        """

    def save(self, payload: Any) -> int | None:
        """Make `payload` durable as the newest checkpoint, wholly or not at all.

        `payload` is what :meth:`detach` returned or, in mode ``"fork"``, what ``take`` did; there
        it is called in the child, in which this store is a copy that no other thread uses. Returns
        the number of bytes of the payload, or None if that is not known. Whatever it raises,
        the checkpoints before stay. It counts as stopped while it runs, so it must touch nothing
        of the application but `payload`.
        """

    def load(self) -> Any | None:
        """Return the payload of the newest checkpoint that is whole, or None if there is none."""


def check_keep(keep: int) -> int:
    """Return `keep`, the number of checkpoints to keep; raise TypeError or ValueError."""
    if isinstance(keep, bool) or not isinstance(keep, int):
        raise TypeError(f"keep must be a whole number of checkpoints, not {keep!r}")
    if keep < 1:
        raise ValueError(f"keep must be 1 or more checkpoints, not {keep}")
    return keep


def check_path(path: str | os.PathLike[str]) -> Path:
    """Return `path`, absolute, so that a later `chdir` changes nothing; raise ValueError."""
    if not isinstance(path, (str, os.PathLike)):
        raise TypeError(f"path must be a str or an os.PathLike, not {path!r}")
    absolute = Path(path).absolute()
    if not absolute.parent.is_dir():
        raise ValueError(f"{absolute.parent} is not a directory: make it before the store")
    if absolute.is_dir():
        raise ValueError(f"{absolute} is a directory: give the path of a file in it")
    return absolute
