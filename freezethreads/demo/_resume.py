"""What an earlier run has left in its file, and what is still to be done."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from freezethreads.checkpoint import StoreError
from freezethreads.demo._documents import Document
from freezethreads.demo._index import Index
from freezethreads.demo._snapshot import Recorder, TornSnapshot, take_snapshot
from freezethreads.demo._store import IndexStore, Saved

__all__ = ["Beginning", "WrongIndex", "open_index"]


class WrongIndex(ValueError):
    """The file holds an index that this run must not go on with. Nothing was changed."""


@dataclass(frozen=True)
class Beginning:
    """From where a run begins."""

    store: IndexStore
    index: Index
    recorder: Recorder
    """Takes snapshots of what `store` does not have yet."""
    todo: list[Document]
    """What is not in the index, or not to its end."""
    gone: frozenset[str]
    """What was in the file, but has changed or is not there any more; `index` has forgotten it."""
    checkpoint: int
    """The number of the checkpoint that `index` comes from; 0: from none."""
    finished: int
    """How many documents were finished when it began."""
    begun: int
    """How many more were in the index, but not to their end."""


def open_index(file: Path, root: Path, documents: Sequence[Document]) -> Beginning:
    """Load the index in `file`, or begin an empty one.

    A document that has another size or time of change than it had then is to be indexed again.
    Raises `WrongIndex`, or `StoreError` for a file that is damaged or somebody else's.
    """
    store = IndexStore(file, root)
    saved = store.load()
    index, gone = Index(), frozenset[str]()
    if saved is not None:
        _check(saved, file, root)
        index = saved.index
        gone = _forget_changed(saved, documents)
    catalogue = {document.path: document for document in documents}
    return Beginning(
        store=store,
        index=index,
        recorder=Recorder(index, catalogue, gone),
        todo=[document for document in documents if document.path not in index.finished],
        gone=gone,
        checkpoint=store.checkpoint,
        finished=len(index.finished),
        begun=len(index.lengths) - len(index.finished),
    )


def _check(saved: Saved, file: Path, root: Path) -> None:
    if saved.root != str(root):
        raise WrongIndex(
            f"{file} holds an index of {saved.root}, not of {root}: choose another --out, that "
            "--root, or --fresh to throw it away"
        )
    if saved.python != platform.python_version():
        raise WrongIndex(
            f"{file} was begun by Python {saved.python}, and this is {platform.python_version()}, "
            "which may tokenize otherwise: choose another --out, that Python, or --fresh to "
            "throw it away"
        )
    try:
        take_snapshot(saved.index, {}, saved.documents).check()
    except TornSnapshot as error:
        raise StoreError(f"{file} is damaged: {error}; --fresh throws it away") from error


def _forget_changed(saved: Saved, documents: Sequence[Document]) -> frozenset[str]:
    now = {document.path: document for document in documents}
    changed = (path for path, then in saved.documents.items() if now.get(path) != then)
    gone = frozenset(changed)
    for path in gone:
        saved.index.drop(path)
    return gone
