"""What makes a save atomic and durable, and what it leaves open. Also in the programs that save."""

from __future__ import annotations

import sqlite3
from contextlib import suppress
from io import FileIO
from pathlib import Path
from typing import Any

from freezethreads.checkpoint import StoreError
from freezethreads.checkpoint._files import OwnFiles, sync_directory
from freezethreads.checkpoint._filestore import FileStore, _write
from freezethreads.checkpoint._frame import pack_header
from freezethreads.checkpoint._payload import Packed
from freezethreads.checkpoint._sqlitestore import _set_up
from stress.mutants._mutant import breaks, put, replace


@breaks("the content of a file is durable before its name is", "stores")
def renamed_too_early() -> None:
    def write(file: FileIO, packed: Packed) -> None:
        file.write(pack_header(packed) + packed.data)

    replace(_write, write)


@breaks("the name of a file is durable before the save is acknowledged", "stores")
def folder_not_synced() -> None:
    replace(sync_directory, lambda directory: None)


@breaks("a save that fails says so", "stores")
def failure_swallowed() -> None:
    save = FileStore.save

    def swallow(self: FileStore, payload: Any) -> int:
        with suppress(StoreError):
            return save(self, payload)
        return 0

    put(FileStore, "save", swallow)


@breaks("what a save has opened it closes", "stores")
def files_left_open() -> None:
    put(OwnFiles, "close", lambda self, file: None)


@breaks("the end of the journal is durable before the save is acknowledged", "stores")
def journal_comes_back() -> None:
    _with_setting("synchronous = FULL")


@breaks("a transaction that is cut short is undone", "stores")
def no_journal() -> None:
    _with_setting("journal_mode = OFF")


def _with_setting(pragma: str) -> None:
    def set_up(connection: sqlite3.Connection, path: Path) -> bool:
        new = _set_up(connection, path)
        connection.execute(f"PRAGMA {pragma}")
        return new

    replace(_set_up, set_up)
