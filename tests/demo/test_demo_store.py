"""The demo's file: what is saved comes back, and what must not be gone on with is refused."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from freezethreads.checkpoint import StoreError
from freezethreads.demo._documents import Document, Tokens, list_documents
from freezethreads.demo._index import Index
from freezethreads.demo._resume import Beginning, WrongIndex, open_index
from freezethreads.demo._store import IndexStore

TEXTS = {"a.py": "x = 'é'\n", "b.py": "y = x + 1\n", "c/d.py": "x = (\n"}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "root"
    for name, text in TEXTS.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "index.sqlite3"


def begin(file: Path, root: Path) -> Beginning:
    return open_index(file, root, list_documents(root))


def index_document(index: Index, document: Document) -> None:
    tokens = Tokens(Path(document.file).read_bytes())
    index.begin(document.path)
    index.add(document.path, tokens)
    index.finish(document.path, tokens.problem)


def index_all(file: Path, root: Path) -> str:
    """Index what there is to do, save it as one checkpoint, and return the digest."""
    beginning = begin(file, root)
    for document in beginning.todo:
        index_document(beginning.index, document)
    beginning.store.save(beginning.recorder.take_whole())
    return beginning.index.digest()


def test_an_empty_file_is_a_new_beginning(file: Path, root: Path) -> None:
    for _ in range(2):  # the file is made by the first
        beginning = begin(file, root)
        assert (beginning.checkpoint, beginning.finished, beginning.begun) == (0, 0, 0)
        assert [document.path for document in beginning.todo] == [
            document.path for document in list_documents(root)
        ]


def test_what_was_saved_comes_back(file: Path, root: Path) -> None:
    digest = index_all(file, root)
    beginning = begin(file, root)
    assert beginning.index.digest() == digest
    assert (beginning.checkpoint, beginning.finished, beginning.begun) == (1, len(TEXTS), 0)
    assert (beginning.todo, beginning.gone) == ([], frozenset())
    assert beginning.index.finished["c/d.py"].startswith("TokenError")


def test_each_checkpoint_adds_what_has_changed(file: Path, root: Path) -> None:
    """A document that was saved in part is written again, and the others stay."""
    beginning = begin(file, root)
    recorder, index = beginning.recorder, beginning.index
    index_document(index, beginning.todo[0])
    path = beginning.todo[1].path
    index.begin(path)
    for token in ("one", "two", "one"):
        index.add(path, [token])
        beginning.store.save(recorder.take_whole())
        recorder.keep()
    again = begin(file, root)
    assert again.index.digest() == index.digest()
    assert (again.checkpoint, again.finished, again.begun) == (3, 1, 1)
    assert [document.path for document in again.todo] == [
        document.path for document in beginning.todo[1:]
    ]
    index.finish(path, "early")
    beginning.store.save(recorder.take_whole())
    again = begin(file, root)
    assert again.index.digest() == index.digest()
    assert (again.finished, again.begun, again.index.finished[path]) == (2, 0, "early")


def test_what_was_indexed_again_stays_in_later_checkpoints(file: Path, root: Path) -> None:
    index_all(file, root)
    (root / "a.py").write_text("quite = different\n")
    (root / "e.py").write_text("e = 1\n")
    beginning = begin(file, root)
    assert {document.path for document in beginning.todo} == {"a.py", "e.py"}
    for document in sorted(beginning.todo, key=lambda document: document.path):
        index_document(beginning.index, document)
        beginning.store.save(beginning.recorder.take_whole())
        beginning.recorder.keep()
    assert begin(file, root).index.digest() == beginning.index.digest()


@pytest.mark.parametrize("change", ["longer", "newer", "removed", "added"])
def test_what_has_changed_since_is_indexed_again(
    file: Path, root: Path, tmp_path: Path, change: str
) -> None:
    index_all(file, root)
    match change:
        case "longer":
            (root / "a.py").write_text("quite = different\n")
        case "newer":
            (root / "a.py").write_text("z = 'é'\n")
            (root / "a.py").touch()
        case "removed":
            (root / "a.py").unlink()
        case "added":
            (root / "e.py").write_text("e = 1\n")
    beginning = begin(file, root)
    assert beginning.gone == (frozenset() if change == "added" else {"a.py"})
    digest = index_all(file, root)
    assert digest == index_all(tmp_path / "anew.sqlite3", root)
    again = begin(file, root)
    assert (again.todo, again.gone, again.index.digest()) == ([], frozenset(), digest)


def test_another_root_is_refused(file: Path, root: Path, tmp_path: Path) -> None:
    index_all(file, root)
    before = file.read_bytes()
    with pytest.raises(WrongIndex, match=f"holds an index of {root}, not of {tmp_path}"):
        begin(file, tmp_path)
    assert file.read_bytes() == before


def test_another_python_is_refused(file: Path, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index_all(file, root)
    monkeypatch.setattr("platform.python_version", lambda: "3.99.0")
    with pytest.raises(WrongIndex, match=r"begun by Python 3\.\d+\.\d+\S*, and this is 3\.99\.0"):
        begin(file, root)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE about SET tokens = tokens + 1",
        "UPDATE postings SET number = number + 1 WHERE token = 'x'",
        "DELETE FROM postings WHERE token = 'x'",
        "UPDATE documents SET tokens = tokens - 1 WHERE path = 'a.py'",
        "UPDATE documents SET finished = 0 WHERE path = 'a.py'",
        "DELETE FROM documents WHERE path = 'a.py'",
    ],
)
def test_a_file_that_does_not_agree_with_itself_is_refused(
    file: Path, root: Path, statement: str
) -> None:
    index_all(file, root)
    connection = sqlite3.connect(file)
    with connection:
        connection.execute(statement)
    connection.close()
    with pytest.raises(StoreError, match="is damaged"):
        begin(file, root)


def test_two_cannot_write_to_one_file(file: Path, root: Path) -> None:
    first, second = begin(file, root), begin(file, root)
    index_document(first.index, first.todo[0])
    first.store.save(first.recorder.take_whole())
    index_document(second.index, second.todo[1])
    with pytest.raises(StoreError, match="another one writes to the same file"):
        second.store.save(second.recorder.take_whole())
    assert begin(file, root).index.digest() == first.index.digest()


def test_a_checkpoint_that_fails_counts_for_nothing(
    file: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next one has all that it would have had, and its number."""
    beginning = begin(file, root)
    recorder = beginning.recorder
    index_document(beginning.index, beginning.todo[0])
    with monkeypatch.context() as patch:
        patch.setattr("freezethreads.demo._store._WRITE_POSTINGS", "INSERT INTO nowhere SELECT ?")
        with pytest.raises(StoreError):
            beginning.store.save(recorder.take_whole())
    assert begin(file, root).checkpoint == 0
    index_document(beginning.index, beginning.todo[1])
    beginning.store.save(recorder.take_whole())
    again = begin(file, root)
    assert (again.checkpoint, again.index.digest()) == (1, beginning.index.digest())


def test_a_store_hands_on_a_snapshot_as_it_is(file: Path, root: Path) -> None:
    beginning = begin(file, root)
    snapshot = beginning.recorder.take_whole()
    store: IndexStore = beginning.store
    assert store.detach(snapshot) is snapshot
