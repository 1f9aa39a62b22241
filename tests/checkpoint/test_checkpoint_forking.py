"""A store that other threads use when the process is forked, and what a child has of it."""

from __future__ import annotations

import fcntl
import os
import pickle
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from checkpoints import Gate
from fork_helpers import Fork, forked, in_child
from freezethreads import Freezer
from freezethreads.checkpoint import (
    Checkpointer,
    FileStore,
    ForkUnsafe,
    SQLiteStore,
    StoreError,
    _filestore,
    _modes,
)
from freezethreads.checkpoint._frame import unpack_frame
from freezethreads.checkpoint._payload import Packed
from helpers import WAIT, start, wait_for


def checkpointer(store: FileStore | SQLiteStore, take: Callable[[], Any]) -> Checkpointer:
    return Checkpointer(Freezer(), store, take, mode="fork", save_timeout=WAIT)


def whole_files(folder: Path) -> list[Any]:
    """What is in the files of a store, each of which is whole, in their order."""
    names = sorted(path for path in folder.iterdir() if path.suffix[1:].isdigit())
    return [pickle.loads(unpack_frame(name.read_bytes()).data) for name in names]


def test_a_child_does_not_wait_for_who_loads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    1. A thread that is not registered loads, and owns the store's lock.
    2. A checkpoint forks. In the child that thread does not exist.
    3. The child saves all the same, with the thread still in there.
    """
    with closing(FileStore(tmp_path / "f")) as store:
        store.save(1)
        gate = Gate()

        def unpack(data: bytes) -> Packed:
            gate()
            return unpack_frame(data)

        with monkeypatch.context() as patch:
            patch.setattr(_filestore, "unpack_frame", unpack)
            loading = start(store.load)
            wait_for(gate.reached)
            made = checkpointer(store, lambda: 2).checkpoint()
            gate.go.set()
            assert loading.finish() == 1
        assert made.size is not None
        assert store.load() == 2


def test_a_child_saves_after_who_saves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    1. A thread is in the middle of a save of its own.
    2. A checkpoint forks. The child has the same store, and would write to the same file.
    3. It waits for the thread's save, so that both are whole, and in this order.
    """
    gate, parent = Gate(), os.getpid()
    real_fsync, real_flock = os.fsync, fcntl.flock
    waiting, says = os.pipe()

    def fsync(file: Any) -> None:
        if os.getpid() == parent:
            gate()
        real_fsync(file)

    def flock(file: Any, how: int) -> None:
        if os.getpid() != parent:
            os.write(says, b"w")
        real_flock(file, how)

    with closing(FileStore(tmp_path / "f")) as store, monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fsync)
        patch.setattr(fcntl, "flock", flock)
        saving = start(lambda: store.save("thread"))
        wait_for(gate.reached)
        made = start(checkpointer(store, lambda: "child").checkpoint)
        assert os.read(waiting, 1) == b"w"
        gate.go.set()
        saving.finish()
        made.finish()
        assert whole_files(tmp_path) == ["thread", "child"]
    os.close(waiting)
    os.close(says)


def in_a_load_of_sqlite(path: Path) -> tuple[SQLiteStore, Gate]:
    gate = Gate()

    def loads(data: bytes) -> Any:
        gate()
        return pickle.loads(data)

    store = SQLiteStore(path, loads=loads)
    store.save(1)
    return store, gate


def test_nobody_forks_while_a_thread_is_in_a_call_of_sqlite(tmp_path: Path) -> None:
    """That thread's locks are of C, in a child they would stay, and nobody could give them back."""
    store, gate = in_a_load_of_sqlite(tmp_path / "s")
    loading = start(store.load)
    wait_for(gate.reached)
    unlucky = Checkpointer(Freezer(), store, lambda: 2, mode="fork", timeout=0.05)
    with pytest.raises(ForkUnsafe, match="in a call of the store"):
        unlucky.checkpoint()
    gate.go.set()
    assert loading.finish() == 1
    unlucky.checkpoint()
    assert store.load() == 2


def test_a_fork_waits_for_who_is_in_a_call_of_sqlite(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """First for a while in the world, then outside of it, where all others go on."""
    store, gate = in_a_load_of_sqlite(tmp_path / "s")
    monkeypatch.setattr(_modes, "_PATIENCE", 0.001)
    monkeypatch.setattr(_modes, "sleep", lambda _: gate.go.set())
    loading = start(store.load)
    wait_for(gate.reached)
    assert checkpointer(store, lambda: 2).checkpoint().sequence == 1
    assert loading.finish() == 1
    assert store.load() == 2


def test_a_call_in_a_call_of_sqlite(tmp_path: Path) -> None:
    class Careful(SQLiteStore):
        def write(self, connection: Any, payload: Any) -> None:
            before.append(SQLiteStore(self.path).load() if payload == 2 else None)
            super().write(connection, self._packer.pack(payload))

        def read(self, connection: Any) -> Any:
            return super().read(connection)

    before: list[Any] = []
    store = Careful(tmp_path / "s")
    store.save(1)
    store.save(2)
    assert (before, store.load()) == ([None, 1], 2)


def test_a_program_s_own_child_loads_and_does_not_save(tmp_path: Path) -> None:
    with closing(FileStore(tmp_path / "f", wait=0)) as store:
        store.save(1)

        def check() -> None:
            assert store.load() == 1
            with pytest.raises(StoreError, match="another store uses this path"):
                store.save(2)

        forked(lambda fork: fork(), check)
        store.save(3)
        assert whole_files(tmp_path) == [1, 3]


def test_a_child_goes_on_with_the_store_of_a_parent_that_closes_it(tmp_path: Path) -> None:
    """As the child of a daemon that puts itself into the background."""
    store = FileStore(tmp_path / "f", wait=WAIT)

    def body(fork: Fork) -> None:
        fork()
        if not in_child():
            store.close()

    forked(body, lambda: store.save(1))
    assert whole_files(tmp_path) == [1]


def test_a_child_does_not_keep_the_path(tmp_path: Path) -> None:
    """A worker that was forked lives longer than the program, which begins again."""
    store = FileStore(tmp_path / "f")
    over, ends = os.pipe()

    def body(fork: Fork) -> None:
        fork()
        if not in_child():
            store.close()
            try:
                FileStore(tmp_path / "f", wait=WAIT).close()
            finally:
                os.write(ends, b"e")

    forked(body, lambda: os.read(over, 1))
    os.close(over)
    os.close(ends)


def test_a_fork_in_the_middle_of_a_save(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A signal handler forks there: the save is the parent's, and the child says so."""
    real_fsync = os.fsync
    errors: list[StoreError] = []

    def body(fork: Fork) -> None:
        def fsync(file: Any) -> None:
            monkeypatch.setattr(os, "fsync", real_fsync)
            fork()
            real_fsync(file)

        monkeypatch.setattr(os, "fsync", fsync)
        try:
            store.save(1)
        except StoreError as error:
            errors.append(error)

    def check() -> None:
        assert "forked in the middle of this save" in str(errors[0])
        assert store.load() in (None, 1)

    with closing(FileStore(tmp_path / "f")) as store:
        forked(body, check)
    assert not errors
    assert whole_files(tmp_path) == [1]


def test_a_file_that_a_child_removes_while_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is a newer one then, which is loaded."""
    with closing(FileStore(tmp_path / "f", keep=1)) as store:
        store.save(1)
        real = FileStore._sequences
        seen: list[list[int]] = []

        def sequences(self: FileStore) -> list[int]:
            seen.append(real(self))
            if len(seen) == 1:
                checkpointer(store, lambda: 2).checkpoint()
            return seen[0] if len(seen) == 1 else real(self)

        monkeypatch.setattr(FileStore, "_sequences", sequences)
        assert store.load() == 2


def test_a_link_to_nowhere_is_an_error(tmp_path: Path) -> None:
    with closing(FileStore(tmp_path / "f")) as store:
        (tmp_path / "f.0000000001").symlink_to(tmp_path / "nowhere")
        with pytest.raises(StoreError, match="No such file"):
            store.load()


def test_a_checkpointer_in_a_child_waits_for_nobody(tmp_path: Path) -> None:
    """The thread that saved, and the one in the background, are not there."""
    gate = Gate()
    parent = os.getpid()

    class Slow(SQLiteStore):
        def detach(self, payload: Any) -> Any:
            return super().detach(payload)

        def save(self, payload: Any) -> int | None:
            if os.getpid() == parent:
                gate()
            return super().save(payload)

    maker = Checkpointer(Freezer(), Slow(tmp_path / "s"), lambda: 1, every=1e6, timeout=WAIT)
    saving = start(maker.checkpoint)
    wait_for(gate.reached)

    def check() -> None:
        assert threading.active_count() == 1
        maker.checkpoint()
        maker.stop()

    maker.start()
    try:
        forked(lambda fork: fork(), check)
    finally:
        gate.go.set()
        maker.stop()
        saving.finish()
