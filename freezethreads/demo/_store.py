"""The index in a SQLite file: ordinary tables, of which a checkpoint writes what has changed."""

from __future__ import annotations

import json
import platform
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from freezethreads.checkpoint import SQLiteStore, StoreError
from freezethreads.demo._documents import Document
from freezethreads.demo._index import Index
from freezethreads.demo._snapshot import Part, Snapshot

__all__ = ["IndexStore", "Saved"]

_TABLES = (
    "CREATE TABLE IF NOT EXISTS about"
    " (checkpoint INTEGER, root TEXT, python TEXT, tokens INTEGER, documents INTEGER)",
    "CREATE TABLE IF NOT EXISTS documents"
    " (id INTEGER PRIMARY KEY, path TEXT UNIQUE, size INTEGER, modified INTEGER, tokens INTEGER,"
    " finished INTEGER, problem TEXT)",
    "CREATE TABLE IF NOT EXISTS postings"
    " (document INTEGER REFERENCES documents, token TEXT, number INTEGER,"
    " PRIMARY KEY (document, token)) WITHOUT ROWID",
)
_READ_POSTINGS = "SELECT token, number FROM postings WHERE document = ?"

# The rows go in as one JSON text, so that SQLite writes them all in one go. Row by row, this thread
# would give up the GIL before each of them, and then wait for its turn among those that compute.
_WRITE_DOCUMENTS = """
    INSERT INTO documents (path, size, modified, tokens, finished, problem)
    SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]'),
        json_extract(value, '$[3]'), json_extract(value, '$[4]'), json_extract(value, '$[5]')
    FROM json_each(?)
    WHERE true ON CONFLICT (path) DO UPDATE SET
        size = excluded.size, modified = excluded.modified, tokens = excluded.tokens,
        finished = excluded.finished, problem = excluded.problem"""
_WRITE_POSTINGS = """
    INSERT OR REPLACE INTO postings
    SELECT documents.id, json_extract(posting.value, '$[0]'), json_extract(posting.value, '$[1]')
    FROM json_each(?) AS part
    JOIN documents ON documents.path = json_extract(part.value, '$[0]')
    JOIN json_each(part.value, '$[6]') AS posting"""


@dataclass(frozen=True)
class Saved:
    """What a file holds."""

    checkpoint: int
    root: str
    python: str
    documents: dict[str, Document]
    """By path, the documents in the index; what to open is not known here, and empty."""
    index: Index


class IndexStore(SQLiteStore):
    """Keeps the newest state of one index. `save` takes a `Snapshot`, `load` returns a `Saved`.

    For one thread. Two of them cannot write to one file: the second to try raises `StoreError`.
    """

    def __init__(self, path: Path, root: Path) -> None:
        self.checkpoint = 0
        """The number of the newest checkpoint that was saved or loaded."""
        self._root = str(root)
        super().__init__(path)

    def create(self, connection: sqlite3.Connection) -> None:
        """Make the tables, and the one row of `about`, which is checkpoint 0: nothing."""
        for table in _TABLES:
            connection.execute(table)
        connection.execute(
            "INSERT INTO about SELECT 0, ?, ?, 0, 0 WHERE NOT EXISTS (SELECT 1 FROM about)",
            (self._root, platform.python_version()),
        )

    def detach(self, payload: Snapshot) -> Snapshot:
        """Return `payload` itself: a snapshot is a copy already."""
        return payload

    def save(self, payload: Snapshot) -> int | None:
        """Make `payload` durable as the next checkpoint. Raises `StoreError`."""
        size = super().save(payload)
        self.checkpoint += 1
        return size

    def write(self, connection: sqlite3.Connection, payload: Snapshot) -> None:
        """Write what the snapshot has, over what was there of the same documents."""
        newest = connection.execute("SELECT checkpoint FROM about").fetchone()[0]
        if newest != self.checkpoint:
            raise StoreError(
                f"{self.path}: checkpoint {newest} is not from this process, so another one writes "
                "to the same file; it goes on, and this one has lost nothing that was saved"
            )
        for path in payload.gone:
            _forget(connection, path)
        _write_parts(connection, payload)
        connection.execute(
            "UPDATE about SET checkpoint = checkpoint + 1, tokens = ?, documents = ?",
            (payload.tokens, payload.documents),
        )

    def read(self, connection: sqlite3.Connection) -> Saved | None:
        """Build the index again; None if no checkpoint was saved yet."""
        about = connection.execute("SELECT * FROM about").fetchone()
        self.checkpoint, root, python, tokens, number = about
        if not self.checkpoint:
            return None
        index = Index()
        index.tokens, index.documents = tokens, number
        documents = {found.path: found for found in _read_documents(connection, index)}
        return Saved(self.checkpoint, root, python, documents, index)


def _forget(connection: sqlite3.Connection, path: str) -> None:
    number = "(SELECT id FROM documents WHERE path = ?)"
    connection.execute(f"DELETE FROM postings WHERE document = {number}", (path,))
    connection.execute("DELETE FROM documents WHERE path = ?", (path,))


def _write_parts(connection: sqlite3.Connection, snapshot: Snapshot) -> None:
    rows = [_row_of(snapshot.catalogue[path], part) for path, part in snapshot.parts.items()]
    text = json.dumps(rows)
    connection.execute(_WRITE_DOCUMENTS, (text,))
    connection.execute(_WRITE_POSTINGS, (text,))


def _row_of(document: Document, part: Part) -> tuple[object, ...]:
    """What the statements above find at 0 to 6."""
    finished = part.problem is not None
    pairs = list(part.postings.items())
    about = document.path, document.size, document.modified, part.length
    return *about, finished, part.problem or "", pairs


def _read_documents(connection: sqlite3.Connection, index: Index) -> Iterator[Document]:
    """Put every document into `index`, and yield what the file says about it."""
    rows = connection.execute(
        "SELECT id, path, size, modified, tokens, finished, problem FROM documents"
    ).fetchall()
    for number, path, size, modified, length, finished, problem in rows:
        words = dict(connection.execute(_READ_POSTINGS, (number,)))
        index.restore(path, words, length, problem if finished else None)
        yield Document(path, size, modified)
