"""The demo's two ways to take a snapshot: what becomes of one that is torn."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from freezethreads import Freezer
from freezethreads.demo import INDEX
from freezethreads.demo._camera import FreezingCamera, LooseCamera
from freezethreads.demo._documents import Document
from freezethreads.demo._index import Index
from freezethreads.demo._snapshot import Recorder, TornSnapshot
from freezethreads.demo._store import IndexStore

CATALOGUE = {"a.py": Document("a.py", 1, 1)}


@pytest.fixture
def store(tmp_path: Path) -> IndexStore:
    return IndexStore(tmp_path / INDEX, tmp_path)


def test_a_torn_snapshot_is_not_saved_by_a_checkpoint(store: IndexStore) -> None:
    index = Index()
    recorder = Recorder(index, CATALOGUE)
    lines: list[str] = []
    camera = FreezingCamera(store, recorder, lines.append, Freezer("test"))
    index.begin("a.py")
    index.tokens = 1
    camera.snap(1.0)
    assert (camera.snapshots, camera.freezes) == (1, [])
    assert (
        camera.torn
        == ["the documents have 0 tokens, not 1"]
        == [line.removeprefix("torn: ") for line in lines]
    )
    assert store.load() is None
    with pytest.raises(TornSnapshot):
        camera.save()
    index.tokens = 0
    camera.snap(2.0)
    assert [freeze.at for freeze in camera.freezes] == [2.0]
    saved = store.load()
    assert saved
    assert saved.index.lengths == {"a.py": 0}
    assert recorder.take().parts == {}, "the next one saves no more than what has changed"


def test_a_torn_snapshot_is_counted_and_saved_without_freezing(store: IndexStore) -> None:
    index = Index()
    camera = LooseCamera(store, Recorder(index, CATALOGUE), str)

    def tokens_with_a_snapshot_between() -> Iterator[str]:
        yield "x"
        camera.snap(1.0)
        yield "y"

    index.begin("a.py")
    index.add("a.py", tokens_with_a_snapshot_between())
    assert camera.torn == ["a.py: its words say 1 tokens, not 0"]
    assert store.load() is not None
    camera.snap(2.0)
    assert (camera.snapshots, len(camera.torn)) == (2, 1)


class Growing(dict[str, int]):
    """Adds to an index while that is read: what another thread can do at this point."""

    index: Index

    def __len__(self) -> int:
        self.index.begin(f"{len(self.index.words)}.py")
        return super().__len__()


def test_an_index_that_cannot_be_read_counts_as_torn(store: IndexStore) -> None:
    index = Index()
    camera = LooseCamera(store, Recorder(index, CATALOGUE), str)
    index.begin("a.py")
    growing = Growing()
    growing.index = index
    index.words["a.py"] = growing
    camera.snap(1.0)
    assert camera.torn == ["RuntimeError: dictionary changed size during iteration"]
    assert store.load() is None
