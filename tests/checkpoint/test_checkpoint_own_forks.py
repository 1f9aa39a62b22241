"""A store that goes through a fork of the program's own: its locks are the parent's."""

from __future__ import annotations

import fcntl
import os
import threading
from contextlib import closing
from io import FileIO
from pathlib import Path
from typing import Any

import pytest

from checkpoints import Gate, in_a_load_of_sqlite, whole_files
from fork_helpers import Fork, forked, in_child
from freezethreads import Freezer
from freezethreads.checkpoint import (
    Checkpointer,
    FileStore,
    SQLiteStore,
    StoreError,
    _files,
)
from helpers import WAIT, run_python, start, wait_for


def test_a_program_s_own_child_does_not_use_locks_of_sqlite_that_stay(tmp_path: Path) -> None:
    """A thread is in a call of one store, so SQLite itself is not to be called by any."""
    store, gate = in_a_load_of_sqlite(tmp_path / "s")
    other = SQLiteStore(tmp_path / "other")
    loading = start(store.load)
    wait_for(gate.reached)

    def check() -> None:
        for call in (lambda: store.save(2), store.load, other.load):
            with pytest.raises(StoreError, match="SQLite cannot be used here"):
                call()
        with pytest.raises(StoreError, match="SQLite cannot be used here"):
            SQLiteStore(tmp_path / "new")
        assert not (tmp_path / "new").exists()

    forked(lambda fork: fork(), check)
    gate.go.set()
    assert loading.finish() == 1
    forked(lambda fork: fork(), lambda: store.save(2))
    assert store.load() == 2


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


@pytest.mark.parametrize("where", ["before", "after"])
def test_a_child_does_not_keep_a_path_that_was_just_being_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """
    1. A thread makes a store, and is about to lock the path, or just has.
    2. The program forks. In the child that thread does not exist.
    3. The store is closed, or its process killed. The path is free.
    """
    gate, parent, real_flock = Gate(), os.getpid(), fcntl.flock
    over, ends = os.pipe()

    def flock(file: Any, how: int) -> None:
        if where == "after":
            real_flock(file, how)
        if os.getpid() == parent:
            gate()
        if where == "before":
            real_flock(file, how)

    def body(fork: Fork) -> None:
        fork()
        if not in_child():
            patch.undo()
            gate.go.set()
            try:
                making.finish().close()
                FileStore(tmp_path / "f", wait=WAIT / 2).close()
            finally:
                os.write(ends, b"e")

    with monkeypatch.context() as patch:
        patch.setattr(fcntl, "flock", flock)
        making = start(lambda: FileStore(tmp_path / "f", wait=0))
        wait_for(gate.reached)
        forked(body, lambda: os.read(over, 1))
    os.close(over)
    os.close(ends)


def test_a_child_does_not_keep_a_file_that_was_just_being_opened(tmp_path: Path) -> None:
    """It is open, and not known to anybody but a thread that is not in the child."""
    gate = Gate()
    over, ends = os.pipe()

    class Slow(FileIO):
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            gate()

    def check() -> None:
        opened = [os.path.realpath(f"/dev/fd/{one}") for one in os.listdir("/dev/fd")]
        assert str(tmp_path / "f.lock") not in opened
        os.read(over, 1)

    def body(fork: Fork) -> None:
        fork()
        if not in_child():
            gate.go.set()
            try:
                making.finish().close()
                FileStore(tmp_path / "f", wait=WAIT / 2).close()
            finally:
                os.write(ends, b"e")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_files, "FileIO", Slow)
        making = start(lambda: FileStore(tmp_path / "f", wait=0))
        wait_for(gate.reached)
        forked(body, check)
    os.close(over)
    os.close(ends)


def test_a_fork_by_who_is_making_a_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A signal handler forks there: the store is the parent's, and the child is told so."""
    real_flock, stores = fcntl.flock, []
    errors: list[StoreError] = []
    locked, says = os.pipe()

    def body(fork: Fork) -> None:
        def flock(file: Any, how: int) -> None:
            monkeypatch.setattr(fcntl, "flock", real_flock)
            fork()
            raise BlockingIOError

        monkeypatch.setattr(fcntl, "flock", flock)
        try:
            stores.append(FileStore(tmp_path / "f", wait=WAIT))
            os.write(says, b"l")
        except StoreError as error:
            errors.append(error)

    def check() -> None:
        assert "was forked while" in str(errors[0])
        os.read(locked, 1)
        with pytest.raises(StoreError, match="another store uses this path"):
            FileStore(tmp_path / "f", wait=0)

    forked(body, check)
    assert not errors
    stores[0].save(1)
    stores[0].close()
    os.close(locked)
    os.close(says)


FORK_OF_C = """
import ctypes, os, sys
from freezethreads.checkpoint import FileStore, StoreError
store = FileStore(sys.argv[1], wait=0)
store.save("parent")
if (child := ctypes.PyDLL(None).fork()) == 0:
    for call in (lambda: store.save("child"), store.load):
        try:
            call()
        except StoreError as error:
            os.write(1, f"{error}\\n".encode())
    os._exit(0)
os.waitpid(child, 0)
assert store.load() == "parent"
"""


def test_a_fork_that_python_does_not_know_of_shares_no_store(tmp_path: Path) -> None:
    told = run_python(FORK_OF_C, str(tmp_path / "f")).stdout.splitlines()
    assert len(told) == 2
    assert all("make a store of its own here" in line for line in told)


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


FORK_IN_SAVE = """
import gc, os, signal, sqlite3, sys
from freezethreads.checkpoint import SQLiteStore, StoreError

parent, ends = os.getpid(), sys.argv[2]

class Forking(SQLiteStore):
    def write(self, connection, payload):
        super().write(connection, payload)
        if payload == "second":
            os.kill(os.getpid(), signal.SIGUSR1)
    def read(self, connection):
        if forks:
            os.kill(os.getpid(), signal.SIGUSR1)
        return super().read(connection)

def fork(number, frame):
    forks.append(child := os.fork())
    if child:
        assert os.waitpid(child, 0)[1] == 0

forks = []
signal.signal(signal.SIGUSR1, fork)
store = Forking(sys.argv[1])
store.save("first")
for call in (lambda: store.save("second"), store.load):
    try:
        call()
    except StoreError as error:
        assert os.getpid() != parent
        assert "was forked in the middle of this" in str(error), error
        del error
        gc.collect()
        if ends == "at once":
            os._exit(0)
        sys.exit()
    assert os.getpid() == parent
    assert len(os.listdir(os.path.dirname(sys.argv[1]))) == 2  # no journal is left
assert len(forks) == 2
forks.clear()
assert store.load() == "second"
with sqlite3.connect(sys.argv[1]) as connection:
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
connection.close()
"""


@pytest.mark.parametrize("ends", ["at once", "in order"])
def test_a_fork_in_the_middle_of_a_call_to_sqlite(tmp_path: Path, ends: str) -> None:
    """A signal handler forks there, and returns in both: the parent goes on with its transaction,
    and the child touches nothing of it, also when it ends."""
    run_python(FORK_IN_SAVE, str(tmp_path / "s"), ends)


JOURNAL_IN_CHILD = """
import os, signal, sys
from freezethreads.checkpoint import SQLiteStore, StoreError

class Forking(SQLiteStore):
    def write(self, connection, payload):
        super().write(connection, payload)
        if payload != "first":
            connection.execute("PRAGMA cache_spill = 1")
            os.kill(os.getpid(), signal.SIGUSR1)
            if os.getpid() == parent:
                assert os.path.exists(sys.argv[1] + "-journal")
                raise KeyboardInterrupt

def fork(number, frame):
    if (child := os.fork()):
        assert os.waitpid(child, 0)[1] == 0

parent = os.getpid()
signal.signal(signal.SIGUSR1, fork)
store = Forking(sys.argv[1])
store.save("first")
try:
    store.save("second" * 100_000)
except KeyboardInterrupt:
    assert os.getpid() == parent
except StoreError:
    assert os.getpid() != parent
    sys.exit()
assert store.load() == "first"
"""


def test_a_child_does_not_delete_the_journal_of_its_parent(tmp_path: Path) -> None:
    """With which the parent undoes its transaction."""
    run_python(JOURNAL_IN_CHILD, str(tmp_path / "s"))


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
