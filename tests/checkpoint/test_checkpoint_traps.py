"""Where others may write: no link of theirs is followed, and no file of a store is theirs."""

from __future__ import annotations

import os
import stat
from contextlib import closing
from pathlib import Path

import pytest

from freezethreads.checkpoint import FileStore, SQLiteStore, StoreError


def modes(folder: Path) -> set[int]:
    return {stat.S_IMODE(path.lstat().st_mode) for path in folder.iterdir()}


@pytest.mark.parametrize("kind", [FileStore, SQLiteStore])
def test_the_files_of_a_store_are_this_users_alone(
    tmp_path: Path, kind: type[FileStore] | type[SQLiteStore]
) -> None:
    before = os.umask(0)
    try:
        with closing(kind(tmp_path / "f")) as store:
            store.save(1)
            assert store.load() == 1
    finally:
        os.umask(before)
    assert len(list(tmp_path.iterdir())) == 2
    assert modes(tmp_path) == {0o600}


def test_a_journal_is_this_users_alone_as_well(tmp_path: Path) -> None:
    seen: set[int] = set()

    class Curious(SQLiteStore):
        def write(self, connection: object, payload: object) -> None:
            super().write(connection, self._packer.pack(payload))  # type: ignore[arg-type]
            assert (tmp_path / "f-journal").exists()
            seen.update(modes(tmp_path))

        def read(self, connection: object) -> object:
            return super().read(connection)  # type: ignore[arg-type]

    before = os.umask(0)
    try:
        Curious(tmp_path / "f").save(1)
    finally:
        os.umask(before)
    assert seen == {0o600}


@pytest.mark.parametrize("name", ["f.lock", "f.unfinished"])
@pytest.mark.parametrize("there", [True, False])
def test_a_link_in_the_place_of_a_file_is_not_followed(
    tmp_path: Path, name: str, there: bool
) -> None:
    """Whoever plants it would have a file of this user's emptied, or made."""
    aim = tmp_path / "mine"
    if there:
        aim.write_text("mine")
    with closing(FileStore(tmp_path / "f")) as store:
        store.save(1)
        if name == "f.unfinished":
            (tmp_path / name).symlink_to(aim)
            with pytest.raises(StoreError, match="what was saved before is as it was"):
                store.save(2)
            assert store.load() == 1
    if name == "f.lock":
        (tmp_path / name).unlink()
        (tmp_path / name).symlink_to(aim)
        with pytest.raises(StoreError, match="symbolic links"):
            FileStore(tmp_path / "f")
    assert aim.exists() == there
    assert not there or aim.read_text() == "mine"


def test_a_file_with_another_name_is_not_written_to(tmp_path: Path) -> None:
    """It becomes the checkpoint, and whoever has the other name could change it."""
    (tmp_path / "theirs").write_text("theirs")
    with closing(FileStore(tmp_path / "f")) as store:
        os.link(tmp_path / "theirs", tmp_path / "f.unfinished")
        with pytest.raises(StoreError, match=r"f\.unfinished .*has another name.*remove it"):
            store.save(1)
        (tmp_path / "f.unfinished").unlink(missing_ok=True)
        store.save(1)
        assert store.load() == 1
    assert (tmp_path / "theirs").read_text() == "theirs"


def test_a_link_in_the_place_of_a_checkpoint_is_not_read(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It counts as one that cannot be read, so that nobody takes an older one for the newest."""
    with closing(FileStore(tmp_path / "f", skip_unreadable=True)) as store:
        store.save(1)
        store.save(2)
        (tmp_path / "f.0000000002").rename(tmp_path / "away")
        (tmp_path / "f.0000000002").symlink_to(tmp_path / "away")
        assert store.load() == 1
        assert "f.0000000002 cannot be read and is passed over" in caplog.text
    match = r"f\.0000000002 cannot be read: .* symbolic links"
    with closing(FileStore(tmp_path / "f")) as store, pytest.raises(StoreError, match=match):
        store.load()


@pytest.mark.parametrize("there", [True, False])
def test_a_link_in_the_place_of_a_database_is_not_followed(tmp_path: Path, there: bool) -> None:
    if there:
        SQLiteStore(tmp_path / "other").save(1)
    (tmp_path / "f").symlink_to(tmp_path / "other")
    with pytest.raises(StoreError, match="is a link: give the path of the file"):
        SQLiteStore(tmp_path / "f")
    assert (tmp_path / "other").exists() == there
