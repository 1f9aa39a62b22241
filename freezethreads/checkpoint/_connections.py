"""Connections to SQLite, one a call, which do nothing in a child that is forked amid it.

A signal handler may fork in the middle of a call of its own thread, and return in the child. What
goes on there is its parent's: the child has no lock on the file, and a rollback would delete the
journal that the parent needs. So SQLite refuses every statement there; and the connection is
neither closed nor let go, since both would roll back.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from freezethreads._ground.original import get_ident, getpid
from freezethreads.checkpoint._errors import StoreError

__all__ = ["OwnConnections"]


class OwnConnections:
    """Those that one store has open. From any thread."""

    def __init__(self) -> None:
        self._open: dict[sqlite3.Connection, int] = {}

    @contextmanager
    def open(self, path: Path) -> Iterator[sqlite3.Connection]:
        """A connection for the length of a block. Raises sqlite3.Error, and StoreError in a child
        that was forked in the middle of this.
        """
        pid = getpid()
        connection = sqlite3.connect(path, isolation_level=None)
        self._open[connection] = get_ident()
        try:
            if getpid() != pid:
                raise _forked_amid(path)
            yield connection
        except sqlite3.Error as error:
            if getpid() != pid:
                raise _forked_amid(path) from error
            raise
        finally:
            if getpid() == pid:
                connection.close()
            self._open.pop(connection, None)

    def forked(self) -> None:
        """In a child: see to it that nothing is done any more with what is the parent's."""
        for connection, ident in self._open.items():
            if ident == get_ident():  # what others were in nobody goes on with
                connection.set_authorizer(lambda *_: sqlite3.SQLITE_DENY)
                _keep_for_ever(connection)


def _forked_amid(path: Path) -> StoreError:
    return StoreError(
        f"{path}: the process was forked in the middle of this, which is the parent's; here "
        "nothing was done"
    )


def _keep_for_ever(connection: sqlite3.Connection) -> None:
    """Also when the interpreter ends, which lets go of all that a module has."""
    import ctypes  # for this alone

    ctypes.pythonapi.Py_IncRef(ctypes.py_object(connection))
