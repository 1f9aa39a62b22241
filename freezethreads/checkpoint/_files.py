"""Open files that are one process's own: a child that is forked closes what it has of them.

A lock on a file belongs to everybody who has it open, and a fork opens it for the child as well. So
a child that kept it open would keep the lock, however its parent ends.
"""

from __future__ import annotations

import fcntl
import os
import stat
from contextlib import suppress
from io import FileIO
from pathlib import Path

from freezethreads._ground.deadline import Deadline
from freezethreads._ground.original import get_ident, getpid, sleep
from freezethreads.checkpoint._errors import StoreError

__all__ = [
    "OwnFiles",
    "is_at",
    "lock_empty",
    "lock_file",
    "open_own",
    "open_to_read",
    "sync_directory",
]

_NO_TRAP = os.O_NOFOLLOW | os.O_NONBLOCK


class OwnFiles:
    """The files that one store has open to write to. From any thread."""

    def __init__(self) -> None:
        # Dicts, since listing one is atomic: a fork comes at any moment.
        self._open: dict[FileIO, None] = {}
        self._opening: dict[tuple[int, Path], None] = {}

    def open(self, name: Path) -> FileIO:
        """Open a file, made if need be. `close` is to be called with it. Raises OSError, and
        StoreError in a child that was forked in the middle of this.
        """
        me, pid = (get_ident(), name), getpid()
        self._opening[me] = None
        try:
            file = open_own(name)
            self._open[file] = None
        finally:
            self._opening.pop(me, None)
        if getpid() != pid:
            self.close(file)
            raise StoreError(f"{name}: the process was forked while it was opened, by its parent")
        return file

    def close(self, file: FileIO) -> None:
        """Close it. May be repeated."""
        file.close()
        self._open.pop(file, None)

    def forked(self, keep: FileIO | None) -> None:
        """In a child: close all that is the parent's, but for `keep`."""
        for file in list(self._open):
            if file is not keep:
                with suppress(OSError):  # another store may have closed it, as below
                    self.close(file)
        for ident, name in list(self._opening):
            # A thread that is not here was opening it, and nothing here knows its descriptor. What
            # the thread that forks was opening, it closes itself.
            if ident != get_ident() and (keep is None or not is_at(keep, name)):
                _close_all(name)


def _close_all(name: Path) -> None:
    """Close every descriptor of a file that this process has."""
    with suppress(FileNotFoundError):
        wanted = os.stat(name)
        for descriptor in map(int, os.listdir("/dev/fd")):
            with suppress(OSError):  # that of the listing is closed by now
                if os.path.samestat(os.fstat(descriptor), wanted):
                    os.close(descriptor)


def open_own(name: Path) -> FileIO:
    """Open a file to write at its end, made for this user alone if it is not there.

    A link is not followed, and what is no file not waited for. Raises OSError.
    """
    return FileIO(name, "a", opener=lambda path, flags: os.open(path, flags | _NO_TRAP, 0o600))


def open_to_read(name: Path) -> FileIO:
    """Open a file to read it, if it is no link to one. Raises OSError."""
    return FileIO(name, "r", opener=lambda path, flags: os.open(path, flags | _NO_TRAP))


def _check_own(file: FileIO, name: Path) -> None:
    """Raise StoreError unless it is a file of this user, which has no other name."""
    status = os.fstat(file.fileno())
    if not stat.S_ISREG(status.st_mode):
        raise StoreError(f"{name} is no file: remove it")
    if status.st_uid != os.geteuid() or status.st_nlink > 1:
        raise StoreError(
            f"{name} belongs to user {status.st_uid}, or has another name, so that others may "
            "write to it: remove it"
        )


def is_at(file: FileIO, name: Path) -> bool:
    """Whether it still has this name."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), name.lstat())
    except FileNotFoundError:
        return False


def lock_file(files: OwnFiles, name: Path, deadline: Deadline) -> FileIO:
    """Open and lock `name`. The lock lasts until the file is closed, at the latest by the end of
    the process, and of a checkpoint's child.

    The file is never removed: somebody may be waiting for the one that was removed. Raises OSError,
    and StoreError at the deadline.
    """
    file = files.open(name)
    try:
        while not file.closed:
            with suppress(BlockingIOError):
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return file
            if deadline.passed():
                raise StoreError(
                    f"{name} is locked: another store uses this path; close() that one, or give a "
                    "longer wait= if its process is about to end"
                )
            sleep(0.02)  # a blocking flock has no time-out
        raise StoreError(f"{name}: the process was forked while it waited, which is its parent's")
    except BaseException:
        files.close(file)
        raise


def lock_empty(files: OwnFiles, name: Path) -> FileIO:
    """Open, lock and empty the file of this name, as soon as no other process has locked it.

    Raises OSError, and in a child that was forked in the middle of this StoreError.
    """
    while True:
        file = files.open(name)
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            if is_at(file, name):
                _check_own(file, name)
                os.fchmod(file.fileno(), 0o600)
                file.truncate(0)
                return file
            files.close(file)  # it has been finished, and has another name
        except BaseException:
            files.close(file)
            raise


def sync_directory(directory: Path) -> None:
    """Make the names in it durable. Raises OSError."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
