"""The two stores: what was saved comes back; what cannot be done is said, and changes nothing."""

from __future__ import annotations

import errno
import os
import pickle
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from freezethreads.checkpoint import FileStore, SQLiteStore, Store, StoreError
from helpers import start

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
    with pytest.raises((AttributeError, pickle.PicklingError)):  # the latter since 3.14
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


@pytest.mark.parametrize("kind", [FileStore, SQLiteStore])
def test_a_folder_that_cannot_be_looked_at(
    kind: type[AnyStore], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether it is one the system does not say, so this is not the caller's mistake."""

    def fail(path: Path, **options: bool) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "stat", fail)
        with pytest.raises(StoreError, match="Permission denied"):
            kind(tmp_path / "state")
    assert not list(tmp_path.iterdir())


def test_a_relative_path_stays_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, opened: Open
) -> None:
    kind = type(opened())
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    with closing(kind("here")) as store:
        monkeypatch.chdir(tmp_path / "elsewhere")
        store.save(1)
        assert store.load() == 1
    assert not list((tmp_path / "elsewhere").iterdir())


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
