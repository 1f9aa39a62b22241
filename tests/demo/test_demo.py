"""The demo's main job: frozen snapshots are whole, unfrozen ones are torn, and it resumes."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from queue import SimpleQueue
from signal import Signals
from typing import Any

import pytest

from demo_runs import Recording, copy_sources, make_demo, write_long_sources
from freezethreads import Freezer
from freezethreads.demo import INDEX, Demo, Event, _work, list_documents
from freezethreads.demo._camera import FreezingCamera
from freezethreads.demo._documents import Document, Tokens
from freezethreads.demo._index import Index
from freezethreads.demo._resume import Beginning, open_index
from freezethreads.demo._snapshot import Recorder, TornSnapshot
from freezethreads.demo._store import IndexStore
from freezethreads.demo._work import SLICE, Work
from helpers import WAIT, start, wait_for


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_sources(tmp_path_factory.mktemp("sources"))


@pytest.fixture(scope="module")
def long_sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_long_sources(tmp_path_factory.mktemp("long"))


@pytest.fixture(scope="module")
def digest(sources: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Of the whole index, in one go and by one thread."""
    demo = make_demo(sources, tmp_path_factory.mktemp("whole"), threads=1)
    demo.run_freezing()
    assert demo.outcome.digest
    return demo.outcome.digest


@pytest.fixture
def store(tmp_path: Path) -> IndexStore:
    return IndexStore(tmp_path / INDEX, tmp_path)


CATALOGUE = {"a.py": Document("a.py", 1, 1)}


class Interrupting(Recording):
    """Ends the run, as a signal would, when a line with this beginning is told."""

    def __init__(self, beginning: str) -> None:
        super().__init__()
        self.events: SimpleQueue[Event] = SimpleQueue()
        self._beginning = beginning

    def detail(self, text: str) -> None:
        super().detail(text)
        if text.startswith(self._beginning):
            self.events.put(Signals.SIGINT)


def run_long(sources: Path, out: Path, until: str) -> Demo:
    """A demo with eight workers that are to be ended early."""
    view = Interrupting(until)
    return make_demo(sources, out, threads=8, every=0.01, view=view, events=view.events)


def test_frozen_snapshots_are_whole_and_unfrozen_ones_are_torn(
    tmp_path: Path, long_sources: Path
) -> None:
    frozen = run_long(long_sources, tmp_path, until="checkpoint 3:")
    frozen.run_freezing()
    result = frozen.outcome.freezing
    assert result
    assert (result.snapshots, len(result.freezes), result.torn) == (3, 3, [])

    unfrozen = run_long(long_sources, tmp_path, until="torn:")
    unfrozen.run_unfrozen(WAIT)
    result = unfrozen.outcome.no_freeze
    assert result
    assert result.torn, f"none of {result.snapshots} in {WAIT} s"
    assert result.freezes == []


def test_what_cannot_be_tokenized_is_finished_all_the_same(sources: Path, tmp_path: Path) -> None:
    (sources / "vanished.py").write_text("x = 1\n")
    demo = make_demo(sources, tmp_path)
    (sources / "vanished.py").unlink()
    demo.run_freezing()
    index = open_index(tmp_path / INDEX, sources, []).store.load().index  # type: ignore[union-attr]
    problems = {path: problem for path, problem in index.finished.items() if problem}
    assert set(problems) == {"broken.py", "mistaken.py", "vanished.py"}
    assert index.lengths["broken.py"] == 7
    assert problems["vanished.py"].startswith("FileNotFoundError")
    assert demo.outcome.unreadable == 3


@pytest.fixture
def hanging_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever reads a file of `unittest` or `xml` waits for the order to stop.

    So no run comes to its end before that, however late the order is.
    """
    read, stop, stopped = _work._read, Work.stop, threading.Event()

    def hang(file: str) -> tuple[bytes, str]:
        if {"unittest", "xml"} & set(Path(file).parts):
            wait_for(stopped)
        return read(file)

    def order(work: Work, timeout: float) -> None:
        work._stop.set()
        stopped.set()
        stop(work, timeout)

    monkeypatch.setattr(_work, "_read", hang)
    monkeypatch.setattr(Work, "stop", order)


@pytest.mark.usefixtures("hanging_reads")
def test_a_run_that_was_ended_early_goes_on_to_the_same_index(
    sources: Path, tmp_path: Path, digest: str
) -> None:
    view = Interrupting("checkpoint 1:")
    first = make_demo(sources, tmp_path, every=0.01, view=view, events=view.events)
    first.run_freezing()
    outcome = first.outcome
    assert outcome.freezing
    assert outcome.freezing.stopped_by == Signals.SIGINT
    assert (outcome.checkpoint, outcome.digest) == (2, None), "with a last checkpoint"
    assert outcome.finished < outcome.documents

    recording = Recording()
    second = make_demo(sources, tmp_path, every=0.01, view=recording)
    second.run_freezing()
    assert second.outcome.resumed
    assert second.outcome.resumed["checkpoint"] == 2
    assert second.outcome.resumed["finished"] == outcome.finished
    assert any(
        line.startswith(
            f"resumed: {outcome.finished} of {outcome.documents} documents from checkpoint 2"
        )
        for line in recording.said
    )
    assert second.outcome.digest == digest

    third = make_demo(sources, tmp_path)
    third.run_freezing()
    assert third.outcome.freezing is None, "there was nothing to do"
    assert third.outcome.digest == digest


def work_on(documents: list[Document], index: Index) -> None:
    """Have one worker index `documents`."""
    ended: SimpleQueue[BaseException | None] = SimpleQueue()
    Work(Freezer("test"), index, deque(documents), ended.put).start(1)
    assert ended.get(timeout=WAIT) is None


def test_a_document_goes_on_where_a_checkpoint_has_left_it(sources: Path, tmp_path: Path) -> None:
    """A checkpoint may stand between any two slices of a document."""
    name = "email/_header_value_parser.py"
    documents = [document for document in list_documents(sources) if document.path == name]
    whole = Index()
    work_on(documents, whole)
    assert whole.lengths[name] > 5 * SLICE

    beginning = open_index(tmp_path / INDEX, sources, documents)
    tokens = Tokens(Path(documents[0].file).read_bytes())
    beginning.index.begin(name)
    beginning.index.add(name, islice(tokens, 2 * SLICE + 7))
    beginning.store.save(beginning.recorder.take_whole())

    again = open_index(tmp_path / INDEX, sources, documents)
    assert (again.begun, again.index.lengths[name]) == (1, 2 * SLICE + 7)
    work_on(documents, again.index)
    assert again.index.digest() == whole.digest()


def test_a_hanging_read_neither_holds_up_a_checkpoint_nor_spoils_the_index_later(
    tmp_path: Path, store: IndexStore
) -> None:
    """1. A worker reads a pipe into which nothing is written. 2. It is told to stop, and does not.
    3. A checkpoint is made. 4. The read ends, and the worker too, without a change of the index.
    """
    file = tmp_path / "a.py"
    os.mkfifo(file)
    index, freezer = Index(), Freezer("test")
    ended: SimpleQueue[BaseException | None] = SimpleQueue()
    work = Work(freezer, index, deque([Document("a.py", 1, 1, str(file))]), ended.put)
    work.start(1)
    with start(file.open, "wb").finish() as pipe:  # which waits until there is a reader
        work.stop(0.0)
        assert ended.empty()
        FreezingCamera(store, Recorder(index, CATALOGUE), str, freezer).save()
        pipe.write(b"x = 1\n")
    assert ended.get(timeout=WAIT) is None
    assert (index.lengths, work.finished_at) == ({}, [])


def test_a_run_with_a_limit_ends_then(sources: Path, tmp_path: Path) -> None:
    demo = make_demo(sources, tmp_path, threads=1)
    demo.run_unfrozen(0.0)
    assert demo.outcome.no_freeze
    assert demo.outcome.no_freeze.documents < demo.outcome.documents
    assert demo.outcome.no_freeze.stopped_by is None


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two small documents, indexed."""
    folder = tmp_path / "root"
    folder.mkdir()
    for name in ("a.py", "b.py"):
        (folder / name).write_text("x = 1\n")
    make_demo(folder, tmp_path).run_freezing()
    return folder


def test_a_document_that_is_gone_is_gone_from_the_file_too(root: Path, tmp_path: Path) -> None:
    (root / "a.py").unlink()
    view = Recording()
    demo = make_demo(root, tmp_path, view=view)
    demo.run_freezing()
    assert "1 of them have changed since, or are gone" in view.said
    assert (demo.outcome.finished, demo.outcome.checkpoint) == (1, 2)
    saved = IndexStore(tmp_path / INDEX, root).load()
    assert saved
    assert set(saved.documents) == {"b.py"}


def test_the_whole_index_is_checked_in_the_end(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A checkpoint looks at what has changed alone, and cannot see this."""

    def open_and_spoil(*arguments: Any) -> Beginning:
        beginning = open_index(*arguments)
        beginning.index.postings["x"]["a.py"] = 2
        return beginning

    (root / "c.py").write_text("y = 2\n")
    monkeypatch.setattr("freezethreads.demo._demo.open_index", open_and_spoil)
    with pytest.raises(TornSnapshot, match=r"a\.py: its words and their postings differ"):
        make_demo(root, tmp_path).run_freezing()


class Failing(Index):
    def add(self, path: str, tokens: Iterable[str]) -> int:
        raise ZeroDivisionError("on purpose")


def test_an_error_in_a_worker_ends_the_run(
    sources: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is saved: what the worker has left behind may be torn."""
    monkeypatch.setattr("freezethreads.demo._resume.Index", Failing)
    demo = make_demo(sources, tmp_path)
    with pytest.raises(ZeroDivisionError, match="on purpose"):
        demo.run_freezing()
    assert IndexStore(tmp_path / INDEX, sources).load() is None
