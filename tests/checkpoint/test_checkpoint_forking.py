"""A store that other threads use when the process is forked, and what a child has of it."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from checkpoints import Gate, in_a_load_of_sqlite, whole_files
from freezethreads import Freezer
from freezethreads.checkpoint import (
    Checkpointer,
    FileStore,
    ForkUnsafe,
    SQLiteStore,
    _filestore,
    _modes,
)
from freezethreads.checkpoint._frame import unpack_frame
from freezethreads.checkpoint._payload import Packed
from helpers import WAIT, start, wait_for


def checkpointer(store: FileStore | SQLiteStore, take: Callable[[], Any]) -> Checkpointer:
    return Checkpointer(Freezer(), store, take, mode="fork", save_timeout=WAIT)


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
