"""Damage on disk: a store gives back one of the payloads that were saved, or says why it cannot.

Never anything else: no half of a payload, no mixture, no other error, and no "nothing was saved".
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from freezethreads.checkpoint import FileStore, SQLiteStore, StoreError

Kind = type[FileStore] | type[SQLiteStore]

OLD = {"old": list(range(100))}


@pytest.fixture(params=[{"new": list(range(200))}, b"new" * 100], ids=["pickled", "raw"])
def two(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[FileStore, Path]]:
    """A store with two checkpoints, and the file of the newer one."""
    with closing(FileStore(tmp_path / "f")) as store:
        store.save(OLD)
        store.save(request.param)
        yield store, tmp_path / "f.0000000002"


def test_each_byte_of_a_file_is_guarded(two: tuple[FileStore, Path]) -> None:
    store, newest = two
    whole = newest.read_bytes()
    for offset in range(len(whole)):
        damaged = bytearray(whole)
        damaged[offset] ^= 1 << offset % 8
        newest.write_bytes(damaged)
        assert store.load() == OLD, f"byte {offset}"


def test_each_length_of_a_file_is_guarded(two: tuple[FileStore, Path]) -> None:
    store, newest = two
    whole = newest.read_bytes()
    for length in range(len(whole)):
        newest.write_bytes(whole[:length])
        assert store.load() == OLD, f"{length} bytes"
    newest.write_bytes(whole + b"\0")
    assert store.load() == OLD


def test_damage_does_not_stop_the_next_save(two: tuple[FileStore, Path]) -> None:
    store, newest = two
    newest.write_bytes(newest.read_bytes()[:-1])
    store.save({"newer": 1})
    assert store.load() == {"newer": 1}
    newest.with_name("f.0000000003").write_bytes(b"")
    with pytest.raises(StoreError, match="none of the 2 files"):
        store.load()


Edit = Callable[[bytes], bytes]


def cut(share: float) -> Edit:
    return lambda content: content[: int(share * len(content))]


def overwrite(share: float, patch: bytes) -> Edit:
    def edit(content: bytes) -> bytes:
        start = int(share * len(content))
        return content[:start] + patch + content[start + len(patch) :]

    return edit


def wipe(share: float, value: int) -> Edit:
    return overwrite(share, bytes([value]) * 4096)


def swap_pages(first: int, second: int) -> Edit:
    """As if a write had gone to the wrong place."""

    def edit(content: bytes) -> bytes:
        pages = [content[at : at + 4096] for at in range(0, len(content), 4096)] or [b""]
        left, right = first % len(pages), second % len(pages)
        pages[left], pages[right] = pages[right], pages[left]
        return b"".join(pages)

    return edit


share = st.floats(0, 1, exclude_max=True)
pages = st.integers(0, 50)
edits = st.one_of(
    st.builds(cut, share),
    st.builds(overwrite, share, st.binary(min_size=1, max_size=64)),
    st.builds(wipe, share, st.sampled_from([0, 255])),
    st.builds(swap_pages, pages, pages),
)

# Of several pages each, so that there are pages of every kind: with overflow chains, and freed.
BLOBS = [random.Random(seed).randbytes(30_000) for seed in range(4)]


@cache
def content_of(kind: Kind) -> dict[str, bytes]:
    """The files of a store in which the blobs have been saved."""
    with TemporaryDirectory() as directory:
        with closing(kind(Path(directory, "t"))) as store:
            for blob in BLOBS:
                store.save(blob)
        return {path.name: path.read_bytes() for path in Path(directory).iterdir()}


def load_from(kind: Kind, content: dict[str, bytes]) -> object:
    """What such a store loads, or why it does not."""
    with TemporaryDirectory() as directory:
        for name, data in content.items():
            Path(directory, name).write_bytes(data)
        try:
            with closing(kind(Path(directory, "t"))) as store:
                return store.load()
        except StoreError as error:
            return error


def edited(content: bytes, changes: list[Edit]) -> bytes:
    for change in changes:
        content = change(content)
    return content


@given(st.lists(edits, min_size=1, max_size=3))
@example([cut(0)])
@example([cut(0.5)])
@example([overwrite(0, bytes(100))])
@example([cut(0), overwrite(0, b"x")])
def test_a_damaged_database(changes: list[Edit]) -> None:
    content = dict(content_of(SQLiteStore))
    content["t"] = edited(content["t"], changes)
    found = load_from(SQLiteStore, content)
    assert isinstance(found, StoreError) or found in BLOBS


@given(st.lists(edits, min_size=1, max_size=3), st.lists(edits, max_size=3))
def test_damaged_files(newest: list[Edit], oldest: list[Edit]) -> None:
    content = dict(content_of(FileStore))
    for name, changes in (("t.0000000004", newest), ("t.0000000003", oldest)):
        content[name] = edited(content[name], changes)
    found = load_from(FileStore, content)
    assert isinstance(found, StoreError) or found in BLOBS[2:]
    assert oldest or found in BLOBS[2:]
