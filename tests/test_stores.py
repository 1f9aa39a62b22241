"""The two stores: what was saved comes back; what cannot be done is said, and changes nothing."""

from __future__ import annotations

import errno
import logging
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from freezethreads.checkpoint import FileStore, SQLiteStore, Store, StoreError
from helpers import run_python, start

AnyStore = FileStore | SQLiteStore
Open = Callable[..., AnyStore]


@pytest.fixture(params=[FileStore, SQLiteStore], ids=["file", "sqlite"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Open]:
    """Opens stores of one kind at one path, and closes them."""
    stores: list[AnyStore] = []

    def open_store(**options: Any) -> AnyStore:
        for store in stores:
            store.close()
        stores.append(request.param(tmp_path / "state", **options))
        return stores[-1]

    yield open_store
    for store in stores:
        store.close()


PAYLOADS = [b"", b"\0bytes", bytearray(b"mutable"), {"key": [1, 2.5, None]}, 0, "", False]


@pytest.mark.parametrize("payload", PAYLOADS, ids=repr)
def test_what_was_saved_comes_back(opened: Open, payload: object) -> None:
    opened().save(payload)
    found = opened().load()
    assert found == payload
    assert type(found) is type(payload)


def test_nothing_saved(opened: Open) -> None:
    assert isinstance(opened(), Store)
    assert opened().load() is None


def test_the_newest_is_loaded(opened: Open) -> None:
    store = opened()
    for number in range(15):
        store.save(number)
        assert store.load() == number
    store = opened()
    store.save("after opening again")
    assert store.load() == "after opening again"


def test_the_size_is_that_of_the_payload(opened: Open) -> None:
    assert opened().save(b"12345") == 5


def never_called(_: object) -> Any:
    raise AssertionError("bytes need neither dumps nor loads")


def test_bytes_are_stored_as_they_are(opened: Open) -> None:
    opened(dumps=never_called, loads=never_called).save(b"raw")
    assert opened(dumps=never_called, loads=never_called).load() == b"raw"


def test_dumps_and_loads_can_be_replaced(opened: Open) -> None:
    store = opened(dumps=lambda text: text.encode()[::-1], loads=lambda data: data[::-1].decode())
    store.save("text")
    assert store.load() == "text"
    assert opened(loads=bytes).load() == b"txet"


def test_what_is_detached_does_not_change_with_the_original(opened: Open) -> None:
    live = {"a": 1}
    store = opened()
    ready = store.detach(live)
    live["a"] = 2
    store.save(ready)
    assert store.load() == {"a": 1}


def test_none_cannot_be_saved(opened: Open) -> None:
    store = opened()
    with pytest.raises(ValueError, match="None"):
        store.save(None)
    with pytest.raises(ValueError, match="None"):
        store.detach(None)
    assert store.load() is None


def test_a_failing_dumps_leaves_the_store_as_it_was(opened: Open) -> None:
    store = opened()
    store.save(1)
    with pytest.raises(AttributeError):
        store.save(lambda: None)
    assert store.load() == 1
    with pytest.raises(TypeError, match="dumps must return bytes"):
        opened(dumps=str).save(2)


def test_a_failing_loads_is_not_taken_for_damage(opened: Open) -> None:
    store = opened()
    store.save(1)
    store.save(2)
    with pytest.raises(StoreError, match="is whole, but loads"):
        opened(loads=lambda data: 1 / 0).load()


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"keep": 0}, ValueError),
        ({"keep": True}, TypeError),
        ({"keep": 1.5}, TypeError),
        ({"dumps": 3}, TypeError),
        ({"loads": None}, TypeError),
    ],
    ids=repr,
)
def test_bad_options(
    opened: Open, options: dict[str, Any], error: type[Exception], tmp_path: Path
) -> None:
    with pytest.raises(error):
        opened(**options)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", [FileStore, SQLiteStore])
def test_bad_paths(kind: type[AnyStore], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is not a directory"):
        kind(tmp_path / "missing" / "state")
    with pytest.raises(ValueError, match="is a directory"):
        kind(tmp_path)
    with pytest.raises(TypeError, match="path must be"):
        kind(3)  # type: ignore[arg-type]


def test_a_closed_store_refuses(opened: Open) -> None:
    store = opened()
    store.close()
    store.close()
    for call in (lambda: store.save(1), store.load):
        with pytest.raises(StoreError, match="closed"):
            call()


def test_any_thread_may_save(opened: Open) -> None:
    store = opened(keep=100)
    together = threading.Barrier(4)

    def save(first: int) -> None:
        together.wait(10)
        for number in range(first, first + 5):
            store.save(number)

    for worker in [start(save, 100 * first) for first in range(4)]:
        worker.finish()
    assert store.load() in {4, 104, 204, 304}


def test_keep(tmp_path: Path) -> None:
    with closing(FileStore(tmp_path / "f", keep=3)) as files:
        for number in range(12):
            files.save(number)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["f.0000000010", "f.0000000011", "f.0000000012", "f.lock"]
    with closing(SQLiteStore(tmp_path / "s", keep=3)) as table:
        for number in range(12):
            table.save(number)
    with closing(sqlite3.connect(tmp_path / "s")) as connection:
        rows = connection.execute("SELECT sequence FROM checkpoints ORDER BY 1").fetchall()
    assert rows == [(10,), (11,), (12,)]


# The file store alone.


OPEN = """
import sys
from freezethreads.checkpoint import FileStore
FileStore(sys.argv[1], wait=0)
"""


def test_a_path_is_used_by_one_store_at_a_time(tmp_path: Path) -> None:
    with closing(FileStore(tmp_path / "f")) as store:
        with pytest.raises(StoreError, match="another store uses this path"):
            FileStore(tmp_path / "f", wait=0)
        result = run_python(OPEN, str(store.path), check=False)
        assert "another store uses this path" in result.stderr
    FileStore(tmp_path / "f", wait=0).close()


def test_the_constructor_waits_for_the_path(tmp_path: Path) -> None:
    first = FileStore(tmp_path / "f")
    waiting = start(lambda: FileStore(tmp_path / "f", wait=None))
    first.close()
    waiting.finish().close()


def test_a_failed_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with closing(FileStore(tmp_path / "f")) as store:
        store.save(1)
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", refuse)
            with pytest.raises(StoreError, match="No space left"):
                store.save(2)
        assert sorted(path.name for path in tmp_path.iterdir()) == ["f.0000000001", "f.lock"]
        assert store.load() == 1


def test_the_order_that_makes_a_save_durable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []
    real_fsync, real_rename, real_unlink = os.fsync, os.rename, os.unlink

    def fsync(descriptor: int) -> None:
        paths = [tmp_path, *tmp_path.iterdir()]
        steps.extend(f"fsync {path.name}" for path in paths if is_open_as(path, descriptor))
        real_fsync(descriptor)

    def rename(source: Path, target: Path) -> None:
        steps.append(f"rename {source.name} {target.name}")
        real_rename(source, target)

    def unlink(path: Path) -> None:
        steps.append(f"unlink {path.name}")
        real_unlink(path)

    with closing(FileStore(tmp_path / "f", keep=1)) as store:
        store.save(1)
        monkeypatch.setattr(os, "fsync", fsync)
        monkeypatch.setattr(os, "rename", rename)
        monkeypatch.setattr(os, "unlink", unlink)
        store.save(2)
    assert steps == [
        "fsync f.unfinished",
        "rename f.unfinished f.0000000002",
        f"fsync {tmp_path.name}",
        "unlink f.0000000001",
    ]


def is_open_as(path: Path, descriptor: int) -> bool:
    return os.path.samestat(path.stat(), os.fstat(descriptor))


def test_the_leftover_of_a_killed_save_is_removed(tmp_path: Path) -> None:
    (tmp_path / "f.unfinished").write_bytes(b"half")
    FileStore(tmp_path / "f").close()
    assert not (tmp_path / "f.unfinished").exists()


def test_other_files_are_left_alone(tmp_path: Path) -> None:
    foreign = [tmp_path / name for name in ("f", "f.1", "f.0000000001.gz", "ff.0000000009")]
    for path in foreign:
        path.write_text("mine")
    numbered = tmp_path / "f.0000000001"
    with closing(FileStore(tmp_path / "f", keep=1)) as store:
        store.save(1)
        numbered.rename(tmp_path / "f.0000000002")
        numbered.write_text("mine too")
        store.save(2)
        store.save(3)
    assert all(path.read_text() == "mine" for path in foreign)
    assert numbered.read_text() == "mine too"


def test_a_path_with_other_files_only_is_refused(tmp_path: Path) -> None:
    (tmp_path / "f.0000000001").write_text("split -d -a 10")
    with pytest.raises(StoreError, match="choose another path"):
        FileStore(tmp_path / "f")
    (tmp_path / "f.0000000001").unlink()
    FileStore(tmp_path / "f", wait=0).close()


def test_damage_is_logged_with_its_reason(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with closing(FileStore(tmp_path / "f")) as store:
        store.save(1)
        store.save(2)
        newest = tmp_path / "f.0000000002"
        newest.write_bytes(newest.read_bytes()[:-1])
        with caplog.at_level(logging.WARNING, "freezethreads.checkpoint"):
            assert store.load() == 1
        assert "f.0000000002 is damaged" in caplog.text
        assert "should have" in caplog.text
        (tmp_path / "f.0000000001").write_bytes(b"")
        with pytest.raises(StoreError, match="none of the 2 files"):
            store.load()
