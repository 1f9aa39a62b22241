"""What only the file store has: files beside others, in one order, for one store at a time."""

from __future__ import annotations

import errno
import fcntl
import logging
import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from io import FileIO
from pathlib import Path
from typing import Any

import pytest

from freezethreads.checkpoint import FileStore, StoreError, _files
from helpers import run_python

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
        assert "another store uses this path; close() that one, or give a longer" in result.stderr
    FileStore(tmp_path / "f", wait=0).close()


def test_the_constructor_waits_for_the_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = FileStore(tmp_path / "f")
    monkeypatch.setattr(_files, "sleep", lambda _: first.close())
    FileStore(tmp_path / "f", wait=None).close()


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


def test_a_lock_that_is_not_given_back_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was saved is durable by then, and nothing stays open that would keep the lock."""
    real_flock = fcntl.flock

    def flock(file: Any, how: int) -> None:
        if how == fcntl.LOCK_UN:
            raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))
        real_flock(file, how)

    with closing(FileStore(tmp_path / "f")) as store:
        opened = os.listdir("/dev/fd")
        monkeypatch.setattr(fcntl, "flock", flock)
        store.save(1)
        assert os.listdir("/dev/fd") == opened
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


def test_what_has_such_a_name_and_is_no_checkpoint_is_left_alone(tmp_path: Path) -> None:
    """A number that has no next one, digits that are not those of this store, and no files."""
    with closing(FileStore(tmp_path / "f")) as store:
        store.save(1)
    whole = (tmp_path / "f.0000000001").read_bytes()
    strange = ["f.9999999999", "f.0000000000", "f." + 9 * "\u0660" + "\u0667", "f.00000000007"]
    for name in strange:
        (tmp_path / name).write_bytes(whole)
    (tmp_path / "f.0000000007").mkdir()
    os.mkfifo(tmp_path / "f.0000000008")
    strange += ["f.0000000007", "f.0000000008"]
    with closing(FileStore(tmp_path / "f")) as store:
        for number in range(2, 5):
            store.save(number)
            assert store.load() == number
    left = {path.name for path in tmp_path.iterdir()} - set(strange)
    assert left == {"f.0000000003", "f.0000000004", "f.lock"}
    assert set(strange) <= {path.name for path in tmp_path.iterdir()}


def test_after_the_last_number_nothing_is_saved_and_nothing_removed(tmp_path: Path) -> None:
    with closing(FileStore(tmp_path / "f", keep=1)) as store:
        store.save(1)
        (tmp_path / "f.0000000001").rename(tmp_path / "f.9999999997")
        store.save(2)
        with pytest.raises(StoreError, match=r"f\.9999999998 has the last number .* move it away"):
            store.save(3)
        assert store.load() == 2
        (tmp_path / "f.9999999998").rename(tmp_path / "copy")
        store.save(3)
        assert store.load() == 3
    assert sorted(path.name for path in tmp_path.iterdir()) == ["copy", "f.0000000001", "f.lock"]


def test_what_is_not_ours_does_not_count_as_kept(tmp_path: Path) -> None:
    """Else those that are whole would be removed for it."""
    with closing(FileStore(tmp_path / "f", keep=3)) as store:
        for number in range(3):
            store.save(number)
        (tmp_path / "f.0000000004").write_bytes(b"")
        (tmp_path / "f.0000000005").write_text("mine")
        store.save("new")
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {f"f.000000000{number}" for number in (2, 3, 4, 5, 6)} | {"f.lock"}


def test_an_old_one_that_cannot_be_removed_does_not_undo_a_save(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(_: Path) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    with closing(FileStore(tmp_path / "f", keep=1)) as store:
        store.save(1)
        monkeypatch.setattr(os, "unlink", refuse)
        assert store.save(b"12") == 2
        assert store.load() == b"12"
    assert "f.0000000001 is left where it is: Operation not permitted" in caplog.text


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


@contextmanager
def unwritable(number: int) -> Iterator[None]:
    """Nothing can be opened to write to it."""

    def refuse(name: Path, mode: str, **options: Any) -> FileIO:
        if mode != "r":
            raise OSError(number, os.strerror(number), str(name))
        return FileIO(name, mode, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_files, "FileIO", refuse)
        yield


@pytest.mark.parametrize("name", ["EROFS", "EACCES", "EPERM", "ENOSPC", "EDQUOT", "EIO"])
def test_what_cannot_be_written_can_be_loaded(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    """A disk becomes read-only after an error, and a backup is. The leftover of a save stays."""
    why = os.strerror(getattr(errno, name))
    with closing(FileStore(tmp_path / "f")) as store:
        store.save(1)
    (tmp_path / "f.lock").unlink()
    (tmp_path / "f.unfinished").write_bytes(b"half")
    with unwritable(getattr(errno, name)):
        store = FileStore(tmp_path / "f", wait=0)
        assert f"can be loaded from, and not be saved to: {why}" in caplog.text
        assert store.load() == 1
        with pytest.raises(StoreError, match=why):
            store.save(2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["f.0000000001", "f.unfinished"]
    store.save(2)
    with pytest.raises(StoreError, match="another store uses this path"):
        FileStore(tmp_path / "f", wait=0)
    assert store.load() == 2
    store.close()


def test_a_lock_that_cannot_be_opened_for_another_reason_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "f.lock").mkdir()
    with pytest.raises(StoreError, match="Is a directory"):
        FileStore(tmp_path / "f")


@contextmanager
def unreadable(path: Path, number: int) -> Iterator[None]:
    """Nothing comes of reading this file. (Root may read all, so the mode would not do.)"""
    real = os.open

    def open_it(name: Any, *args: Any, **options: Any) -> int:
        if name == path:
            raise OSError(number, os.strerror(number), str(path))
        return real(name, *args, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "open", open_it)
        yield


@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO])
def test_a_newest_one_that_cannot_be_read(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, number: int
) -> None:
    """It may be whole, so only who says so gets an older one."""
    with closing(FileStore(tmp_path / "f", keep=2)) as store:
        for payload in (1, 2):
            store.save(payload)
    newest, why = tmp_path / "f.0000000002", os.strerror(number)
    with unreadable(newest, number):
        with closing(FileStore(tmp_path / "f")) as store:
            with pytest.raises(StoreError, match=f"0002 cannot be read: {why}.*skip_unreadable"):
                store.load()
            assert caplog.text == ""
        with closing(FileStore(tmp_path / "f", skip_unreadable=True)) as store:
            assert store.load() == 1
            assert f"{newest} cannot be read and is passed over: {why}" in caplog.text
            store.save(3)
            store.save(4)
            assert store.load() == 4
            (tmp_path / "f.0000000003").unlink()
            (tmp_path / "f.0000000004").unlink()
            with pytest.raises(StoreError, match="none of the 1 files"):
                store.load()
    with closing(FileStore(tmp_path / "f")) as store:
        assert store.load() == 2


def test_skip_unreadable_is_a_flag(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="skip_unreadable must be True or False, not 'f'"):
        FileStore(tmp_path / "f", skip_unreadable="f")  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())
