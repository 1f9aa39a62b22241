"""Checkpoints in one SQLite file.

What makes a save atomic is SQLite's rollback journal (https://sqlite.org/atomiccommit.html): the
commit is one moment, the deletion of the journal, and whoever opens the file after a crash before
that moment rolls back. The journal mode is DELETE and not WAL because

* between saves the checkpoint is one file, which can be copied, rather than up to three;
* a large new payload is written once: pages that were free need no entry in the journal, where
  a WAL gets every page and hands it on to the database later;
* nobody reads while somebody writes, which is what a WAL is for.

``synchronous=EXTRA`` is FULL plus one fsync of the directory after the journal is deleted. Without
it a power failure right after the commit may bring the journal back and undo a save that was
already acknowledged (https://sqlite.org/pragma.html#pragma_synchronous).

A connection lives no longer than one call. It must not be carried across a fork
(https://sqlite.org/howtocorrupt.html, 2.6), and without one there is nothing to be carried. So a
checkpoint's child is forked while nobody is in a call of its store: else it would have a lock of
the C library that nobody gives back, or take another thread's lock on the file for its own.

SQLite takes a file that was cut to nothing for a new one. So there is a mark beside it, which is
durable before the first checkpoint is: an empty file with a mark has lost what it had.
"""

from __future__ import annotations

import logging
import os
import pickle
import sqlite3
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from freezethreads._ground.original import RLock
from freezethreads.checkpoint._connections import OwnConnections
from freezethreads.checkpoint._errors import StoreError
from freezethreads.checkpoint._files import open_own, sync_directory
from freezethreads.checkpoint._forking import watch
from freezethreads.checkpoint._payload import Packed, Packer, check_payload
from freezethreads.checkpoint._store import check_keep, check_path

__all__ = ["SQLiteStore"]

logger = logging.getLogger("freezethreads.checkpoint")

_APPLICATION = 0x465A5448  # "FZTH", in the field of the header that names a file's owner
_FORMAT = 1
_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_is_cut = False
"""Whether a thread was in a call when this process was forked: its locks stay, and nobody can tell
which. They are SQLite's, of the whole process, so no store can be used any more."""
_ADVICE = "put a copy of it back, or move it away to begin again with nothing"


class SQLiteStore:
    """Keeps the newest `keep` checkpoints in the SQLite file at `path`. May be used by any thread.

    A payload of ``bytes`` is stored as it is, anything else as ``dumps(payload)``. The default,
    pickle, must not be used for a file that somebody else can write: loading it runs whatever
    code they put there. A damaged checkpoint is logged and the one before it is used. What the
    system cannot read SQLite calls damaged, too, or it ends `load` in StoreError: there is no older
    file beside it that could be loaded instead, as a FileStore has with ``skip_unreadable``.

    A subclass that keeps its data in tables of its own, and writes only what has changed,
    overrides :meth:`create`, :meth:`write` and :meth:`read`; then `keep` and `dumps` are its own
    affair. It gets a copy of what ``take()`` returned, made with `dumps` and `loads` while all
    stand still. If ``take()`` returns something that nobody touches afterwards, the copy is
    wasted: let :meth:`detach` return the payload itself.

    A child that the program forks can use the store as well, unless a thread was in a call of one
    at that moment: SQLite's locks stay then, and each call ends in StoreError. So does one in the
    middle of which a signal handler has forked, which goes on in the parent alone.

    The file is made by the constructor, and beside it, with the first checkpoint, the empty file
    ``NAME.saved``, both for this user alone. A file that is there keeps its mode, and if others may
    read or write it, that is logged. ``path`` is absolute, and ``keep`` as it was given. ValueError
    or TypeError for bad arguments, and a folder that does not exist is one; StoreError for a file
    that is damaged or has become empty, belongs to another program, is a link, or cannot be made.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        keep: int = 2,
        dumps: Callable[[Any], bytes] = pickle.dumps,
        loads: Callable[[bytes], Any] = pickle.loads,
    ) -> None:
        self.path: Path = check_path(path)
        self.keep: int = check_keep(keep)
        self._packer = Packer(dumps, loads)
        self._mark = self.path.with_name(f"{self.path.name}.saved")
        self._has_tables = type(self).write is not SQLiteStore.write
        self._closed = False
        self._calls = 0  # that are under way
        self._connections = OwnConnections()
        # One call at a time, and none while a checkpoint forks. A call in a call is one of a
        # subclass's `write` or `read`. A child makes itself a new one.
        self._lock = RLock()
        watch(self)
        with self._connection():
            pass
        mode = stat.S_IMODE(self.path.stat().st_mode)
        if mode & 0o077:
            logger.warning(
                "%s has mode %04o, so others may read or write it, and what is loaded may be "
                "theirs: chmod 600 it, unless that is meant",
                self.path,
                mode,
            )

    def create(self, connection: sqlite3.Connection) -> None:
        """Make the tables of a new file. Say ``CREATE TABLE IF NOT EXISTS``: a process that was
        killed here leaves it to the next one.
        """
        connection.execute(
            "CREATE TABLE IF NOT EXISTS checkpoints (sequence INTEGER PRIMARY KEY AUTOINCREMENT,"
            " created REAL NOT NULL, raw INTEGER NOT NULL, payload BLOB NOT NULL,"
            " checksum BLOB NOT NULL)"
        )

    def write(self, connection: sqlite3.Connection, payload: Any) -> None:
        """Write `payload`. Called inside the save's transaction, which this must not end: no
        ``commit()`` and no ``executescript()``. Whatever it raises undoes all that it wrote.
        """
        packed = self._packer.pack(payload)
        done = connection.execute(
            "INSERT INTO checkpoints (created, raw, payload, checksum) VALUES (?, ?, ?, ?)",
            (time.time(), packed.raw, packed.data, packed.checksum()),
        )
        oldest = (done.lastrowid or 0) - self.keep
        connection.execute("DELETE FROM checkpoints WHERE sequence <= ?", (oldest,))

    def read(self, connection: sqlite3.Connection) -> Any | None:
        """Return the payload as of the last save, or None if nothing was saved. Called inside a
        transaction, so that all it reads is of one moment.
        """
        found = connection.execute("SELECT sequence FROM checkpoints ORDER BY sequence DESC")
        sequences = [row[0] for row in found]
        counter = connection.execute(
            "SELECT seq FROM sqlite_sequence WHERE name = 'checkpoints'"
        ).fetchone()
        if counter and counter[0] not in sequences[:1]:
            logger.warning("%s: checkpoint %s is missing", self.path, counter[0])
        elif not sequences:
            return None
        for sequence in sequences:
            packed = self._read_packed(connection, sequence)
            if packed is not None:
                return self._packer.unpack(packed)
        raise StoreError(f"every checkpoint in {self.path} is damaged: {_ADVICE}")

    def detach(self, payload: Any) -> Any:
        """Return `payload` packed or, for a subclass with its own :meth:`write`, a copy of it.

        ValueError if it is None; TypeError if `dumps` returns no bytes, and what `dumps` raises.
        """
        packed = self._packer.pack(check_payload(payload))
        return self._packer.unpack(packed) if self._has_tables else packed

    def save(self, payload: Any) -> int | None:
        """Write `payload` in one transaction, which is durable when this returns.

        Returns the payload's size in bytes, or None if a subclass has its own :meth:`write`.
        StoreError if SQLite fails, a full disk for example, or after `close`, and the errors of
        :meth:`detach`; nothing has changed then.
        """
        check_payload(payload)
        packed = None if self._has_tables else self._packer.pack(payload)
        with self._connection() as connection, _transaction(connection, "IMMEDIATE"):
            self.write(connection, packed or payload)
            if not connection.in_transaction:
                raise StoreError("write() has ended the transaction: no commit, no executescript")
            self._make_mark()
            connection.execute("COMMIT")
        return None if packed is None else len(packed.data)

    def load(self) -> Any | None:
        """Return the payload of the newest whole checkpoint, or None if nothing was ever saved.

        StoreError if the file is damaged, so that nothing whole is left, if `loads` raises, or
        after `close`.
        """
        with self._connection() as connection, _transaction(connection, "DEFERRED"):
            if self._has_tables:
                _check_pages(connection, self.path)
            return self.read(connection)

    def close(self) -> None:
        """Refuse to save and load from now on. May be called again, and by any thread."""
        self._closed = True

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_lock": None, "_connections": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _lock=RLock(), _calls=0, _connections=OwnConnections())
        watch(self)

    def _forked(self, expected: bool) -> None:
        global _is_cut
        self._lock = RLock()
        _is_cut = _is_cut or self._calls > 0
        self._connections.forked()

    @contextmanager
    def _keeping_out(self, seconds: float) -> Iterator[bool]:
        """A block in which no other thread is in a call, for a fork; whether that was to be had.

        It waits so long for those which are.
        """
        kept = (lock := self._lock).acquire(timeout=seconds)
        try:
            yield kept
        finally:
            if kept:
                lock.release()

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        """A connection to the file, made ours if it is new, for the length of one call."""
        if self._closed:
            raise StoreError(f"the store of {self.path} is closed")
        if _is_cut:
            raise StoreError(
                "this process was forked while a thread was in a call of a SQLiteStore, so SQLite "
                "cannot be used here: fork when nobody saves or loads, or use a FileStore"
            )
        with self._lock, _translation(self.path), self._counted():
            self._check_file()
            with self._connections.open(self.path) as connection:
                if _set_up(connection, self.path):
                    self._found(connection)
                yield connection

    def _make_mark(self) -> None:
        """Note for good that there is a checkpoint: called before it is there."""
        if not self._mark.exists():
            with open_own(self._mark) as file:
                os.fsync(file.fileno())
            sync_directory(self.path.parent)

    def _check_file(self) -> None:
        """Raise if the file was emptied, or is a link. Make one, with no mark, if there is none."""
        try:
            status = self.path.lstat()
        except FileNotFoundError:
            self._mark.unlink(missing_ok=True)
            with suppress(FileExistsError):
                os.close(os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
            return
        if stat.S_ISLNK(status.st_mode):
            raise StoreError(f"{self.path} is a link: give the path of the file that it leads to")
        if not status.st_size and self._mark.exists():
            raise StoreError(
                f"{self.path} is empty, and had a checkpoint, as {self._mark.name} says: {_ADVICE}"
            )

    @contextmanager
    def _counted(self) -> Iterator[None]:
        self._calls += 1
        try:
            yield
        finally:
            self._calls -= 1

    def _found(self, connection: sqlite3.Connection) -> None:
        """Make a new file ours. The format comes last: only with it is this finished."""
        with _transaction(connection, "IMMEDIATE"):
            connection.execute(f"PRAGMA application_id = {_APPLICATION}")
            self.create(connection)
            connection.execute(f"PRAGMA user_version = {_FORMAT}")
            if connection.in_transaction:  # not so if create() ran a script, which is no harm here
                connection.execute("COMMIT")

    def _read_packed(self, connection: sqlite3.Connection, sequence: int) -> Packed | None:
        """Return one checkpoint, or None, with a warning, if it is damaged.

        SQLite says the same of a page that the system could not read: so it is read once more.
        """
        for _ in range(2):
            try:
                packed = _packed_in(connection, sequence)
            except sqlite3.DatabaseError as error:
                if not _is_damage(error):
                    raise
                why = str(error)
            else:
                if packed is not None:
                    return packed
                why = "the checksum differs"
        logger.warning("%s: checkpoint %s is damaged: %s", self.path, sequence, why)
        return None


def _packed_in(connection: sqlite3.Connection, sequence: int) -> Packed | None:
    """Return one checkpoint, or None if it is not as it was saved. Raises sqlite3.DatabaseError."""
    row = connection.execute(
        # The casts, since damage may have made text of it that cannot be decoded.
        "SELECT raw, CAST(payload AS BLOB), CAST(checksum AS BLOB)"
        " FROM checkpoints WHERE sequence = ?",
        (sequence,),
    ).fetchone()
    if row is None or row[1] is None:
        return None
    packed = Packed(row[1], bool(row[0]))
    return packed if packed.checksum() == row[2] else None


def _set_up(connection: sqlite3.Connection, path: Path) -> bool:
    """Look whose file it is, then choose durability. Returns whether it is to be made ours."""
    try:
        new = _is_new(connection, path)
        connection.execute("PRAGMA journal_mode = DELETE")
        connection.execute("PRAGMA synchronous = EXTRA")
        return new
    except UnicodeDecodeError as error:  # SQLite quotes in its message the damage that it found
        raise StoreError(f"{path} is damaged: {_ADVICE}") from error


@contextmanager
def _transaction(connection: sqlite3.Connection, kind: str) -> Iterator[None]:
    """A transaction that is undone unless the block commits it.

    Closing the connection is not enough for that: it stays open while a traceback still refers
    to a cursor.
    """
    connection.execute(f"BEGIN {kind}")
    try:
        yield
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


@contextmanager
def _translation(path: Path) -> Iterator[None]:
    """Turn SQLite's errors, and the system's, into StoreError."""
    try:
        yield
    except OSError as error:
        raise StoreError(f"{path}: {error}; what was saved before is as it was") from error
    except sqlite3.Error as error:
        advice = _ADVICE if _is_damage(error) else "what was saved before is as it was"
        raise StoreError(f"{path}: {error}; {advice}") from error


def _is_damage(error: sqlite3.Error) -> bool:
    # Errors that the module itself raises carry no code; extended codes have theirs in a byte.
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in _DAMAGED


def _is_new(connection: sqlite3.Connection, path: Path) -> bool:
    """Whether the file is still to be made ours. StoreError if it is somebody else's."""
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if application == _APPLICATION and version <= _FORMAT:
        return bool(version < _FORMAT)
    if application == _APPLICATION:
        raise StoreError(f"{path} has format {version}; this version knows {_FORMAT}: update it")
    # A file in which nothing was ever committed has no byte; damage can make one look like it.
    if path.stat().st_size:
        raise StoreError(f"{path} belongs to another program, or is damaged: choose another path")
    return True


def _check_pages(connection: sqlite3.Connection, path: Path) -> None:
    """Raise if the file's pages do not fit together: a subclass has no checksums of its own."""
    found = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    if found != "ok":
        raise StoreError(f"{path} is damaged: {found}; {_ADVICE}")
