"""What a store is, and the checks of arguments that the stores share."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from freezethreads._ground.arguments import check_count
from freezethreads.checkpoint._errors import StoreError

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
    return check_count("keep", keep, "checkpoints")


def check_path(path: str | os.PathLike[str]) -> Path:
    """Return `path`, absolute, so that a later `chdir` changes nothing.

    Raises TypeError and ValueError, and StoreError if the system does not say what is there.
    """
    if not isinstance(path, (str, os.PathLike)):
        raise TypeError(f"path must be a str or an os.PathLike, not {path!r}")
    absolute = Path(path).absolute()
    if not _is_directory(absolute.parent):
        raise ValueError(f"{absolute.parent} is not a directory: make it before the store")
    if _is_directory(absolute):
        raise ValueError(f"{absolute} is a directory: give the path of a file in it")
    return absolute


def _is_directory(path: Path) -> bool:
    try:
        return stat.S_ISDIR(path.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise StoreError(f"{path}: {error}; nothing was changed") from error
