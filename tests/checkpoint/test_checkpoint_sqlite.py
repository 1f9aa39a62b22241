"""What only the SQLite store has: tables of one's own, and a file that others could have made."""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from freezethreads.checkpoint import SQLiteStore, StoreError

Connection = sqlite3.Connection


class Tally(SQLiteStore):
    """Counts per word, to which each save adds."""

    def create(self, connection: Connection) -> None:
        connection.execute("CREATE TABLE IF NOT EXISTS tally (word TEXT PRIMARY KEY, n INTEGER)")

    def write(self, connection: Connection, payload: dict[str, int]) -> None:
        for word, count in payload.items():
            connection.execute(
                "INSERT INTO tally VALUES (?, ?) ON CONFLICT DO UPDATE SET n = n + excluded.n",
                (word, count),
            )

    def read(self, connection: Connection) -> dict[str, int] | None:
        return dict(connection.execute("SELECT word, n FROM tally")) or None


@contextmanager
def database(path: Path) -> Iterator[Connection]:
    """The file as SQLite itself sees it; what is done to it is committed at the end."""
    with closing(sqlite3.connect(path)) as connection, connection:
        yield connection


def test_a_subclass_keeps_its_own_tables(tmp_path: Path) -> None:
    store = Tally(tmp_path / "t")
    assert store.load() is None
    assert store.save({"a": 1, "b": 2}) is None
    assert store.save({"a": 3}) is None
    assert Tally(tmp_path / "t").load() == {"a": 4, "b": 2}


def test_a_subclass_gets_a_copy_of_what_was_taken(tmp_path: Path) -> None:
    live = {"a": 1}
    ready = Tally(tmp_path / "t").detach(live)
    assert ready == live
    assert ready is not live


def test_a_save_that_fails_half_way_changes_nothing(tmp_path: Path) -> None:
    store = Tally(tmp_path / "t")
    store.save({"a": 1})
    with pytest.raises(StoreError):
        store.save({"a": 1, "b": object()})
    assert store.load() == {"a": 1}


def test_a_cursor_that_outlives_a_failed_save_holds_no_lock(tmp_path: Path) -> None:
    cursors: list[sqlite3.Cursor] = []

    class Keeping(Tally):
        def write(self, connection: Connection, payload: dict[str, int]) -> None:
            super().write(connection, payload)
            cursors.append(connection.execute("SELECT 1 UNION SELECT 2"))
            assert next(cursors[0]) == (1,)
            raise RuntimeError("half way")

    with pytest.raises(RuntimeError, match="half way"):
        Keeping(tmp_path / "t").save({"a": 1})
    Tally(tmp_path / "t").save({"a": 2})
    assert Tally(tmp_path / "t").load() == {"a": 2}


def test_an_error_of_the_subclass_itself_is_raised_as_it_is(tmp_path: Path) -> None:
    store = Tally(tmp_path / "t")
    with pytest.raises(AttributeError, match="items"):
        store.save([1])
    assert store.load() is None
    store.save({"a": 1})  # no transaction was left open


@pytest.mark.parametrize(
    "end", [lambda c: c.commit(), lambda c: c.executescript("SELECT 1")], ids=["commit", "script"]
)
def test_a_write_that_ends_the_transaction_is_found_out(
    tmp_path: Path, end: Callable[[Connection], object]
) -> None:
    class Hasty(Tally):
        def write(self, connection: Connection, payload: dict[str, int]) -> None:
            super().write(connection, payload)
            end(connection)

    with pytest.raises(StoreError, match="ended the transaction"):
        Hasty(tmp_path / "t").save({"a": 1})


def test_create_may_run_a_script(tmp_path: Path) -> None:
    class Scripted(Tally):
        def create(self, connection: Connection) -> None:
            connection.executescript("CREATE TABLE IF NOT EXISTS tally (word PRIMARY KEY, n)")

    store = Scripted(tmp_path / "t")
    store.save({"a": 1})
    assert Scripted(tmp_path / "t").load() == {"a": 1}


def test_create_is_called_again_after_one_that_was_cut_short(tmp_path: Path) -> None:
    class Broken(Tally):
        def create(self, connection: Connection) -> None:
            connection.executescript("CREATE TABLE other (a)")  # which commits
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Broken(tmp_path / "t")
    store = Tally(tmp_path / "t")
    store.save({"a": 1})
    assert store.load() == {"a": 1}


def test_the_settings_that_make_a_save_durable(tmp_path: Path) -> None:
    found: list[Any] = []

    class Curious(SQLiteStore):
        def write(self, connection: Connection, payload: Any) -> None:
            for name in ("synchronous", "journal_mode"):
                found.extend(connection.execute(f"PRAGMA {name}").fetchone())

    Curious(tmp_path / "t").save(1)
    assert found == [3, "delete"]  # 3 is EXTRA


def test_a_page_that_cannot_be_read_once_is_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite calls it malformed, as one that is damaged."""
    store = SQLiteStore(tmp_path / "t")
    store.save("first")
    store.save("second")
    failed: list[str] = []

    class Failing(Connection):
        def execute(self, sql: str, *arguments: Any) -> sqlite3.Cursor:
            if "CAST(payload" in sql and not failed:
                failed.append(sql)
                error = sqlite3.DatabaseError("database disk image is malformed")
                error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
                raise error
            return super().execute(sql, *arguments)

    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *a, **k: connect(*a, factory=Failing, **k))
    assert store.load() == "second"
    assert failed


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o602])
def test_a_database_keeps_its_mode_and_a_wide_one_is_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, mode: int
) -> None:
    SQLiteStore(tmp_path / "t").save(1)
    (tmp_path / "t").chmod(mode)
    with caplog.at_level(logging.WARNING, "freezethreads.checkpoint"):
        SQLiteStore(tmp_path / "t").save(2)
    assert (tmp_path / "t").stat().st_mode & 0o777 == mode
    assert (f"mode {mode:04o}" in caplog.text) == (mode != 0o600)


def test_a_damaged_row_is_logged_and_passed_over(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = SQLiteStore(tmp_path / "t")
    store.save("first")
    store.save("second")
    with database(tmp_path / "t") as connection:
        connection.execute("UPDATE checkpoints SET payload = payload || 'x' WHERE sequence = 2")
    with caplog.at_level(logging.WARNING, "freezethreads.checkpoint"):
        assert store.load() == "first"
    assert "checkpoint 2 is damaged: the checksum differs" in caplog.text
    with database(tmp_path / "t") as connection:
        connection.execute("UPDATE checkpoints SET raw = 1 - raw")
    with pytest.raises(StoreError, match="every checkpoint in"):
        store.load()


def test_a_missing_row_is_damage_too(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store = SQLiteStore(tmp_path / "t")
    store.save("first")
    store.save("second")
    with database(tmp_path / "t") as connection:
        connection.execute("DELETE FROM checkpoints WHERE sequence = 2")
    with caplog.at_level(logging.WARNING, "freezethreads.checkpoint"):
        assert store.load() == "first"
    assert "checkpoint 2 is missing" in caplog.text
    with database(tmp_path / "t") as connection:
        connection.execute("DELETE FROM checkpoints")
    with pytest.raises(StoreError, match="every checkpoint in"):
        store.load()


def test_a_damaged_page_costs_only_the_checkpoint_that_it_belongs_to(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = SQLiteStore(tmp_path / "t")
    store.save(b"old" * 10_000)
    store.save(b"new" * 10_000)
    content = bytearray((tmp_path / "t").read_bytes())
    # Each of a payload's pages but the first begins with the number of the next, 0 in the last.
    inner = next(at for at in range(0, len(content), 4096) if content[at + 4 : at + 7] in b"newnew")
    content[inner : inner + 4] = b"\xff" * 4
    (tmp_path / "t").write_bytes(content)
    assert store.load() == b"old" * 10_000
    assert "checkpoint 2 is damaged: database disk image is malformed" in caplog.text


def test_an_error_that_is_no_damage_is_not_taken_for_it(tmp_path: Path) -> None:
    class Interrupted(SQLiteStore):
        def _read_packed(self, connection: Connection, sequence: int) -> Any:
            connection.set_progress_handler(lambda: 1, 1)
            return super()._read_packed(connection, sequence)

    store = Interrupted(tmp_path / "t")
    store.save(1)
    with pytest.raises(StoreError, match="interrupted; what was saved before is as it was"):
        store.load()


@pytest.mark.parametrize("kind", [SQLiteStore, Tally])
def test_a_file_that_was_cut_to_nothing_is_no_fresh_start(
    tmp_path: Path, kind: type[SQLiteStore]
) -> None:
    """SQLite itself takes it for a new one."""
    path = tmp_path / "t"
    store = kind(path)
    store.save({"a": 1})
    path.write_bytes(b"")
    for call in (store.load, lambda: store.save({"a": 2}), lambda: kind(path)):
        with pytest.raises(StoreError, match=r"is empty, and had a checkpoint, as t\.saved says"):
            call()
    assert path.read_bytes() == b""
    path.rename(tmp_path / "away")
    store = kind(path)
    assert store.load() is None
    path.write_bytes(b"")
    assert kind(path).load() is None, "nothing was saved since"


def test_a_store_says_that_it_has_a_checkpoint_before_it_has_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[Path] = []
    real_fsync = os.fsync

    def fsync(descriptor: int) -> None:
        if not synced:
            assert SQLiteStore(tmp_path / "t").load() is None
        status = os.fstat(descriptor)
        paths = (tmp_path, *tmp_path.iterdir())
        synced.extend(path for path in paths if os.path.samestat(path.stat(), status))
        real_fsync(descriptor)

    store = SQLiteStore(tmp_path / "t")
    monkeypatch.setattr(os, "fsync", fsync)
    for number in range(2):
        store.save(number)
        assert synced == [tmp_path / "t.saved", tmp_path]


def test_a_mark_that_cannot_be_made_is_an_error_that_changes_nothing(tmp_path: Path) -> None:
    store = SQLiteStore(tmp_path / "t")
    (tmp_path / "t.saved").symlink_to(tmp_path / "no" / "where")
    with pytest.raises(StoreError, match="what was saved before is as it was"):
        store.save(1)
    assert store.load() is None
    (tmp_path / "t.saved").unlink()
    store.save(1)
    assert store.load() == 1


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "t"
    path.write_text("these are my notes, of more than a few bytes " * 100)
    with pytest.raises(StoreError, match=r"not a database; put a copy of it back"):
        SQLiteStore(path)
    assert path.read_text().startswith("these are my notes")


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE TABLE mine (a)",
        "PRAGMA application_id = 5",
        "PRAGMA user_version = 5",
        "PRAGMA journal_mode = WAL",
    ],
)
def test_another_program_s_database_is_refused(tmp_path: Path, sql: str) -> None:
    path = tmp_path / "t"
    with database(path) as connection:
        connection.execute(sql)
    before = path.read_bytes()
    with pytest.raises(StoreError, match="belongs to another program"):
        SQLiteStore(path)
    assert path.read_bytes() == before


def test_a_newer_format_is_refused(tmp_path: Path) -> None:
    SQLiteStore(tmp_path / "t")
    with database(tmp_path / "t") as connection:
        connection.execute("PRAGMA user_version = 2")
    with pytest.raises(StoreError, match="has format 2; this version knows 1"):
        SQLiteStore(tmp_path / "t")


def test_damaged_pages_of_a_subclass_are_found(tmp_path: Path) -> None:
    store = Tally(tmp_path / "t")
    store.save({str(number): number for number in range(2000)})
    content = (tmp_path / "t").read_bytes()
    pages = [content[at : at + 4096] for at in range(0, len(content), 4096)]
    first, second = [number for number, page in enumerate(pages) if page[0] == 0x0D][:2]  # leaves
    pages[first], pages[second] = pages[second], pages[first]
    (tmp_path / "t").write_bytes(b"".join(pages))
    with database(tmp_path / "t") as connection:
        assert store.read(connection)  # SQLite itself notices nothing
    with pytest.raises(StoreError, match="put a copy of it back"):
        store.load()


def test_a_locked_file_is_an_error_that_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real_connect = sqlite3.connect
    store = SQLiteStore(tmp_path / "t")
    store.save(1)
    with database(tmp_path / "t") as other:
        other.execute("BEGIN EXCLUSIVE")
        monkeypatch.setattr(
            sqlite3, "connect", lambda path, **options: real_connect(path, timeout=0, **options)
        )
        with pytest.raises(StoreError, match="locked; what was saved before is as it was"):
            store.save(2)
    assert store.load() == 1
