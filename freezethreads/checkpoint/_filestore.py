"""Checkpoints as files, one each: written to another name, made durable, then renamed.

The order of the steps is what makes a save atomic. It is that of SQLite's and of every careful
editor (https://sqlite.org/atomiccommit.html; "All file systems are not created equal", OSDI 2014):

1. write to ``NAME.unfinished``, and fsync it: the content must be durable before the name is.
   It is locked meanwhile, since a parent and its child may save at the same time;
2. rename it to ``NAME.0000000007``: this is the moment of the commit;
3. fsync the directory: without it a power failure may undo a rename that was acknowledged;
4. only now remove the files that are too old. So there is never less than before.

What is durable is what the platform's ``fsync`` makes so.

Reading needs no lock of the system: a whole file never changes, and one that has just been removed
has a newer one beside it.
"""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import pickle
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path
from typing import Any

from freezethreads._ground.deadline import Deadline, check_seconds
from freezethreads._ground.original import allocate_lock, getpid
from freezethreads._ground.unique import Unique
from freezethreads.checkpoint._errors import StoreError
from freezethreads.checkpoint._files import (
    OwnFiles,
    is_at,
    lock_empty,
    lock_file,
    open_to_read,
    sync_directory,
)
from freezethreads.checkpoint._forking import watch
from freezethreads.checkpoint._frame import MAGIC, pack_header, unpack_frame
from freezethreads.checkpoint._payload import Packed, Packer, check_payload
from freezethreads.checkpoint._store import check_keep, check_path

__all__ = ["FileStore"]

logger = logging.getLogger("freezethreads.checkpoint")

_LAST = 9_999_999_998
"""The highest number of a file. What has a higher one was not made here: with the next there would
be eleven digits."""
_UNWRITABLE = {
    errno.EROFS,
    errno.EACCES,
    errno.EPERM,
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EIO,
}
"""What the system says where nothing can be written, though it may be read."""


class FileStore(Unique):
    """Keeps the newest `keep` checkpoints as files beside `path`. May be used by any thread.

    For a `path` of ``run/state`` they are ``run/state.0000000001`` and so on, with
    ``run/state.lock`` and, while it saves, ``run/state.unfinished``, all for this user alone.
    ``run/state`` itself is not touched, and no link in the place of a file is followed. The folder,
    here ``run``, has to exist, or this is a ValueError.

    As long as the store is open no other one can use the same path, in this process or another: the
    constructor waits up to `wait` seconds (None: for ever) for the lock, since a program that was
    killed may have left a child that is about to die. Where nothing can be written, as on a disk
    that is read-only, that is logged. What is there can be loaded then, and a save tries again.

    A child that the program forks has no part in its parent's lock. It may go on using the store:
    it can load, and it can save as soon as its parent's is closed or gone, for which a save waits
    up to `wait` seconds, too.

    A payload of ``bytes`` is stored as it is, anything else as ``dumps(payload)``. The default,
    pickle, must not be used for files that somebody else can write: loading one runs whatever
    code they put there. A damaged file is logged, left where it is, and the one before it used.
    One that the system cannot read may be whole, so it ends `load` in StoreError; with
    `skip_unreadable` it is treated as a damaged one.

    ``path`` is absolute, and ``keep`` as it was given. ValueError or TypeError for bad arguments;
    StoreError if the path is in use.
    """

    _IS = "the only one that has its path"

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        keep: int = 2,
        wait: float | None = 5.0,
        skip_unreadable: bool = False,
        dumps: Callable[[Any], bytes] = pickle.dumps,
        loads: Callable[[bytes], Any] = pickle.loads,
    ) -> None:
        self.path: Path = check_path(path)
        self.keep: int = check_keep(keep)
        self._packer = Packer(dumps, loads)
        self._wait = check_seconds("wait", wait)
        if not isinstance(skip_unreadable, bool):
            raise TypeError(f"skip_unreadable must be True or False, not {skip_unreadable!r}")
        self._skip_unreadable = skip_unreadable
        self._unfinished = self._beside("unfinished")
        # One save at a time in this process, and no close meanwhile. The lock of the unfinished
        # file nests in it, and nothing else. A child makes itself a new one.
        self._lock = allocate_lock()
        self._files = OwnFiles()
        self._lockfile: FileIO | None = None
        self._closed = False
        self._pid = getpid()
        watch(self)  # before anything is opened that a child must not keep
        with _translation(self.path):
            self._lock_path_if_possible()
            try:
                self._check_names()
                if self._lockfile is not None:
                    self._unfinished.unlink(missing_ok=True)
            except BaseException:
                self.close()
                raise

    def detach(self, payload: Any) -> Packed:
        """Return `payload` as bytes, which nothing can change any more.

        ValueError if it is None; TypeError if `dumps` returns no bytes, and what `dumps` raises.
        """
        return self._packer.pack(check_payload(payload))

    def save(self, payload: Any) -> int:
        """Write `payload` to a file of its own, which is durable when this returns.

        Returns its size in bytes. StoreError if that fails, or after `close`, and the errors of
        `detach`; the files before stay.
        """
        packed = self._packer.pack(check_payload(payload))
        with self._open(), _translation(self.path):
            if self._lockfile is None or self._lockfile.closed:  # it was the parent's
                self._lock_path()
            with self._begin() as file:
                older = self._sequences()
                name = self._next_name(older)
                _write(file, packed)
                self._unfinished.rename(name)
                sync_directory(self.path.parent)
                self._remove_old(older)
        return len(packed.data)

    def load(self) -> Any | None:
        """Return the payload of the newest whole file, or None if there is no file at all.

        StoreError if there are files and none of them is whole, if one cannot be read that may be
        newer than all that are, without `skip_unreadable`, if `loads` raises, or after `close`.
        """
        with self._open(), _translation(self.path):
            sequences, packed = self._newest()
        if packed is not None:
            return self._packer.unpack(packed)
        if sequences:
            raise StoreError(
                f"none of the {len(sequences)} files {self._name(sequences[0])} ... is a whole "
                "checkpoint: put copies back, or move them away to begin again with nothing"
            )
        return None

    def close(self) -> None:
        """Let others use the path, and refuse to save and load from now on. May be called again."""
        with self._lock:
            self._closed = True
            if self._lockfile is not None:
                self._files.close(self._lockfile)

    def _forked(self, expected: bool) -> None:
        """Own nothing of the parent's but, for a checkpoint's child, the path."""
        self._lock = allocate_lock()
        self._pid = getpid()
        self._files.forked(self._lockfile if expected else None)

    def _lock_path(self) -> None:
        self._lockfile = lock_file(self._files, self._beside("lock"), Deadline(self._wait))

    def _lock_path_if_possible(self) -> None:
        """Lock the path, or warn that nothing can be written there now. To load needs no lock."""
        try:
            self._lock_path()
        except OSError as error:
            if error.errno not in _UNWRITABLE:
                raise
            logger.warning(
                "%s can be loaded from, and not be saved to: %s", self.path, error.strerror
            )

    @contextmanager
    def _open(self) -> Iterator[None]:
        if self._pid != getpid():  # so the lock here may be owned for ever, and that there is ours
            raise StoreError(
                f"the store of {self.path} is that of process {self._pid}, which has forked this "
                "one in a way that Python does not know of: make a store of its own here"
            )
        with self._lock:
            if self._closed:
                raise StoreError(f"the store of {self.path} is closed")
            yield

    @contextmanager
    def _begin(self) -> Iterator[FileIO]:
        """The unfinished file, empty, which no other process has. Called with _lock held."""
        file = lock_empty(self._files, self._unfinished)
        try:
            yield file
        except BaseException as error:
            if file.closed:  # by `_forked`, in a signal handler
                raise StoreError(
                    f"{self.path}: the process was forked in the middle of this save, which is the "
                    "parent's; here nothing was saved"
                ) from error
            if is_at(file, self._unfinished):
                self._unfinished.unlink()
            raise
        finally:
            if not file.closed:
                # Said, since a child that was just forked has the file open for a moment. Where it
                # fails, closing the file is enough but for that, and the save is what it was.
                with suppress(OSError):
                    fcntl.flock(file, fcntl.LOCK_UN)
                self._files.close(file)

    def _newest(self) -> tuple[list[int], Packed | None]:
        """The numbers of the files, and the newest payload that is whole."""
        while True:
            sequences = self._sequences()
            whole = (self._read(self._name(sequence)) for sequence in sequences)
            try:
                return sequences, next((packed for packed in whole if packed is not None), None)
            except FileNotFoundError:
                if self._sequences() == sequences:
                    raise  # a link to nowhere; if not, another process has saved, and removed it

    def _beside(self, suffix: str) -> Path:
        return self.path.with_name(f"{self.path.name}.{suffix}")

    def _name(self, sequence: int) -> Path:
        return self._beside(f"{sequence:010d}")

    def _next_name(self, older: list[int]) -> Path:
        if older and older[0] >= _LAST:
            raise StoreError(
                f"{self._name(older[0])} has the last number that there is: move it away"
            )
        return self._name(older[0] + 1 if older else 1)

    def _remove_old(self, older: list[int]) -> None:
        """Remove what is too old, when there is one more. What is not ours does not count."""
        kept = 1
        for name in map(self._name, older):
            try:
                if _is_ours(name):
                    kept += 1
                    if kept > self.keep:
                        name.unlink()
            except FileNotFoundError:
                pass  # a child removes what is old as well
            except OSError as error:
                # What was to be saved is durable by now, so this is no reason to say it is not.
                logger.warning("%s is left where it is: %s", name, error.strerror)

    def _check_names(self) -> None:
        names = [self._name(sequence) for sequence in self._sequences()]
        if names and all(map(_is_foreign, names)):
            raise StoreError(f"{names[0]} is another program's, or damaged: choose another path")

    def _sequences(self) -> list[int]:
        """The numbers of the files that are there, the newest first.

        Whatever else has such a name, a directory for example, is none of them.
        """
        pattern = re.compile(re.escape(self.path.name) + r"\.([0-9]{10})")
        with os.scandir(self.path.parent) as entries:
            found = [
                int(match[1])
                for entry in entries
                if (match := pattern.fullmatch(entry.name))
                and (entry.is_file(follow_symlinks=False) or entry.is_symlink())
            ]
        return sorted((number for number in found if 0 < number <= _LAST), reverse=True)

    def _read(self, name: Path) -> Packed | None:
        """Return one file's payload, or None, with a warning, if it is damaged."""
        try:
            with open_to_read(name) as file:
                return unpack_frame(file.readall())
        except ValueError as error:
            logger.warning("%s is damaged and is passed over: %s", name, error)
        except FileNotFoundError:
            raise
        except OSError as error:
            if not self._skip_unreadable:
                raise StoreError(
                    f"{name} cannot be read: {error.strerror}. It may be whole: see to it that it "
                    "can be, or pass it over with skip_unreadable=True, which loads an older one"
                ) from error
            logger.warning("%s cannot be read and is passed over: %s", name, error.strerror)
        return None


def _write(file: FileIO, packed: Packed) -> None:
    """Without a buffer, of which a child would have a copy."""
    for part in (pack_header(packed), packed.data):
        rest = memoryview(part)
        while rest:
            rest = rest[file.write(rest) :]
    os.fsync(file.fileno())


def _is_foreign(name: Path) -> bool:
    """Whether it is certainly not ours."""
    try:
        return not _is_ours(name)
    except OSError:
        return False


def _is_ours(name: Path) -> bool:
    with open_to_read(name) as file:
        return file.read(len(MAGIC)) == MAGIC


@contextmanager
def _translation(path: Path) -> Iterator[None]:
    """Turn the system's errors into StoreError."""
    try:
        yield
    except OSError as error:
        raise StoreError(f"{path}: {error}; what was saved before is as it was") from error
